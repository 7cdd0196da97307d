"""Signed grants and orders: what a stolen key of another edge server cannot do."""

import msgpack
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.wire import E1, P1, address, envelope, rows, sample
from twintier.protocol.codec import SIGNED_BYTES, Decoded, decode, encode, with_signature
from twintier.protocol.envelope import Envelope
from twintier.protocol.errors import RemoteProtocolError
from twintier.protocol.messages import BaselineOrdered, Grant
from twintier.protocol.signing import is_grant_by, sign_grant, sign_message, verify_key_of
from twintier.protocol.topics import topic_for
from twintier.protocol.values import Fence

CLOUD, EDGE, THIEF = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2, 3))
GRANT = Grant(plvn=P1, edge=E1, fence=Fence(3), valid_s=60.0, edge_key=verify_key_of(EDGE))
ROW = next(row for row in rows() if row.message is BaselineOrdered)
TOPIC = topic_for(BaselineOrdered, address(ROW))


def order(key: Ed25519PrivateKey, topic: str = TOPIC) -> bytes:
    payload = encode(envelope(ROW), sample(BaselineOrdered))
    return with_signature(payload, lambda unsigned: sign_message(key, topic, unsigned))


def read(payload: bytes, topic: str = TOPIC) -> Decoded:
    return decode(payload, topic)


def test_a_grant_is_the_cloud_twins_and_unchanged() -> None:
    signed = sign_grant(CLOUD, GRANT)
    assert is_grant_by(verify_key_of(CLOUD), signed)
    assert not is_grant_by(verify_key_of(THIEF), signed)
    assert not is_grant_by(verify_key_of(CLOUD), GRANT)
    for changed in ({"fence": 4}, {"edge": "e2"}, {"plvn": "p2"}, {"valid_s": 61.0}):
        assert not is_grant_by(verify_key_of(CLOUD), signed.model_copy(update=changed))
    stolen = signed.model_copy(update={"edge_key": verify_key_of(THIEF)})
    assert not is_grant_by(verify_key_of(CLOUD), stolen)


def test_an_order_is_its_edge_servers_and_for_its_topic() -> None:
    found = read(order(EDGE))
    assert found.message == sample(BaselineOrdered)
    assert found.signature is not None
    assert found.signature.is_by(GRANT.edge_key)
    assert not found.signature.is_by(verify_key_of(THIEF))
    moved = TOPIC.replace("/p1/", "/p2/")
    assert not found.signature._replace(topic=moved).is_by(GRANT.edge_key)
    with pytest.raises(RemoteProtocolError, match="malformed"):
        read(order(EDGE), moved)  # its stream already says where it was


def test_a_changed_byte_of_an_order_breaks_its_signature() -> None:
    payload = order(EDGE)
    changed = payload.replace(b"guard", b"gaurd")
    signature = read(changed).signature
    assert changed != payload
    assert signature is not None
    assert not signature.is_by(GRANT.edge_key)


def test_without_a_key_nothing_is_signed() -> None:
    assert read(encode(envelope(ROW), sample(BaselineOrdered))).signature is None


def test_a_signature_is_one_more_key_of_the_same_map() -> None:
    payload = encode(envelope(ROW), sample(BaselineOrdered))
    assert len(order(EDGE)) == len(payload) + SIGNED_BYTES
    assert msgpack.unpackb(order(EDGE)) == {
        **msgpack.unpackb(payload),
        "sig": sign_message(EDGE, TOPIC, order(EDGE)[:-64]),
    }


def test_a_message_with_every_key_can_be_signed() -> None:
    whole = {*Envelope.model_fields} - {"blob"} | {"body"}
    signed = with_signature(msgpack.packb(dict.fromkeys(sorted(whole))), lambda _: bytes(64))
    assert msgpack.unpackb(signed) == dict.fromkeys(whole) | {"sig": bytes(64)}
