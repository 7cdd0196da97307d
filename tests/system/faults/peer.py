"""A sender or a receiver of numbered uploads as a process: `python -m tests.system.faults.peer`.

Both write what they know into SQLite within the transaction that the runtime's records go in: the
sender what it has accepted, the receiver which effect each message had. A receiver can be told to
kill itself right after such a transaction, between the effect and its acknowledgement.
"""

import argparse
import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.names import COOP_PERCEPTION
from tests.support.toy import ToyCore, performance
from twintier.broker.bus import Bus
from twintier.broker.clock import WallClock
from twintier.broker.faulty import Faults, FaultyBus
from twintier.broker.mqtt.bus import MqttBus
from twintier.broker.mqtt.link import MqttSettings
from twintier.protocol.address import Address
from twintier.protocol.ids import PlvnId
from twintier.protocol.messages import MessageReturned, PerformanceReported, UploadsAcknowledged
from twintier.runtime.build import build_runtime
from twintier.runtime.core import Input, Observed, Received
from twintier.runtime.delivery.outbox import OutboxSettings
from twintier.runtime.delivery.positions import Positions
from twintier.runtime.delivery.presence import new_incarnation
from twintier.runtime.delivery.settings import DeliverySettings
from twintier.runtime.effects import Effect, Publish, Record, Save, Subscribe
from twintier.runtime.jobs import InlineJobs
from twintier.runtime.logs import configure_logs
from twintier.runtime.runtime import Runtime
from twintier.runtime.settings import RuntimeSettings
from twintier.runtime.storage.journal import (
    StreamKey,
    Upload,
    connect_journal,
    is_journal_record,
    read_accepted,
    read_uploads,
    write_journal,
)

P1 = PlvnId("p1")
AT = Address(plvn=P1, inmf=COOP_PERCEPTION)
ACKS = Subscribe((UploadsAcknowledged, MessageReturned), Address(plvn=P1, branch="plvn/down"))
UPLOADS = Subscribe((PerformanceReported,), Address())
NEVER = float("inf")
MAX_KEPT = 1500
"""Uploads on their way beyond which the sender waits."""


@dataclass(frozen=True, slots=True)
class Noted:
    """A number, and the message that carried it; the sender does not know that yet."""

    number: int
    boot: str = ""
    stream: str = ""
    seq: int = 0


class NumberStore:
    """The journal and a table of numbers in one file."""

    def __init__(self, path: Path, kill_after: int = -1) -> None:
        self._connection = connect_journal(str(path))
        self._kill_after = kill_after
        with self._connection:
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS numbers "
                "(number INTEGER, boot TEXT, stream TEXT, seq INTEGER)"
            )

    def save(self, records: Sequence[Record]) -> None:
        with self._connection:
            for record in records:
                if is_journal_record(record):
                    write_journal(self._connection.execute, record)
                else:
                    assert isinstance(record, Noted)
                    values = record.number, record.boot, record.stream, record.seq
                    self._connection.execute("INSERT INTO numbers VALUES (?, ?, ?, ?)", values)
                    self._kill_after -= 1
        if self._kill_after == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def uploads(self, src: str) -> list[Upload]:
        return read_uploads(self._connection.execute, src)

    def accepted(self, now: float) -> dict[StreamKey, int]:
        return read_accepted(self._connection.execute, now)

    def close(self) -> None:
        self._connection.close()


def numbers(path: Path) -> list[tuple[int, str, str, int]]:
    """What a process has noted so far, in order."""
    with suppress(sqlite3.OperationalError):  # it has not made its file yet
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10.0)
        try:
            order = "SELECT number, boot, stream, seq FROM numbers ORDER BY rowid"
            return list(connection.execute(order))
        finally:
            connection.close()
    return []


def note(taken: Input, _now: float) -> Sequence[Effect]:
    """The receiver's behaviour."""
    match taken:
        case Received(message=PerformanceReported(slot_first=number), envelope=envelope):
            return [Save(Noted(number, envelope.boot, envelope.stream, envelope.seq))]
        case _:
            return []


def accept(taken: Input, _now: float) -> Sequence[Effect]:
    """The sender's behaviour."""
    match taken:
        case Observed(observation=int() as number):
            return [Save(Noted(number)), Publish(performance(number), AT)]
        case _:
            return []


async def receive(options: argparse.Namespace) -> None:
    if options.no_dedup:
        setattr(Positions, "verdict", lambda _self, _envelope: "next")  # noqa: B010  # on purpose
    store = NumberStore(options.file, options.kill_after)
    await runtime(ToyCore("edge", "e1", note), store, options, UPLOADS).run()


async def send(options: argparse.Namespace) -> None:
    """Accept numbers up to a count, going on where an earlier process ended, and see them off."""
    store = NumberStore(options.file)
    running = runtime(ToyCore("plvn", "p1", accept), store, options, ACKS)
    async with asyncio.TaskGroup() as group:
        group.create_task(running.run())
        for number in range(len(numbers(options.file)), options.count):
            while running.kept > MAX_KEPT and not options.no_resend:  # noqa: ASYNC110  # counts
                await asyncio.sleep(0.01)
            running.observe(number)
            if number % 20 == 0:
                await asyncio.sleep(0)
        while running.kept and not options.no_resend:  # noqa: ASYNC110  # counts
            await asyncio.sleep(0.05)
        sys.stdout.write("seen off\n")
        sys.stdout.flush()


def runtime(
    core: ToyCore, store: NumberStore, options: argparse.Namespace, *routes: Subscribe
) -> Runtime:
    pauses = (NEVER, NEVER) if options.no_resend else (0.5, 4.0)
    shortest_s = NEVER if options.no_resend else 0.1
    outbox = OutboxSettings(pause_s=pauses, shortest_s=shortest_s)
    boot = new_incarnation()
    bus: Bus = MqttBus(options.url, MqttSettings(f"{core.role}-{core.id}-{boot}"))
    if options.faults:
        bus = FaultyBus(bus, Faults.parse(options.faults), core.id)
    return build_runtime(
        core,
        bus,
        routes=routes,
        clock=WallClock(),
        jobs=InlineJobs(),
        store=store,
        settings=RuntimeSettings(incarnation=boot, delivery=DeliverySettings(outbox=outbox)),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["sender", "receiver"])
    parser.add_argument("url")
    parser.add_argument("file", type=Path)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--kill-after", type=int, default=-1)
    parser.add_argument("--faults", default="")
    parser.add_argument("--no-resend", action="store_true")
    parser.add_argument("--no-dedup", action="store_true")
    options = parser.parse_args()
    configure_logs(level="error")
    asyncio.run((send if options.role == "sender" else receive)(options))


if __name__ == "__main__":
    main()
