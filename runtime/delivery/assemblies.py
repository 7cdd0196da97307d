"""Large messages on their way in: whose, how many, and what waits behind them. No I/O.

What a peer announces costs it nothing, so everything here is bounded for each source and in all:
the announced bytes, and the deliveries that wait unacknowledged, of which a broker sends no more
than a hundred ahead.
"""

from collections.abc import Iterator

from twintier.broker.bus import Delivery
from twintier.protocol.codec import MAX_MESSAGE_BYTES, Announced
from twintier.runtime.delivery.chunks import Assembly
from twintier.runtime.storage.journal import StreamKey

MAX_BYTES = 256 * 1024 * 1024
"""Of all large messages that are on their way in at a time."""
MAX_BYTES_OF_SOURCE = MAX_MESSAGE_BYTES
MAX_MESSAGES = 32
MAX_MESSAGES_OF_SOURCE = 4
MAX_HELD = 32
"""Deliveries that wait behind large messages, in all."""


class Assemblies:
    """The large messages under way, at most one of each stream."""

    def __init__(self) -> None:
        self._by_stream: dict[StreamKey, Assembly] = {}

    def __len__(self) -> int:
        return len(self._by_stream)

    def __iter__(self) -> Iterator[Assembly]:
        return iter(list(self._by_stream.values()))

    def of(self, stream: StreamKey) -> Assembly | None:
        """The one that a stream waits for."""
        return self._by_stream.get(stream)

    def excess(self, announced: Announced) -> str | None:
        """Why one more cannot be taken now; None if it can."""
        size, src = announced.blob.size, announced.envelope.src
        everything = list(self._by_stream.values())
        for whose, found, most, most_bytes in (
            (f" of {src}", [a for a in everything if a.src == src],
             MAX_MESSAGES_OF_SOURCE, MAX_BYTES_OF_SOURCE),
            ("", everything, MAX_MESSAGES, MAX_BYTES),
        ):  # fmt: skip
            if len(found) >= most:
                return f"{len(found)} large messages{whose} are under way; send it again later"
            under_way = sum(a.blob.size for a in found)
            if under_way + size > most_bytes:
                return f"{size} bytes, with {under_way}{whose} under way, exceed {most_bytes}"
        return None

    def add(self, assembly: Assembly) -> None:
        """Take one in."""
        self._by_stream[assembly.stream] = assembly

    def remove(self, assembly: Assembly) -> None:
        """It is whole, or never will be."""
        del self._by_stream[assembly.stream]

    def fed_by(self, src: str, digest: str) -> list[Assembly]:
        """Those that a chunk is for; nobody feeds or ends what another has announced."""
        return [a for a in self if a.src == src and a.blob.digest == digest]

    def hold(self, assembly: Assembly, delivery: Delivery) -> bool:
        """Keep a delivery of the same stream until then; returns whether there is room."""
        if sum(len(each.held) for each in self) >= MAX_HELD:
            return False
        assembly.held.append(delivery)
        return True
