"""Topics: built from a message class and an address, and read back into them.

Levels keep to the grammar of `protocol.ids`, so an identity can never add levels or wildcards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

from twintier.protocol.address import Address
from twintier.protocol.catalogue import CATALOGUE, Role, Row, row_on
from twintier.protocol.errors import InvalidIdError, LocalProtocolError, RemoteProtocolError
from twintier.protocol.ids import CategoryKey, EdgeId, InmfId, PlvnId, check_level
from twintier.protocol.messages.base import Message

DEFAULT_ROOT = "twintier"
WIRE_VERSION = "v1"
MAX_TOPIC_BYTES = 256
MAX_SLASHES = 7
ROLES: tuple[Role, ...] = ("plvn", "edge", "cloud")
_CACHED_TOPICS = 4096


@dataclass(frozen=True, slots=True)
class ParsedTopic:
    """What a topic says: the rows that may travel on it, and whose it is."""

    rows: tuple[Row, ...]
    address: Address


def prefix(root: str) -> str:
    """The levels before every template.

    Raises:
        InvalidIdError: if the root is not one level.
    """
    return f"{check_level(root)}/{WIRE_VERSION}/"


def topic_for(message: type[Message], address: Address, root: str = DEFAULT_ROOT) -> str:
    """The topic of a message class at an address.

    Raises:
        InvalidIdError: if a level is no valid identity.
        LocalProtocolError: if the address lacks a level of the template.
    """
    return prefix(root) + stream_for(message, address)


@lru_cache(maxsize=_CACHED_TOPICS)
def stream_for(message: type[Message], address: Address) -> str:
    """The topic without its root, which also names the stream that `seq` counts in.

    Raises:
        InvalidIdError: if a level is no valid identity.
        LocalProtocolError: if the address lacks a level of the template, or the branch.
    """
    row = row_on(message, address.branch)
    levels: list[str] = []
    for segment in row.topic.split("/"):
        if not segment.startswith("{"):
            levels.append(segment)
            continue
        value = _level(address, segment)
        if value is None:
            raise LocalProtocolError(f"address of {row.name} lacks {segment} of {row.topic}")
        levels.append(check_level(value))
    return "/".join(levels)


def subscription(message: type[Message], mask: Address, root: str = DEFAULT_ROOT) -> str:
    """The filter for a message class; levels that the mask leaves None match any.

    Raises:
        InvalidIdError: if a level is no valid identity.
    """
    levels: list[str] = []
    for segment in row_on(message, mask.branch).topic.split("/"):
        value = _level(mask, segment) if segment.startswith("{") else segment
        levels.append("+" if value is None else check_level(value))
    return prefix(root) + "/".join(levels)


def subscriptions(
    messages: Sequence[type[Message]], mask: Address, root: str = DEFAULT_ROOT
) -> list[str]:
    """The filters for message classes, each once, in order."""
    return list(dict.fromkeys(subscription(message, mask, root) for message in messages))


@lru_cache(maxsize=_CACHED_TOPICS)
def parse(topic: str, root: str = DEFAULT_ROOT) -> ParsedTopic:
    """Read a topic.

    Raises:
        RemoteProtocolError: if nothing in the catalogue travels there.
    """
    start = prefix(root)
    if len(topic.encode()) > MAX_TOPIC_BYTES or not topic.startswith(start):
        raise RemoteProtocolError("invalid_topic", f"topic {topic[:64]!r} is not below {start}")
    levels = topic[len(start) :].split("/")
    rows = tuple(row for row in CATALOGUE if _fits(row, levels))
    if not rows:
        raise RemoteProtocolError("invalid_topic", f"topic {topic[:64]!r} is not in the catalogue")
    return ParsedTopic(rows, _address(rows[0], levels))


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a topic filter with `+` and `#` matches a topic."""
    wanted, levels = topic_filter.split("/"), topic.split("/")
    for index, segment in enumerate(wanted):
        if segment == "#":
            return True
        if index >= len(levels) or segment not in ("+", levels[index]):
            return False
    return len(wanted) == len(levels)


def category_digest(category: CategoryKey) -> str:
    """The level that stands for a category in a topic: blake2b-128, hexadecimal."""
    return blake2b(category.encode(), digest_size=16).hexdigest()


def check_source(src: str, row: Row, address: Address) -> None:
    """Refuse a source that may not publish a row at an address.

    Raises:
        RemoteProtocolError: `wrong_source`, if it may not.
    """
    role, _, sender = src.partition(":")
    owner = _owner(row, address)
    allowed = role in row.publishers and owner in (None, src)
    if role == "cloud":
        allowed = allowed and sender == "cloud"
    if not allowed:
        expected = owner or " or ".join(row.publishers)
        raise RemoteProtocolError("wrong_source", f"{row.name} from {src}, expected {expected}")


def check_stream(stream: str, row: Row, topic: str, root: str = DEFAULT_ROOT) -> None:
    """Refuse a stream that the sender has made up: a message counts in that of its topic.

    Raises:
        RemoteProtocolError: `malformed`, if it is another.
    """
    expected = topic[len(prefix(root)) :]
    if stream not in (expected, row.shared_stream):
        shared = "" if row.shared_stream is None else f" or {row.shared_stream!r}"
        reason = f"{row.name} in stream {stream[:64]!r}, expected {expected!r}{shared}"
        raise RemoteProtocolError("malformed", reason[:512])


def _owner(row: Row, address: Address) -> str | None:
    """The only source of a branch; None where the row's roles are all there is to know."""
    branch = row.topic.split("/")
    if branch[0] == "mon" and address.id is not None:
        return f"{address.role}:{address.id}"
    if len(branch) > 2 and branch[2] == "up":
        return f"plvn:{address.plvn}" if branch[0] == "plvn" else f"edge:{address.edge}"
    return None


def _fits(row: Row, levels: Sequence[str]) -> bool:
    segments = row.topic.split("/")
    if len(segments) != len(levels):
        return False
    return all(
        _is_value(segment, level) if segment.startswith("{") else segment == level
        for segment, level in zip(segments, levels, strict=True)
    )


def _is_value(segment: str, level: str) -> bool:
    if segment == "{role}":
        return level in ROLES
    try:
        check_level(level)
    except InvalidIdError:
        return False
    return True


def _level(address: Address, segment: str) -> str | None:
    match segment:
        case "{plvn}":
            return address.plvn
        case "{edge}":
            return address.edge
        case "{inmf}":
            return address.inmf
        case "{category_digest}":
            return address.category_digest
        case "{role}":
            return address.role
        case "{digest}":
            return address.digest
        case _:
            return address.id


def _address(row: Row, levels: Sequence[str]) -> Address:
    found = {
        segment: level
        for segment, level in zip(row.topic.split("/"), levels, strict=True)
        if segment.startswith("{")
    }
    plvn, edge, inmf = found.get("{plvn}"), found.get("{edge}"), found.get("{inmf}")
    return Address(
        plvn=None if plvn is None else PlvnId(plvn),
        edge=None if edge is None else EdgeId(edge),
        inmf=None if inmf is None else InmfId(inmf),
        category_digest=found.get("{category_digest}"),
        role=found.get("{role}"),
        id=found.get("{id}"),
        digest=found.get("{digest}"),
        branch=row.branch,
    )
