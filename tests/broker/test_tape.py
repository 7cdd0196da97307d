"""Tapes without a broker: the file, its damages, and the spacing in virtual time."""

import asyncio
import struct
from pathlib import Path

import msgpack
import pytest

from tests.support.autojump import run
from twintier.broker.bus import Qos
from twintier.broker.errors import UnavailableError
from twintier.broker.memory import MemoryBus, MemoryHub
from twintier.broker.tape import (
    MAGIC,
    Passed,
    Playing,
    TapeError,
    TapeFrame,
    TapeHeader,
    TapeWriter,
    play,
    read_frames,
    read_header,
    record,
)

NO = (False,)
HEADER = TapeHeader("live", 1_700_000_000_000_000_000)


def frame(offset_s: float, payload: bytes = b"x", qos: Qos = 1) -> TapeFrame:
    return TapeFrame(int(offset_s * 1e9), "live/v1/a", payload, qos, retain=False)


def written(path: Path, *frames: TapeFrame) -> Path:
    with TapeWriter(path, HEADER) as tape:
        for each in frames:
            tape.write(each)
    return path


def framed(*fields: object) -> bytes:
    packed: bytes = msgpack.packb(list(fields))
    return struct.pack("<I", len(packed)) + packed


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    frames = [
        frame(0.0, b""),
        TapeFrame(5, "live/v1/b", b"\x00\xff" * 9, 0, retain=False),
        TapeFrame(7, "live/v1/c", b"kept", 1, retain=True),
    ]
    path = written(tmp_path / "new" / "tape", *frames)
    assert read_header(path) == HEADER
    assert list(read_frames(path)) == frames


def test_what_was_written_before_a_kill_is_there(tmp_path: Path) -> None:
    tape = TapeWriter(tmp_path / "tape", HEADER)  # never closed
    tape.write(frame(1.0))
    assert list(read_frames(tmp_path / "tape")) == [frame(1.0)]


@pytest.mark.parametrize("cut", [1, 3, 12, 17, 20])
def test_a_last_frame_that_was_cut_off_is_left_out(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path / "tape", frame(0.0), frame(1.0))
    path.write_bytes(path.read_bytes()[:-cut])
    assert list(read_frames(path)) == [frame(0.0)]


def test_a_tape_is_never_overwritten(tmp_path: Path) -> None:
    path = written(tmp_path / "tape", frame(0.0))
    with pytest.raises(FileExistsError, match="tape"):
        TapeWriter(path, HEADER)
    assert list(read_frames(path)) == [frame(0.0)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no tape; record one with `twintier bus record`"),
        (b"SQLite format 3\0 and more of it", "is no tape"),
        (MAGIC, "cut off in its header"),
        (MAGIC + framed(2, "live", 0), "of version 2; this reads 1"),
        (MAGIC + framed(1, "a/b", 0), "a root that is none"),
        (MAGIC + framed(1, "live"), "not \\(version, root, start\\)"),
        (MAGIC + framed(1, "live", 0) + b"\xff\xff\xff\xff", "frame of 4294967295 bytes begins"),
        (MAGIC + framed(1, "live", 0) + b"\x01\x00\x00\x00\xc1", "damaged at byte 30"),
        (MAGIC + framed(1, "live", 0) + b"\x01\x00\x00\x00\x05", "a int, no frame"),
        (MAGIC + framed(1, "live", 0) + framed(0, "t", b"", 2, *NO), "QoS 0 or 1"),
        (MAGIC + framed(1, "live", 0) + framed(0, "t", "text", 1, *NO), "a frame is not"),
    ],
)
def test_what_is_no_tape_is_refused_with_the_reason(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "tape"
    path.write_bytes(content)
    with pytest.raises(TapeError, match=said):
        list(read_frames(path))


@pytest.mark.parametrize(("speed", "lasts_s"), [(1.0, 12.0), (4.0, 3.0), (0.0, 0.0)])
def test_the_spacing_is_kept_divided_by_the_speed(
    tmp_path: Path, speed: float, lasts_s: float
) -> None:
    path = written(tmp_path / "tape", *(frame(100 + at, b"%d" % at) for at in (0, 2, 12)))

    async def main() -> list[tuple[float, bytes]]:
        hub = MemoryHub()
        came: list[tuple[float, bytes]] = []
        loop = asyncio.get_running_loop()
        async with MemoryBus(hub) as bus, MemoryBus(hub) as player:
            await bus.subscribe(["other/#"])

            def note(payload: bytes) -> None:
                came.append((loop.time(), payload))

            async def take() -> None:
                async for delivery in bus.deliveries():
                    note(delivery.payload)

            taking = asyncio.ensure_future(take())
            began = loop.time()
            playing = Playing("other", speed)
            await play(player, HEADER, read_frames(path), playing, Passed())
            await asyncio.sleep(1)
            taking.cancel()
        return [(round(at - began, 6), payload) for at, payload in came]

    came = run(main())
    assert [payload for _, payload in came] == [b"0", b"2", b"12"]
    assert [at for at, _ in came] == [0.0, lasts_s / 6, lasts_s]


def test_a_recording_counts_what_it_took_and_ends_at_its_count(tmp_path: Path) -> None:
    async def main() -> Passed:
        hub, passed = MemoryHub(), Passed()
        async with MemoryBus(hub) as bus, MemoryBus(hub) as writer:
            await writer.publish("live/v1/kept", b"12345", qos=1, retain=True)
            await bus.subscribe(["live/#"])
            for _ in range(3):
                await writer.publish("live/v1/a", b"abc", qos=0)
            with TapeWriter(tmp_path / "tape", HEADER) as tape:
                await record(bus, tape, lambda: 7, passed, count=3)
        return passed

    assert run(main()) == Passed(messages=3, retained=1, payload_bytes=11)
    assert [f.qos for f in read_frames(tmp_path / "tape")] == [1, 0, 0]


def test_a_broker_that_takes_nothing_ends_a_replay_after_ten_seconds(tmp_path: Path) -> None:
    path = written(tmp_path / "tape", frame(0.0))

    async def main() -> float:
        hub = MemoryHub()
        async with MemoryBus(hub) as player:
            hub.stop()
            with pytest.raises(UnavailableError, match="no hub"):
                await play(player, HEADER, read_frames(path), Playing("other"), Passed())
        return asyncio.get_running_loop().time()

    assert 10.0 < run(main()) < 12.0


def test_a_topic_outside_the_root_of_the_tape_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "tape", TapeFrame(0, "other/v1/a", b"", 1, retain=False))

    async def main() -> None:
        async with MemoryBus(MemoryHub()) as player:
            await play(player, HEADER, read_frames(path), Playing("x"), Passed())

    with pytest.raises(TapeError, match="'other/v1/a' is not below the tape's root live"):
        run(main())
