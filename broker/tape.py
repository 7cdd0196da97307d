"""The wire as it passes, kept in a file and played back: for what happened outside any core.

A tape is a magic line, a header, then a frame for each message, all msgpack with a length before
it. Payloads are kept byte for byte and never decoded, so a tape also holds what receivers refused.
A last frame that was cut off, as by a kill, is left out; any other damage is an error.
"""

import asyncio
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgpack

from twintier.broker.bus import Bus, Qos
from twintier.broker.errors import BrokerError, UnavailableError
from twintier.protocol.errors import InvalidIdError
from twintier.protocol.topics import prefix

MAGIC = b"twintier tape\n"
VERSION = 1
MAX_FRAME_BYTES = 64 * 1024 * 1024
QOS0_LIMIT = 20_000
"""QoS 0 messages that may wait for the disk; a recorder should lose none."""
RETRY_S = 0.01
PATIENCE_S = 10.0
"""How long a replay waits for a broker that takes nothing."""
_LENGTH = struct.Struct("<I")


class TapeError(BrokerError):
    """A file that is no tape of ours, or a damaged one."""


@dataclass(frozen=True, slots=True)
class TapeHeader:
    """What a tape says of itself."""

    root: str
    started_ns: int
    """Unix nanoseconds at offset 0."""


@dataclass(frozen=True, slots=True)
class TapeFrame:
    """One message as it arrived."""

    offset_ns: int
    """Since the tape began, on a clock that never jumps."""
    topic: str
    payload: bytes
    qos: Qos
    retain: bool
    """Whether it is a value that the broker had kept from before."""


class TapeWriter:
    """Appends messages to a new file; each is with the system before the next is taken."""

    def __init__(self, path: Path, header: TapeHeader) -> None:
        """Begin a tape.

        Raises:
            FileExistsError: if there is such a file; a tape is never overwritten.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("xb")
        self._file.write(MAGIC)
        self._write([VERSION, header.root, header.started_ns])

    def write(self, frame: TapeFrame) -> None:
        """Append a message."""
        self._write([frame.offset_ns, frame.topic, frame.payload, frame.qos, frame.retain])

    def __enter__(self) -> Self:
        """Nothing more to open."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, fields: list[object]) -> None:
        packed: bytes = msgpack.packb(fields)
        self._file.write(_LENGTH.pack(len(packed)) + packed)
        self._file.flush()


def check_new(path: Path) -> None:
    """Look whether a tape can be begun there; nothing is made yet.

    Raises:
        TapeError: if something is there, or what stands above it is no folder.
    """
    if path.exists() or path.is_symlink():
        raise TapeError(f"{path} exists; choose another file for the tape")
    above = next((folder for folder in path.parents if folder.exists()), Path())
    if not above.is_dir():
        raise TapeError(f"{path} cannot be made: {above} is no folder; choose another file")


def read_header(path: Path) -> TapeHeader:
    """What a tape says of itself.

    Raises:
        OSError: if it cannot be read.
        TapeError: if it is no tape, or of another version.
    """
    with path.open("rb") as file:
        return _header(file, path)


def read_frames(path: Path) -> Iterator[TapeFrame]:
    """The messages of a tape in order.

    Raises:
        OSError: if it cannot be read.
        TapeError: if it is no tape, of another version, or damaged; says at which byte.
    """
    with path.open("rb") as file:
        _header(file, path)
        while (fields := _fields(file, path)) is not None:
            yield _frame(fields, f"{path} before byte {file.tell()}")


@dataclass(slots=True)
class Passed:
    """What has passed."""

    messages: int = 0
    retained: int = 0
    payload_bytes: int = 0

    def add(self, frame: TapeFrame) -> None:
        """Count a message."""
        self.messages += 1
        self.retained += frame.retain
        self.payload_bytes += len(frame.payload)


async def record(
    bus: Bus, tape: TapeWriter, now_ns: Callable[[], int], taken: Passed, *, count: int = 0
) -> None:
    """Write what a connected bus delivers until cancelled, or until `count` messages have come.

    Args:
        bus: subscribed to what is wanted.
        tape: gets each message before it is acknowledged.
        now_ns: nanoseconds since the tape began.
        taken: is kept up to date.
        count: 0 for no end.
    """
    async for delivery in bus.deliveries():
        qos: Qos = 1 if delivery.qos else 0
        frame = TapeFrame(now_ns(), delivery.topic, delivery.payload, qos, delivery.retain)
        tape.write(frame)
        await delivery.ack()
        taken.add(frame)
        if taken.messages == count:
            return


