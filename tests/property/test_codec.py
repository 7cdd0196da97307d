"""Any message survives the wire; any bytes give a message or a `RemoteProtocolError`."""

import contextlib
import tracemalloc

import msgpack
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.strategies import messages
from tests.support.wire import address, envelope, sample
from twintier.protocol.catalogue import CATALOGUE, Row
from twintier.protocol.codec import decode, encode
from twintier.protocol.errors import RemoteProtocolError
from twintier.protocol.topics import topic_for

ROWS = st.sampled_from(CATALOGUE)
TOPICS = ROWS.map(lambda row: topic_for(row.message, address(row)))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text()
    | st.binary(max_size=64),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(data=st.data(), row=ROWS)
@settings(examples(300), suppress_health_check=list(HealthCheck))
def test_every_message_survives_the_wire(data: st.DataObject, row: Row) -> None:
    message = data.draw(messages(row.message))
    decoded = decode(encode(envelope(row), message), topic_for(row.message, address(row)))
    assert decoded.message == message
    assert decoded.envelope == envelope(row)


@given(payload=st.binary(max_size=400), topic=TOPICS | st.text(max_size=80))
@examples(600)
@example(payload=b"\xdd\x7f\xff\xff\xff", topic="twintier/v1/cloud/status")
def test_any_bytes_are_a_message_or_refused(payload: bytes, topic: str) -> None:
    with contextlib.suppress(RemoteProtocolError):
        decode(payload, topic)


@given(row=ROWS, at=st.integers(0, 5000), bits=st.integers(1, 255), cut=st.integers(0, 60))
@examples(600)
def test_a_damaged_message_is_a_message_or_refused(row: Row, at: int, bits: int, cut: int) -> None:
    payload = bytearray(encode(envelope(row), sample(row.message)))
    payload[at % len(payload)] ^= bits
    with contextlib.suppress(RemoteProtocolError):
        decode(bytes(payload[: len(payload) - (cut if cut > 50 else 0)]), _topic(row))


@given(row=ROWS, key=st.text(max_size=8), value=VALUES, data=st.data())
@examples(500)
def test_any_value_in_any_place_is_a_message_or_refused(
    row: Row, key: str, value: object, data: st.DataObject
) -> None:
    fields = msgpack.unpackb(encode(envelope(row), sample(row.message)))
    place = data.draw(st.sampled_from([fields, fields["body"]]))
    place[data.draw(st.sampled_from([*place, key]))] = value
    with contextlib.suppress(RemoteProtocolError):
        decode(msgpack.packb(fields), _topic(row))


def test_the_memory_of_a_hostile_payload_is_bounded_by_its_size() -> None:
    size = 1_000_000
    hostile = [
        b"\xdc\x1f\xff" * (size // 3),
        b"\x80" * size,
        b"\xdd\x00\x00\x1f\xff" + b"\xdd\x00\x00\x1f\xff" * (size // 5),
        b"\x91" * size,
        b"\xc6" + size.to_bytes(4, "big") + bytes(size),
    ]
    for payload in hostile:
        tracemalloc.start()
        with contextlib.suppress(RemoteProtocolError):
            decode(payload, "twintier/v1/cloud/status")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 100 * size


def _topic(row: Row) -> str:
    return topic_for(row.message, address(row))
