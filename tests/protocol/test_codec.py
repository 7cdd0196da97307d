import math
import time
import tracemalloc
from collections.abc import Sequence
from typing import Annotated, Any, get_args, get_origin

import annotated_types
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tests.support.wire import address, envelope, sample
from twintier.protocol.address import Address
from twintier.protocol.catalogue import CATALOGUE, Row, row_of
from twintier.protocol.codec import (
    MAX_CONTAINERS,
    MAX_PAYLOAD_BYTES,
    MAX_VALUES,
    Announced,
    announce,
    decode,
    encode,
    read,
    with_low_watermark,
)
from twintier.protocol.envelope import BlobRef
from twintier.protocol.errors import LocalProtocolError, OversizeError, RemoteProtocolError
from twintier.protocol.items import holds_more_than
from twintier.protocol.messages import (
    AgentStatusReported,
    ChunkSent,
    CloudStatusReported,
    EdgeStatusReported,
    MessageRefused,
    ModelRequested,
    PerformanceReported,
    TelemetryReported,
    TrajectoriesReported,
)
from twintier.protocol.messages.base import Message
from twintier.protocol.tensors import blob_digest
from twintier.protocol.topics import topic_for

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats()
    | st.text(max_size=40) | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)  # fmt: skip
ROW = row_of(PerformanceReported)
MESSAGE = sample(PerformanceReported)
TOPIC = topic_for(PerformanceReported, address(ROW))
GOOD = encode(envelope(ROW), MESSAGE)


def fields() -> dict[str, object]:
    unpacked: dict[str, object] = msgpack.unpackb(GOOD)
    return unpacked


def changed(**changes: object) -> bytes:
    packed: bytes = msgpack.packb(fields() | changes)
    return packed


def body(**changes: object) -> bytes:
    inner = fields()["body"]
    assert isinstance(inner, dict)
    return changed(body=inner | changes)


def code_of(payload: bytes, topic: str = TOPIC) -> str:
    with pytest.raises(RemoteProtocolError, match=r".") as refused:
        decode(payload, topic)
    assert len(refused.value.reason) <= 512
    return refused.value.code


def test_unknown_envelope_keys_are_ignored_and_unknown_body_fields_are_not() -> None:
    decoded = decode(changed(newer={"x": [1]}), TOPIC)
    assert decoded.message == MESSAGE
    assert decoded.envelope == envelope(ROW)
    assert decoded.address == Address(plvn=address(ROW).plvn, inmf=address(ROW).inmf)
    assert code_of(body(newer=1)) == "invalid_body"


@pytest.mark.parametrize("key", ["type", "id", "src", "boot", "stream", "seq", "ts_ns"])
def test_an_envelope_that_lacks_a_key_is_malformed(key: str) -> None:
    lacking = {name: value for name, value in fields().items() if name != key}
    assert code_of(msgpack.packb(lacking)) == "malformed"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", b"short"),
        ("id", "sixteen letters!"),
        ("src", "p1"),
        ("src", "root:p1"),
        ("src", "plvn:p1/x"),
        ("boot", "a/b"),
        ("boot", ""),
        ("seq", 0),
        ("seq", -1),
        ("seq", "1"),
        ("seq", 1.0),
        ("seq", True),
        ("seq", 2**53 + 1),
        ("floor", 2**53 + 1),
        ("ts_ns", -1),
        ("ttl_ms", -1),
        ("fence", 0),
        ("stream", ""),
        ("cid", b""),
        ("type", 5),
    ],
)
def test_envelope_values_out_of_bounds_are_malformed(key: str, value: object) -> None:
    assert code_of(changed(**{key: value})) == "malformed"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"\x90",
        b"\x01",
        GOOD[:-1],
        GOOD + b"\x00",
        GOOD + GOOD,
        b"\x82\xa4type\xa1a\xa4type\xa1b",
        b"\x81\x90\x01",
        b"\x81\xa4type\xd4\x05\x00",
        b"\x81\xa4type\xd6\xff\x00\x00\x00\x00",
        b"\x81\xa4type\xa2\xff\xfe",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x91" * 100_000 + b"\x01",
        b"\x81\xa1a" * 5_000 + b"\x01",
        b"\xdc\xff\xff" + b"\x80" * 0xFFFF,
    ],
    ids=range(18),
)
def test_bytes_that_are_not_one_sound_map_are_malformed(payload: bytes) -> None:
    assert code_of(payload) == "malformed"


