"""`twintier schema export`: each document is what the catalogue says."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from twintier.broker.servers.acl import access_rules
from twintier.launch.cli.app import app
from twintier.protocol.asyncapi import text
from twintier.protocol.catalogue import BY_MESSAGE
from twintier.protocol.document import page
from twintier.protocol.ids import EdgeId


def export(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["schema", "export", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_each_document_is_written_from_the_catalogue(tmp_path: Path) -> None:
    assert export("--asyncapi") == text()
    assert export("--asyncapi", "--root", "fleet") == text("fleet") != text()
    assert export("--markdown") == page()
    assert export("--acl", "--edge", "e1", "--edge", "e2") == access_rules(
        [EdgeId("e1"), EdgeId("e2")]
    )
    export(str(tmp_path / "asyncapi.json"), "--asyncapi")
    assert (tmp_path / "asyncapi.json").read_text() == text()


def test_every_body_and_the_envelope_have_a_schema() -> None:
    definitions = json.loads(export("--jsonschema"))["$defs"]
    names = {message.__name__ for message in BY_MESSAGE} | {"Envelope"}
    assert names <= definitions.keys()
    assert definitions["Envelope"]["properties"]["blob"]["anyOf"][0] == {"$ref": "#/$defs/BlobRef"}


@pytest.mark.parametrize("arguments", [(), ("--asyncapi", "--acl"), ("--acl", "--edge", "a/b")])
def test_what_cannot_be_exported_says_so(arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, ["schema", "export", *arguments])
    assert result.exit_code == 2


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none" / "x"
    result = CliRunner().invoke(app, ["schema", "export", str(path), "--asyncapi"])
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
