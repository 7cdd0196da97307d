"""Bytes to messages and back: a msgpack map of the envelope with the message under `body`.

Whatever the bytes, `decode` gives a message or a `RemoteProtocolError`, in time and memory bounded
by the payload limit. Sources and topics are checked here, so no core sees a forged one.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

import msgpack
from pydantic import ValidationError

from protocol.address import Address
from protocol.catalogue import BY_NAME, NAMES, Row, row_of
from protocol.envelope import Envelope
from protocol.errors import LocalProtocolError, OversizeError, RemoteProtocolError
from protocol.messages.base import Message
from protocol.topics import DEFAULT_ROOT, check_source, parse

MAX_PAYLOAD_BYTES = 8 * 1024 * 1024
MAX_CONTAINERS = 8192
MAX_ITEMS = 8192
_TYPE = re.compile(r"([a-z][a-z-]{0,63})\.v[1-9][0-9]{0,3}")


class Decoded(NamedTuple):
    """A message with where and how it came."""

    envelope: Envelope
    message: Message
    address: Address


def encode(envelope: Envelope, message: Message, *, limit_bytes: int = MAX_PAYLOAD_BYTES) -> bytes:
    """The bytes of a message.

    Raises:
        LocalProtocolError: if the envelope names another type, or a text is no valid Unicode.
        OversizeError: if the bytes exceed the limit.
    """
    row = row_of(type(message))
    if envelope.type != row.name:
        raise LocalProtocolError(f"envelope says {envelope.type}, the body is {row.name}")
    fields = {key: value for key, value in vars(envelope).items() if value is not None}
    fields["body"] = message.model_dump()
    try:
        payload: bytes = msgpack.packb(fields)
    except ValueError as error:
        raise LocalProtocolError(f"{row.name} cannot be packed: {error}") from error
    if len(payload) > limit_bytes:
        raise OversizeError(
            f"{row.name} of {len(payload)} bytes exceeds {limit_bytes}; send it in parts"
        )
    return payload


def decode(
    payload: bytes,
    topic: str,
    root: str = DEFAULT_ROOT,
    *,
    limit_bytes: int = MAX_PAYLOAD_BYTES,
) -> Decoded:
    """The message in some bytes that came on a topic.

    Raises:
        RemoteProtocolError: if it is not a message of the catalogue, on its topic, from a source
            that may send it.
    """
    parsed = parse(topic, root)
    if len(payload) > limit_bytes:
        raise RemoteProtocolError("oversize", f"{len(payload)} bytes exceed {limit_bytes}")
    fields = _unpack(payload)
    row = _row(fields.get("type"))
    envelope = _envelope(fields)
    if row not in parsed.rows:
        raise RemoteProtocolError("wrong_topic", f"{row.name} does not travel on {topic[:128]}")
    check_source(envelope.src, row, parsed.address)
    return Decoded(envelope, _body(row, fields), parsed.address)


def _unpack(payload: bytes) -> dict[object, object]:
    budget = _Budget()
    try:
        unpacked: object = msgpack.unpackb(
            payload,
            use_list=False,
            object_pairs_hook=budget.mapping,
            list_hook=budget.sequence,
            max_array_len=MAX_ITEMS,
            max_map_len=MAX_ITEMS,
            max_ext_len=0,
        )
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise RemoteProtocolError("malformed", f"not one msgpack map: {error}"[:256]) from error
    if not isinstance(unpacked, dict):
        raise RemoteProtocolError("malformed", f"a {type(unpacked).__name__}, not a map")
    return unpacked


class _Budget:
    """Counts containers, which cost far more memory than the byte that announces them."""

    def __init__(self) -> None:
        self._left = MAX_CONTAINERS

    def mapping(self, pairs: Iterable[tuple[object, object]]) -> dict[object, object]:
        """A map without duplicate keys."""
        self._spend()
        items = list(pairs)
        unique = dict(items)
        if len(unique) != len(items):
            raise ValueError("a map holds a key twice")
        return unique

    def sequence(self, items: tuple[object, ...]) -> tuple[object, ...]:
        """An array as a tuple."""
        self._spend()
        return items

    def _spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"more than {MAX_CONTAINERS} maps and arrays")


def _row(name: object) -> Row:
    if not isinstance(name, str):
        raise RemoteProtocolError("malformed", "the envelope has no text under `type`")
    row = BY_NAME.get(name)
    if row is not None:
        return row
    match = _TYPE.fullmatch(name)
    if match is not None and match[1] in NAMES:
        raise RemoteProtocolError("unknown_version", f"{name} is not a version known here")
    raise RemoteProtocolError("unknown_type", f"{name[:64]!r} is not in the catalogue")


def _envelope(fields: dict[object, object]) -> Envelope:
    try:
        return Envelope.model_validate(fields)
    except ValidationError as error:
        raise RemoteProtocolError("malformed", f"envelope: {_first(error)}") from error


def _body(row: Row, fields: dict[object, object]) -> Message:
    try:
        return row.message.model_validate(fields.get("body"), strict=True)
    except ValidationError as error:
        raise RemoteProtocolError("invalid_body", f"{row.name}: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    """The first finding, without the offending value, which may be large."""
    finding = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in finding["loc"])
    return f"{place}: {finding['msg']} ({error.error_count()} findings)"[:256]
