"""The protocol page: `python -m twintier.protocol.document docs/protocol.md` writes it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from twintier.protocol.catalogue import BY_NAME, CATALOGUE, Row
from twintier.protocol.codec import CHUNK_BYTES, MAX_CONTAINERS, MAX_PAYLOAD_BYTES, MAX_VALUES
from twintier.protocol.envelope import Envelope
from twintier.protocol.errors import RefusalCode
from twintier.protocol.ids import LEVEL_PATTERN, MAX_ID_LENGTH
from twintier.protocol.tensors import Tensors
from twintier.protocol.topics import DEFAULT_ROOT, MAX_SLASHES, MAX_TOPIC_BYTES, WIRE_VERSION
from twintier.protocol.upcast import UPCASTERS

HEAD = f"""\
# Wire protocol

Written by `python -m twintier.protocol.document`; edit `protocol/catalogue.py` and the messages
instead.

Everything that crosses the bus is one MQTT message: QoS 0 or 1, MQTT 3.1.1 or 5. Its topic is
`{{root}}/{WIRE_VERSION}/` and a line of the table below; the root is `{DEFAULT_ROOT}` unless
configured. Levels in braces are identities: `{LEVEL_PATTERN}`, at most {MAX_ID_LENGTH} characters.
A topic has at most {MAX_SLASHES} slashes and {MAX_TOPIC_BYTES} bytes.

The payload is one msgpack map: the envelope, and the message under `body`. A receiver ignores
envelope keys that it does not know and refuses a body with a field that it does not know; a
changed body is a new version of the type (`.v2`). Older versions are understood as well, which are:

{", ".join(f"`{name}`" for name in UPCASTERS)}.

Refused: a key twice, NaN or infinity,
bytes after the map, more than {MAX_CONTAINERS} maps and arrays, more than {MAX_VALUES} values in
all, more than {MAX_PAYLOAD_BYTES} bytes. Integers stand for floats where a float is expected.
Numbers are SI with the unit in the name.
"""

RULES = f"""\
## Rules

- **Source.** `src` must be the identity in the topic below `up/`, in statuses and in
  `mon/{{role}}/{{id}}`; below `down/` it must have the role that the table names. Else the
  message is refused.
- **Order and duplicates.** `seq` counts from 1 within (`src`, `boot`, `stream`); the stream is
  the topic without root and version, else the message is `malformed`. Two others are allowed:
  `will` for a status, and for `chunk-sent` its branch and `/blob`, such as `plvn/up/blob`. A
  receiver takes each number once; of those missing it waits for the last 1024.
- **Expiry.** `ttl_ms` is relative. A receiver takes the smallest difference between its clock
  and `ts_ns` that it has lately seen from a process as "no age", so a skewed clock ends nothing,
  and one that jumps only for a minute. `uploads-acknowledged` does not expire in a receiver.
- **Presence.** Statuses are retained and carry a lease; the will is the same message, offline,
  on a stream of its own (`will`). Boots are time-ordered: a process that hears a live status of
  its own source under a greater boot has been replaced and ends.
- **Guarantee.** `plain` messages are delivered as their QoS says. `answered` ones are sent
  again by their sender until there is an answer or nobody needs one, so they may come twice
  under other numbers and are the same by their key. `outbox` ones are kept by their sender, over
  restarts, until the receiver's `uploads-acknowledged`: `floor` is the smallest number of the
  stream that may still come; a receiver takes exactly the number after the last it took, or the
  one that equals a `floor` above it, keeps that number together with the effect, and
  acknowledges cumulatively; what comes ahead it does not take, and says `again`.
- **Large messages.** Above {CHUNK_BYTES} bytes only a claim check travels on the topic: the
  envelope with `blob` and no body. The receiver asks on the opposite branch (`chunks-requested`)
  and the chunks of the whole message, envelope and body, come on the branch of the topic
  (`chunk-sent`). The digest is that of the whole. Only types whose row may be large travel so.
- **Signatures.** Messages of an edge server below `plvn/{{plvn}}/down/` may end with the key
  `sig`: an Ed25519 signature over the topic, a zero byte and all bytes before the value of
  `sig`. The key that checks it is in the grant, which the cloud twin signed. An agent that knows
  the cloud twin's key obeys nothing else.