def test_containers_are_limited_for_they_cost_far_more_memory_than_bytes() -> None:
    rows = [[0] * 0] * 2000
    nested = msgpack.packb(fields() | {"extra": [rows] * (MAX_CONTAINERS // 2000 + 1)})
    assert code_of(nested) == "malformed"


def telemetry_with(unknown_keys: int) -> tuple[bytes, str]:
    """64 vehicles, each with so many keys that nobody knows."""
    row = row_of(TelemetryReported)
    sent = msgpack.unpackb(encode(envelope(row), sample(TelemetryReported)))
    vehicle = {f"k{number}": 0 for number in range(unknown_keys)}
    sent["body"]["vehicles"] = [vehicle] * 64
    return msgpack.packb(sent), topic_for(TelemetryReported, address(row))


def test_a_message_of_many_small_values_costs_little_before_it_is_refused() -> None:
    for payload, topic in (telemetry_with(8190), telemetry_with(500)):
        tracemalloc.start()
        start = time.process_time()
        code = code_of(payload, topic)
        took_s = time.process_time() - start
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert code in {"malformed", "invalid_body"}
        assert took_s < 2.0
        assert peak < 64_000_000


def test_values_are_limited_though_no_container_ends_before_the_last_byte() -> None:
    level = b"\xde\x1f\xff" + b"".join(
        b"\xcd" + n.to_bytes(2, "big") + b"\x01" for n in range(8190)
    )
    nested = level * 200 + b"\x00\x01"
    tracemalloc.start()
    assert code_of(nested) == "malformed"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.name)
def test_no_message_of_the_catalogue_reaches_the_limits(row: Row) -> None:
    assert most_values(row.message) + 64 < MAX_VALUES // 4  # 64: the envelope and its blob


def most_values(kind: Any, longest: int = 0) -> int:  # noqa: ANN401  # any type
    """The most values that a type of the messages can have on the wire."""
    origin, parts = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields_of = kind.model_fields.values()
        return 1 + sum(1 + most_values(f.annotation, _longest(f.metadata)) for f in fields_of)
    if origin is Annotated:
        return most_values(parts[0], _longest(parts[1:]) or longest)
    if origin is tuple:
        assert longest, kind
        return 1 + longest * most_values(parts[0])
    return max((most_values(part, longest) for part in parts), default=1)


def _longest(metadata: Sequence[object]) -> int:
    flat = [m for each in metadata for m in getattr(each, "metadata", [each])]
    return next((m.max_length for m in flat if isinstance(m, annotated_types.MaxLen)), 0)


@given(value=VALUES, limit=st.integers(0, 40))
def test_values_are_counted_as_they_are_packed(value: object, limit: int) -> None:
    packed = msgpack.packb(value)
    assert holds_more_than(limit, packed) == (count(value) > limit)
    assert holds_more_than(limit, packed + packed) == (2 * count(value) > limit)


def count(value: object) -> int:
    match value:
        case dict():
            return 1 + sum(count(key) + count(each) for key, each in value.items())
        case list():
            return 1 + sum(count(each) for each in value)
        case _:
            return 1


def test_a_repeated_key_anywhere_is_malformed() -> None:
    doubled = GOOD.replace(b"\xaareward_sum", b"\xaaslot_first")
    assert code_of(doubled) == "malformed"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e16, "1.5", None, True, b"1"])
def test_numbers_that_are_not_finite_bounded_numbers_are_refused(value: object) -> None:
    assert code_of(body(reward_sum=value)) == "invalid_body"


def test_an_integer_stands_for_a_float_as_other_languages_write_it() -> None:
    decoded = decode(body(reward_sum=2), TOPIC).message
    assert isinstance(decoded, PerformanceReported)
    assert decoded.reward_sum == 2.0


def test_unknown_types_and_versions_are_told_apart() -> None:
    assert code_of(changed(type="performance-reported.v9")) == "unknown_version"
    assert code_of(changed(type="nobody-knows.v1")) == "unknown_type"
    assert code_of(changed(type="performance-reported.v0")) == "malformed"
    assert code_of(changed(type="PerformanceReported")) == "malformed"


def test_a_message_on_another_topic_is_refused() -> None:
    other = topic_for(ModelRequested, address(row_of(ModelRequested)))
    assert code_of(GOOD, other) == "wrong_topic"
    assert code_of(GOOD, "twintier/v1/nowhere") == "invalid_topic"
    assert code_of(GOOD, TOPIC.replace("/p1/", "/p2/")) == "wrong_source"


