"""Signing, a step of its own: grants before they are encoded, orders afterwards.

Keys live here and never in a core, so that recordings of a core hold none.
"""

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from twintier.protocol.catalogue import Role, row_of
from twintier.protocol.codec import with_signature
from twintier.protocol.messages import GrantRenewed, RegistrationGranted, TwinPlaced
from twintier.protocol.signing import sign_grant, sign_message
from twintier.runtime.delivery.outgoing import Outgoing
from twintier.runtime.effects import Publish


class Signer:
    """Signs what one process says; without a key it signs nothing."""

    def __init__(self, role: Role, key: Ed25519PrivateKey | None) -> None:
        self._role = role
        self._key = key

    def granted(self, effect: Publish) -> Publish:
        """The effect with the grant in its message signed; any other effect as it is."""
        key, message = self._key, effect.message
        if key is None or not isinstance(message, RegistrationGranted | GrantRenewed | TwinPlaced):
            return effect
        signed = message.model_copy(update={"grant": sign_grant(key, message.grant)})
        return replace(effect, message=signed)

    def signed(self, effect: Publish, outgoing: Outgoing) -> Outgoing:
        """The bytes ended by a signature where the row of their message asks for one."""
        key, topic = self._key, outgoing.topic
        # Only edge servers sign orders: the key of the cloud twin is for grants, which name theirs.
        if key is None or self._role != "edge" or not row_of(type(effect.message)).signed:
            return outgoing
        payload = with_signature(outgoing.payload, lambda part: sign_message(key, topic, part))
        return replace(outgoing, payload=payload)