- **Acknowledgement.** A process acknowledges a delivery to the broker after its records are
  saved and its answers handed to the bus; so a message may come again, and then counts once.
- **Refusals** go to `mon/dead`, are counted by code in `mon/{{role}}/{{id}}`, and go back to a
  sender that could be read: `message-returned` on the opposite branch.
"""


def page() -> str:
    """The whole page, in Markdown."""
    parts = [HEAD, _topics(), RULES, _refusals(), _envelope(), *_messages()]
    return "\n".join(parts)


def _topics() -> str:
    head = (
        "## Topics\n\n"
        "| type | topic | from | to | QoS | retained | expires | guarantee | same if equal |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
    )
    return head + "".join(_topic(row) for row in CATALOGUE)


def _topic(row: Row) -> str:
    lasting = "when replaced" if row.retain else "sender says"
    expires = lasting if row.ttl_s is None else f"{row.ttl_s:g} s"
    cells = (
        f"[`{row.name}`](#{row.name.replace('.', '')})",
        f"`{row.topic}`",
        ", ".join(row.publishers),
        ", ".join(row.subscribers) or "who watches",
        str(row.qos),
        "yes" if row.retain else "no",
        expires,
        row.guarantee,
        row.key,
    )
    return f"| {' | '.join(cells)} |\n"


def _refusals() -> str:
    codes = ", ".join(f"`{code}`" for code in get_args(RefusalCode))
    return f"Codes: {codes}.\n"


def _envelope() -> str:
    return "## Envelope\n\n" + _fields(Envelope)


def _messages() -> Iterator[str]:
    yield "## Messages\n"
    for row in BY_NAME.values():
        yield f"### {row.name}\n\n{_doc(row.message)}\n\n{_fields(row.message)}"
    yield "## Parts of messages\n"
    for part in _parts():
        yield f"### {part.__name__}\n\n{_doc(part)}\n\n{_fields(part)}"


def _parts() -> list[type[BaseModel]]:
    found: dict[type[BaseModel], None] = {}
    waiting: list[type[BaseModel]] = [row.message for row in CATALOGUE]
    while waiting:
        for info in waiting.pop().model_fields.values():
            for part in _models(info.annotation):
                if part not in found:
                    found[part] = None
                    waiting.append(part)
    return sorted(found, key=lambda part: part.__name__)


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _fields(model: type[BaseModel]) -> str:
    head = "| field | type | bounds |\n|---|---|---|\n"
    return head + "".join(
        f"| `{name}` | {_type(info.annotation)} | {_bounds(info)} |\n"
        for name, info in model.model_fields.items()
    )


def _type(annotation: object) -> str:
    if annotation is type(None):
        return "null"
    if annotation is Tensors:
        return "Tensors"
    if isinstance(annotation, type):
        return annotation.__name__
    supertype = getattr(annotation, "__supertype__", None)
    if supertype is not None:
        return _type(supertype)
    arguments = get_args(annotation)
    if getattr(annotation, "__metadata__", None) is not None:
        return _type(arguments[0])
    if all(isinstance(argument, str) for argument in arguments):
        return " or ".join(f"`{_cell(argument)}`" for argument in arguments)
    if arguments[-1] is Ellipsis:
        return f"array of {_type(arguments[0])}"
    return " or ".join(_type(argument) for argument in arguments)


def _bounds(info: FieldInfo) -> str:
    texts = [repr(item) for item in (*info.metadata, *_inner_metadata(info.annotation))]
    known = [text for text in texts if not text.startswith("AfterValidator")]
    return ", ".join(f"`{_cell(text.partition('(')[2].rstrip(')'))}`" for text in known)


def _inner_metadata(annotation: object) -> Iterator[object]:
    """Bounds of what a union or an array holds."""
    for inner in get_args(annotation):
        for item in getattr(inner, "__metadata__", ()):
            yield from item.metadata if isinstance(item, FieldInfo) else (item,)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _doc(model: type[BaseModel]) -> str:
    return "\n".join(line.strip() for line in (model.__doc__ or "").strip().splitlines())


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
