"""The catalogue as an AsyncAPI 3 document.

`python -m twintier.protocol.asyncapi docs/asyncapi.json` writes it.
With it alone a client in another language can take part: topics, who sends what, QoS, and a JSON
schema for each message. Byte strings are msgpack `bin`, which JSON Schema calls format `binary`.
"""

import json
import re
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from twintier.protocol.catalogue import CATALOGUE, Role, Row
from twintier.protocol.envelope import Envelope
from twintier.protocol.ids import LEVEL_PATTERN
from twintier.protocol.topics import DEFAULT_ROOT, ROLES, prefix

Json = dict[str, object]

ASYNCAPI = "3.0.0"
MQTT_BINDING = "0.2.0"
CONTENT_TYPE = "application/msgpack"
JSON_SCHEMA = "https://json-schema.org/draft/2020-12/schema"
REFERENCE = "#/components/schemas/{model}"
PARAMETERS = {
    "plvn": "A PLVN.",
    "edge": "An edge server.",
    "inmf": "An INMF that is managed.",
    "category_digest": "blake2b-128 of a category's key, hexadecimal.",
    "digest": "blake2b-256 of a message's bytes, hexadecimal.",
    "role": "Role of a process.",
    "id": "Identity of a process within its role.",
}


def document(root: str = DEFAULT_ROOT) -> Json:
    """The whole document."""
    return {
        "asyncapi": ASYNCAPI,
        "info": {
            "title": "twintier",
            "version": "1.0.0",
            "description": "Every interaction of the two-tier digital twins; see protocol.md.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {
            _channel_name(topic): _channel(topic, rows, root) for topic, rows in _topics()
        },
        "operations": _operations(),
        "components": {
            "messages": {row.message.__name__: _message(row) for row in CATALOGUE},
            "schemas": _schemas(),
        },
    }


def _topics() -> list[tuple[str, list[Row]]]:
    ordered = sorted(CATALOGUE, key=lambda row: row.topic)
    return [(topic, list(rows)) for topic, rows in groupby(ordered, key=lambda row: row.topic)]


def _channel_name(topic: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", topic).strip("-")


def _channel(topic: str, rows: Sequence[Row], root: str) -> Json:
    channel: Json = {
        "address": prefix(root) + topic,
        "messages": {
            row.message.__name__: {"$ref": f"#/components/messages/{row.message.__name__}"}
            for row in rows
        },
    }
    names = re.findall(r"{(\w+)}", topic)
    if names:
        channel["parameters"] = {name: _parameter(name) for name in names}
    return channel


def _parameter(name: str) -> Json:
    parameter: Json = {"description": f"{PARAMETERS[name]} Matches {LEVEL_PATTERN}."}
    if name == "role":
        parameter["enum"] = list(ROLES)
    return parameter


def _operations() -> Json:
    """Operations from the view of each role: what it sends, what it receives."""
    operations: Json = {}
    for row in CATALOGUE:
        for role in row.publishers:
            operations[f"{role}-sends-{_stem(row)}"] = _operation(row, role, "send")
        for role in row.subscribers:
            operations[f"{role}-receives-{_stem(row)}"] = _operation(row, role, "receive")
    return operations


def _stem(row: Row) -> str:
    stem = row.name.replace(".", "-")
    return stem if row.branch is None else f"{stem}-{row.branch.replace('/', '-')}"


def _operation(row: Row, role: Role, action: str) -> Json:
    channel = f"#/channels/{_channel_name(row.topic)}"
    binding: Json = {"qos": row.qos, "bindingVersion": MQTT_BINDING}
    if action == "send":
        binding["retain"] = row.retain
        if row.ttl_s is not None:
            binding["messageExpiryInterval"] = int(row.ttl_s)
    return {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{row.message.__name__}"}],
        "tags": [{"name": role}],
        "bindings": {"mqtt": binding},
    }


def _message(row: Row) -> Json:
    return {
        "name": row.name,
        "title": row.message.__name__,
        "summary": (row.message.__doc__ or "").strip().splitlines()[0],
        "contentType": CONTENT_TYPE,
        "payload": {
            "allOf": [
                {"$ref": REFERENCE.format(model=Envelope.__name__)},
                {
                    "type": "object",
                    "required": ["type", "body"],
                    "properties": {
                        "type": {"const": row.name},
                        "body": {"$ref": REFERENCE.format(model=row.message.__name__)},
                    },
                },
            ]
        },
    }


def _schemas(template: str = REFERENCE) -> Json:
    models: list[type[BaseModel]] = [Envelope, *(row.message for row in CATALOGUE)]
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template=template
    )
    schemas: Json = definitions["$defs"]
    return schemas


def text(root: str = DEFAULT_ROOT) -> str:
    """The document as JSON."""
    return json.dumps(document(root), indent=1, sort_keys=True) + "\n"


def schemas_text() -> str:
    """JSON Schemas of the envelope and of every body, by class, as JSON."""
    definitions = {"$schema": JSON_SCHEMA, "$defs": _schemas("#/$defs/{model}")}
    return json.dumps(definitions, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
