"""Mutated messages of every kind: each is a message or refused, in bounded time and memory.

20,000 inputs, or as many as FUZZ_INPUTS says.
"""

import os
import random
import time
import tracemalloc

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.wire import GOLDEN, address, rows
from twintier.protocol.catalogue import row_of
from twintier.protocol.codec import Decoded, decode, encode
from twintier.protocol.errors import RemoteProtocolError
from twintier.protocol.topics import topic_for

INPUTS = int(os.environ.get("FUZZ_INPUTS", "20000"))
BATCH = 100
SLOWEST_S = 0.5
MOST_BYTES = 4_000_000
SEEDS = [
    ((GOLDEN / f"{row.name}.msgpack").read_bytes(), topic_for(row.message, address(row)))
    for row in rows()
]
HEADS = bytes([0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, *range(0xC0, 0xE0), 0x7F, 0xFF])


def mutate(rng: random.Random) -> tuple[bytes, str]:
    """A golden message with one to four wounds, on its topic or another's."""
    payload, topic = rng.choice(SEEDS)
    data = bytearray(payload)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(6):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(data):
                data[at] = rng.choice(HEADS)
            case 2:
                del data[at : at + rng.randint(1, 16)]
            case 3:
                data[at:at] = rng.randbytes(rng.randint(1, 16))
            case 4:
                other, _ = rng.choice(SEEDS)
                start = rng.randrange(len(other))
                data[at:at] = other[start : start + rng.randint(1, 64)]
            case _:
                data[at:at] = data[at : at + 8] * rng.randint(1, 50)
    return bytes(data), topic if rng.random() < 0.9 else rng.choice(SEEDS)[1]


def attempt(payload: bytes, topic: str) -> Decoded | None:
    try:
        return decode(payload, topic)
    except RemoteProtocolError:
        return None


@given(seed=st.integers(0, 2**64))
@settings(examples(INPUTS // BATCH), suppress_health_check=list(HealthCheck))
def test_a_mutated_message_is_a_message_or_refused(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(BATCH):
        payload, topic = mutate(rng)
        start = time.process_time()
        decoded = attempt(payload, topic)
        assert time.process_time() - start < SLOWEST_S
        if decoded is not None:
            present = row_of(type(decoded.message)).name  # what was an older version is no more
            envelope = decoded.envelope.model_copy(update={"type": present})
            again = decode(encode(envelope, decoded.message), topic)
            assert again == decoded._replace(envelope=envelope)


def test_mutated_messages_leave_no_memory_behind() -> None:
    rng = random.Random(1)
    for _ in range(200):
        attempt(*mutate(rng))
    tracemalloc.start()
    try:
        for _ in range(1000):
            attempt(*mutate(rng))
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < MOST_BYTES / 4
    assert peak < MOST_BYTES
