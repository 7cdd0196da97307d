"""What must hold of stores whenever their process may have been killed, and at the end of a run.

Whatever the bus has carried was durable before: who was told of a placement, a model or an
acknowledgement must find it in the store of whoever said it. And each batch of trajectories that a
PLVN has sent has one effect.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

import msgpack

from twintier.protocol.codec import Decoded
from twintier.protocol.messages import (
    GrantRenewed,
    IndividualModelReported,
    LibraryIndexed,
    MessageReturned,
    RegistrationGranted,
    TrajectoriesReported,
    TwinPlaced,
    TwinRegistered,
    UploadsAcknowledged,
)

Key = TypeVar("Key")
Stream = tuple[str, str, str]
"""(src, boot, stream)."""


@dataclass
class Said:
    """What the bus has carried so far, as far as something follows from it."""

    granted: dict[str, int] = field(default_factory=dict)
    """Newest fence that the cloud twin has granted, by PLVN."""
    hosted: dict[str, int] = field(default_factory=dict)
    """Newest fence that the edge server has confirmed, by PLVN."""
    models: dict[tuple[str, str], int] = field(default_factory=dict)
    """Newest version that the edge server has reported, by PLVN and INMF."""
    library: dict[tuple[str, str], int] = field(default_factory=dict)
    """Newest version that the cloud twin has announced, by INMF and category."""
    acknowledged: dict[Stream, int] = field(default_factory=dict)
    """How far receivers have said that they have come."""
    batches: dict[str, tuple[str, str, str, int]] = field(default_factory=dict)
    """Stream and number of each batch of trajectories, by its digest."""
    returned: set[tuple[str, str, str, int]] = field(default_factory=set)
    """Streams and numbers of messages that came back with a reason."""

    def take(self, decoded: Decoded) -> None:
        """Note one message."""
        message, address = decoded.message, decoded.address
        match message:
            case RegistrationGranted() | GrantRenewed() | TwinPlaced():
                grant = message.grant
                _raise(self.granted, grant.plvn, grant.fence)
            case TwinRegistered():
                grant = message.grant
                _raise(self.hosted, grant.plvn, grant.fence)
            case IndividualModelReported() if message.state != "deleted":
                _raise(self.models, (str(address.plvn), message.inmf), message.version)
            case LibraryIndexed():
                _raise(self.library, (message.inmf, message.category), message.version)
            case _:
                self._take_upload(decoded)

    def _take_upload(self, decoded: Decoded) -> None:
        message, envelope = decoded.message, decoded.envelope
        src = f"plvn:{decoded.address.plvn}"
        match message:
            case UploadsAcknowledged() if decoded.address.plvn is not None:
                for at in message.positions:
                    _raise(self.acknowledged, (src, at.boot, at.stream), at.seq)
            case MessageReturned():
                self.returned.add((src, message.boot, message.stream, message.seq))
            case TrajectoriesReported():
                place = (envelope.src, envelope.boot, envelope.stream, envelope.seq)
                self.batches[digest_of(message)] = place
            case _:
                pass


def _raise(newest: dict[Key, int], key: Key, value: int) -> None:
    newest[key] = max(value, newest.get(key, 0))


def digest_of(message: TrajectoriesReported) -> str:
    """Of a batch: what is the same here and in the store."""
    return _digest(message.model_dump())


def _digest(body: object) -> str:
    return blake2b(msgpack.packb(body), digest_size=16).hexdigest()


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    """Of a database that nobody has open; none if it is not there yet."""
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.execute(query))


def broken_in_cloud(said: Said, store: Path) -> Iterator[str]:
    """What the cloud twin has said and does not know."""
    found = rows(store, "SELECT plvn, fence FROM plvns")
    fences = {str(plvn): int(str(fence)) for plvn, fence in found}
    for plvn, fence in said.granted.items():
        if fences.get(plvn, 0) < fence:
            yield f"grant of {plvn} with fence {fence}, kept is {fences.get(plvn)}"
    kept = {(a, b, c) for a, b, c in rows(store, "SELECT inmf, category, version FROM meta_models")}
    for (inmf, category), version in said.library.items():
        if (inmf, category, version) not in kept:
            yield f"meta model {inmf} {category or 'super'} v{version} is announced and not kept"


def broken_in_edge(said: Said, store: Path) -> Iterator[str]:
    """What an edge server has said and does not know."""
    twins = {str(plvn) for (plvn,) in rows(store, "SELECT plvn FROM twins")}
    for plvn in said.hosted.keys() - twins:
        yield f"twin of {plvn} is confirmed and not kept"
    newest = "SELECT plvn, inmf, MAX(version) FROM individual_models GROUP BY plvn, inmf"
    versions = {(a, b): int(str(c)) for a, b, c in rows(store, newest)}
    for key, version in said.models.items():
        if versions.get(key, 0) < version:
            yield f"model v{version} of {key} is reported, kept is {versions.get(key)}"
    accepted = accepted_in(store)
    followed = {(src, stream) for src, _, stream in accepted}
    for (src, boot, stream), seq in said.acknowledged.items():
        kept = accepted.get((src, boot, stream))
        if kept is None and (src, stream) in followed:
            continue  # its source has started again since, and the old place is forgotten
        if kept is None or kept < seq:
            yield f"{stream} of {src} is acknowledged up to {seq}, kept is {kept}"


def accepted_in(store: Path) -> dict[Stream, int]:
    """How far each stream has come."""
    found = rows(store, "SELECT src, boot, stream, seq FROM accepted")
    return {(str(a), str(b), str(c)): int(str(n)) for a, b, c, n in found}


@dataclass(frozen=True, slots=True)
class Effects:
    """What became of the batches that were sent."""

    lost: Sequence[str]
    doubled: Sequence[str]


def effects_of(said: Said, edge: Path, agents: Path) -> Effects:
    """Compare the batches that the bus has carried with those in the stores.

    A batch that is still in its sender's outbox is not lost, nor one that came back with a reason.
    """
    kept: Counter[str] = Counter()
    for (message,) in rows(edge, "SELECT message FROM trajectories"):
        assert isinstance(message, bytes)
        body = msgpack.unpackb(message, use_list=False)
        del body["type"]
        kept[_digest(body)] += 1
    waiting = set(rows(agents, "SELECT src, boot, stream, seq FROM uploads"))
    spared = waiting | said.returned
    return Effects(
        lost=[d for d, place in said.batches.items() if not kept[d] and place not in spared],
        doubled=[digest for digest, count in kept.items() if count > 1],
    )
