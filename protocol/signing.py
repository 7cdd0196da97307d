"""Ed25519 over grants and orders, so that a stolen key of an edge server rules only its own PLVNs.

Every edge server may write to every PLVN's `down` branch. The cloud twin therefore signs into each
grant the key of the edge server that it names, the edge server signs each order together with its
topic, and an agent that knows the cloud twin's key obeys nothing else. Keys are hexadecimal.
"""

from typing import NamedTuple

import msgpack
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twintier.protocol.messages.registration import Grant

SIGNATURE_BYTES = 64
MARK = b"\xa3sig\xc4\x40"
"""The last key of a signed message's map, and the head of its value."""
_GRANT_CONTEXT = "twintier-grant-2"


class Signature(NamedTuple):
    """A signature over a message and its topic, not checked yet."""

    topic: str
    signed: bytes
    value: bytes

    def is_by(self, verify_key: str) -> bool:
        """Whether the owner of this key made it."""
        return _verifies(verify_key, _with_topic(self.topic, self.signed), self.value)


def verify_key_of(key: Ed25519PrivateKey) -> str:
    """The public key that checks what a key signs."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def sign_message(key: Ed25519PrivateKey, topic: str, unsigned: bytes) -> bytes:
    """The signature of a message's bytes up to it."""
    return key.sign(_with_topic(topic, unsigned))


def sign_grant(key: Ed25519PrivateKey, grant: Grant) -> Grant:
    """The grant with the cloud twin's signature."""
    return grant.model_copy(update={"signature": key.sign(_grant_bytes(grant)).hex()})


def is_grant_by(verify_key: str, grant: Grant) -> bool:
    """Whether the cloud twin of this key signed the grant."""
    return _verifies(verify_key, _grant_bytes(grant), bytes.fromhex(grant.signature))


def _with_topic(topic: str, signed: bytes) -> bytes:
    return topic.encode() + b"\0" + signed


def _grant_bytes(grant: Grant) -> bytes:
    packed: bytes = msgpack.packb(
        (_GRANT_CONTEXT, grant.plvn, grant.edge, grant.fence, float(grant.valid_s), grant.edge_key)
    )
    return packed


def _verifies(verify_key: str, signed: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(verify_key)).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True
