"""Bytes to messages and back: a msgpack map of the envelope with the message under `body`.

Whatever the bytes, `decode` gives a message or a `RemoteProtocolError`, in time and memory bounded
by the payload limit. Sources and topics are checked here, so no core sees a forged one.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgpack
from pydantic import ValidationError

from twintier.protocol.address import Address
from twintier.protocol.catalogue import BY_NAME, NAMES, Row, row_of
from twintier.protocol.envelope import BlobRef, Envelope
from twintier.protocol.errors import LocalProtocolError, OversizeError, RemoteProtocolError
from twintier.protocol.items import holds_more_than
from twintier.protocol.messages.base import Message
from twintier.protocol.signing import MARK, SIGNATURE_BYTES, Signature
from twintier.protocol.tensors import blob_digest
from twintier.protocol.topics import DEFAULT_ROOT, ParsedTopic, check_source, check_stream, parse
from twintier.protocol.upcast import newest, upcast

MAX_PAYLOAD_BYTES = 8 * 1024 * 1024
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""Of a message that came in chunks."""
CHUNK_BYTES = 256 * 1024
"""Above it a message travels in chunks, unless configured otherwise."""
MAX_CONTAINERS = 8192
MAX_ITEMS = 8192
"""Of one map or array."""
MAX_VALUES = 65_536
"""Keys, containers and what is in them; arrays of numbers travel as one."""
SIGNED_BYTES = len(MARK) + SIGNATURE_BYTES
"""By which a signature makes a message longer."""
_MAP_HEAD_BYTES = 5
"""Of msgpack, at most."""


class Decoded(NamedTuple):
    """A message with where and how it came."""

    envelope: Envelope
    message: Message
    address: Address
    signature: Signature | None = None


class Announced(NamedTuple):
    """The claim check of a message whose bytes are to be asked for in chunks."""

    envelope: Envelope
    blob: BlobRef
    row: Row


def encode(
    envelope: Envelope,
    message: Message,
    *,
    limit_bytes: int = MAX_MESSAGE_BYTES,
) -> bytes:
    """The bytes of a message, not signed.

    Args:
        envelope: of it.
        message: the body.
        limit_bytes: that it may have.

    Raises:
        LocalProtocolError: if the envelope names another type, or a text is no valid Unicode.
        OversizeError: if the bytes exceed the limit.
    """
    row = row_of(type(message))
    if envelope.type != row.name:
        raise LocalProtocolError(f"envelope says {envelope.type}, the body is {row.name}")
    fields = {key: value for key, value in vars(envelope).items() if value is not None}
    fields.pop("blob", None)  # a claim check is made of a whole message
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