@dataclass(frozen=True, slots=True)
class Playing:
    """How a tape is played."""

    root: str
    """Of the topics that it is played on."""
    speed: float = 1.0
    """Times as fast as it was recorded; 0 is as fast as the broker acknowledges."""
    retained: bool = False
    """Whether values from before the recording are played too, and kept by the broker again."""


async def play(
    bus: Bus,
    header: TapeHeader,
    frames: Iterable[TapeFrame],
    playing: Playing,
    played: Passed,
) -> None:
    """Publish the messages of a tape in order, and wait until all are acknowledged.

    Args:
        bus: connected.
        header: of the tape.
        frames: of the tape.
        playing: how.
        played: is kept up to date.

    Raises:
        UnavailableError: if the broker takes nothing for ten seconds.
        LocalBusError: if a topic or size is not what the bus can carry.
        TapeError: if a topic is not below the tape's root.
    """
    loop = asyncio.get_running_loop()
    began: tuple[float, int] | None = None
    for frame in frames:
        if frame.retain and not playing.retained:
            continue
        began = began or (loop.time(), frame.offset_ns)
        if playing.speed > 0:
            due = began[0] + (frame.offset_ns - began[1]) / 1e9 / playing.speed
            await asyncio.sleep(max(0.0, due - loop.time()))
        await _publish(bus, _moved(frame.topic, header.root, playing.root), frame)
        played.add(frame)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await bus.flush()
    except TimeoutError as error:
        raise UnavailableError(f"no acknowledgement for {PATIENCE_S} s") from error


async def _publish(bus: Bus, topic: str, frame: TapeFrame) -> None:
    """Hand over a message, again while the connection takes less than is sent."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_S
    while True:
        try:
            await bus.publish(topic, frame.payload, qos=frame.qos, retain=frame.retain)
        except UnavailableError:
            if loop.time() > deadline:
                raise
            await asyncio.sleep(RETRY_S)
        else:
            return


def _moved(topic: str, old: str, new: str) -> str:
    if not topic.startswith(f"{old}/"):
        raise TapeError(f"topic {topic[:64]!r} is not below the tape's root {old}")
    return new + topic[len(old) :]


def _header(file: BinaryIO, path: Path) -> TapeHeader:
    if file.read(len(MAGIC)) != MAGIC:
        raise TapeError(f"{path} is no tape; record one with `twintier bus record`")
    match _fields(file, path):
        case [int(version), str(root), int(started_ns)]:
            if version != VERSION:
                raise TapeError(f"{path} is a tape of version {version}; this reads {VERSION}")
            try:
                prefix(root)
            except InvalidIdError as error:
                raise TapeError(f"{path} has a header with a root that is none: {error}") from error
            return TapeHeader(root, started_ns)
        case None:
            raise TapeError(f"{path} was cut off in its header; nothing of it can be played")
        case _:
            raise TapeError(f"{path} has a header that is not (version, root, start)")


def _fields(file: BinaryIO, path: Path) -> list[object] | None:
    """The next frame's fields; None at the end, also where the last frame was cut off."""
    head = file.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    place, size = file.tell(), _LENGTH.unpack(head)[0]
    if size > MAX_FRAME_BYTES:
        raise TapeError(f"{path} is damaged: at byte {place} a frame of {size} bytes begins")
    packed = file.read(size)
    if len(packed) < size:
        return None
    try:
        fields: object = msgpack.unpackb(packed)
    except (ValueError, msgpack.UnpackException) as error:
        raise TapeError(f"{path} is damaged at byte {place}: {error}") from error
    if not isinstance(fields, list):
        raise TapeError(f"{path} is damaged at byte {place}: a {type(fields).__name__}, no frame")
    return fields


def _frame(fields: list[object], place: str) -> TapeFrame:
    match fields:
        case [int(offset_ns), str(topic), bytes(payload), (0 | 1) as qos, bool(retain)]:
            return TapeFrame(offset_ns, topic, payload, 1 if qos else 0, retain)
        case _:
            raise TapeError(
                f"{place}: a frame is not (offset, topic, payload, QoS 0 or 1, retained)"
            )