def test_sizes_are_limited_both_ways() -> None:
    assert code_of(bytes(MAX_PAYLOAD_BYTES + 1)) == "oversize"
    with pytest.raises(OversizeError, match="exceeds 100"):
        encode(envelope(ROW), MESSAGE, limit_bytes=100)


def test_an_envelope_of_another_type_or_text_without_an_encoding_is_our_fault() -> None:
    with pytest.raises(LocalProtocolError, match="the body is"):
        encode(envelope(row_of(ModelRequested)), MESSAGE)
    broken = MessageRefused.model_construct(
        role="edge", topic="\ud800", code="malformed", reason="", size=0
    )
    with pytest.raises(LocalProtocolError, match="cannot be packed"):
        encode(envelope(row_of(MessageRefused)), broken)


def test_a_refusal_never_repeats_the_offending_bytes() -> None:
    with pytest.raises(RemoteProtocolError, match="invalid_body") as refused:
        decode(body(policy="x" * 100_000), TOPIC)
    assert "xxx" not in refused.value.reason


def test_a_large_message_is_announced_and_its_head_is_told_from_a_whole() -> None:
    row = row_of(TrajectoriesReported)
    whole = encode(envelope(row), sample(TrajectoriesReported))
    head, blob = announce(whole, 1024)
    topic = topic_for(TrajectoriesReported, address(row))
    found = read(head, topic)
    assert isinstance(found, Announced)
    assert (
        found.blob == blob == BlobRef(digest=blob_digest(whole), size=len(whole), chunk_size=1024)
    )
    assert blob.chunks == -(-len(whole) // 1024)
    assert found.envelope == envelope(row).model_copy(update={"blob": blob})
    assert code_of(head, topic) == "incomplete"


def test_only_what_may_be_large_travels_in_chunks() -> None:
    head, _ = announce(GOOD, 1024)
    assert code_of(head) == "invalid_body"


@pytest.mark.parametrize("stream", ["will", "plvn/p1/up/perf", TOPIC, "\U0001f6d1" * 250])
def test_a_stream_that_its_sender_made_up_is_malformed(stream: str) -> None:
    assert code_of(changed(stream=stream)) == "malformed"


def test_the_head_of_a_large_message_counts_in_the_stream_of_its_topic_too() -> None:
    row = row_of(TrajectoriesReported)
    made_up = envelope(row).model_copy(update={"stream": "of-my-own"})
    head, _ = announce(encode(made_up, sample(TrajectoriesReported)), 1024)
    assert code_of(head, topic_for(TrajectoriesReported, address(row))) == "malformed"


@pytest.mark.parametrize(
    ("message", "stream"),
    [
        (AgentStatusReported, "will"),
        (EdgeStatusReported, "will"),
        (CloudStatusReported, "will"),
        (ChunkSent, "plvn/up/blob"),
    ],
)
def test_wills_and_chunks_have_streams_that_they_share(message: type[Message], stream: str) -> None:
    row = row_of(message)
    sent = envelope(row).model_copy(update={"stream": stream})
    topic = topic_for(message, address(row))
    assert decode(encode(sent, sample(message)), topic).envelope == sent
    other = sent.model_copy(update={"stream": "edge/down/blob"})
    assert code_of(encode(other, sample(message)), topic) == "malformed"


def test_a_refusal_tells_whose_message_it_was() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode(changed(type="performance-reported.v9"), TOPIC)
    assert caught.value.envelope is not None
    assert caught.value.envelope.seq == envelope(ROW).seq
    assert "send performance-reported.v2" in caught.value.reason


def test_the_floor_of_an_encoded_message_can_be_raised() -> None:
    first = encode(envelope(ROW).model_copy(update={"floor": 3}), MESSAGE)
    raised = decode(with_low_watermark(first, 6), TOPIC)
    assert raised.envelope == envelope(ROW).model_copy(update={"floor": 6})
    assert raised.message == MESSAGE
    assert with_low_watermark(first, 3) is first


@pytest.mark.parametrize(
    "text", ['{"type": "x"}', " \n[1, 2]", '{"long": "' + "x" * 100_000 + '"}']
)
def test_json_sent_by_mistake_is_told_what_is_expected(text: str) -> None:
    with pytest.raises(RemoteProtocolError, match="looks like JSON; send the envelope as msgpack"):
        decode(text.encode(), TOPIC)