def with_signature(payload: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """The same message, ended by a signature of everything before it.

    Args:
        payload: of `encode`.
        sign: makes the signature of some bytes.
    """
    unpacker = msgpack.Unpacker()
    unpacker.feed(payload[:_MAP_HEAD_BYTES])
    keys = unpacker.read_map_header()
    head: bytes = msgpack.Packer().pack_map_header(keys + 1)
    unsigned = head + payload[unpacker.tell() :] + MARK
    return unsigned + sign(unsigned)


def announce(payload: bytes, chunk_size: int) -> tuple[bytes, BlobRef]:
    """The claim check that travels instead of a large message, and what it refers to."""
    blob = BlobRef(digest=blob_digest(payload), size=len(payload), chunk_size=chunk_size)
    fields = dict(msgpack.unpackb(payload))
    del fields["body"]
    fields.pop("sig", None)
    claim_check: bytes = msgpack.packb({**fields, "blob": blob.model_dump()})
    return claim_check, blob


def with_low_watermark(payload: bytes, low_watermark: int) -> bytes:
    """The same message with another `floor` in its envelope."""
    fields = msgpack.unpackb(payload)
    if fields["floor"] == low_watermark:
        return payload
    changed: bytes = msgpack.packb({**fields, "floor": low_watermark})
    return changed


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
    found = read(payload, topic, root, limit_bytes=limit_bytes)
    if isinstance(found, Announced):
        reason = f"{found.envelope.type} travels in {found.blob.chunks} chunks; ask for them"
        raise RemoteProtocolError("incomplete", reason, found.envelope)
    return found


def read(
    payload: bytes,
    topic: str,
    root: str = DEFAULT_ROOT,
    *,
    limit_bytes: int = MAX_PAYLOAD_BYTES,
) -> Decoded | Announced:
    """The message in some bytes, or the claim check of one that travels in chunks.

    Raises:
        RemoteProtocolError: as `decode` does.
    """
    parsed = parse(topic, root)
    if len(payload) > limit_bytes:
        raise RemoteProtocolError("oversize", f"{len(payload)} bytes exceed {limit_bytes}")
    fields = _unpack(payload)
    name = fields.get("type")
    if not isinstance(name, str):
        raise RemoteProtocolError("malformed", "the envelope has no text under `type`")
    envelope = _envelope(fields)
    try:
        row = _row(newest(name), parsed, topic)
        check_source(envelope.src, row, parsed.address)
        check_stream(envelope.stream, row, topic, root)
        if envelope.blob is not None:
            return Announced(envelope, _blob_of(envelope.blob, row), row)
        message = _body(row, name, fields.get("body"))
    except RemoteProtocolError as error:
        error.envelope = envelope
        raise
    return Decoded(envelope, message, parsed.address, _signature(fields, payload, topic))


def _unpack(payload: bytes) -> dict[object, object]:
    if payload[:16].lstrip()[:1] in {b"{", b"["}:  # a small number, in msgpack
        raise RemoteProtocolError("malformed", "looks like JSON; send the envelope as msgpack")
    if holds_more_than(MAX_VALUES, payload):
        raise RemoteProtocolError("malformed", f"more than {MAX_VALUES} values; send fewer")
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


def _row(name: str, parsed: ParsedTopic, topic: str) -> Row:
    row = next((row for row in parsed.rows if row.name == name), None)
    if row is not None:
        return row
    if name in BY_NAME:
        raise RemoteProtocolError("wrong_topic", f"{name} does not travel on {topic[:128]}")
    kind = name.partition(".")[0]
    if kind in NAMES:
        known = next(known for known in BY_NAME if known.partition(".")[0] == kind)
        reason = f"{name} is not a version known here; send {known}"
        raise RemoteProtocolError("unknown_version", reason)
    raise RemoteProtocolError("unknown_type", f"{name[:64]!r} is not in the catalogue")


def _blob_of(blob: BlobRef, row: Row) -> BlobRef:
    if not row.bulk:
        raise RemoteProtocolError("invalid_body", f"{row.name} does not travel in chunks")
    if blob.size > MAX_MESSAGE_BYTES:
        raise RemoteProtocolError("oversize", f"{blob.size} bytes exceed {MAX_MESSAGE_BYTES}")
    return blob


def _signature(fields: dict[object, object], payload: bytes, topic: str) -> Signature | None:
    value = fields.get("sig")
    if not isinstance(value, bytes) or payload[-len(MARK) - SIGNATURE_BYTES :] != MARK + value:
        return None
    return Signature(topic, payload[:-SIGNATURE_BYTES], value)


def _envelope(fields: dict[object, object]) -> Envelope:
    try:
        return Envelope.model_validate(fields)
    except ValidationError as error:
        raise RemoteProtocolError("malformed", f"envelope: {_first(error)}") from error


def _body(row: Row, name: str, body: object) -> Message:
    try:
        return row.message.model_validate(upcast(name, body), strict=True)
    except ValidationError as error:
        raise RemoteProtocolError("invalid_body", f"{row.name}: {_first(error)}") from error
    except ValueError as error:
        raise RemoteProtocolError("invalid_body", f"{name}: {error}") from error


def _first(error: ValidationError) -> str:
    """The first finding, without the offending value, which may be large."""
    finding = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in finding["loc"])
    return f"{place}: {finding['msg']} ({error.error_count()} findings)"[:256]
