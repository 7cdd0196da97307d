import json
import re
from pathlib import Path

import pytest

from twintier.protocol.asyncapi import document, text
from twintier.protocol.catalogue import CATALOGUE, Row

FILE = Path(__file__).parents[2] / "docs" / "asyncapi.json"


def test_the_published_document_is_that_of_the_catalogue() -> None:
    assert FILE.read_text(encoding="utf-8") == text(), "run python -m twintier.protocol.asyncapi"


def test_every_reference_leads_somewhere() -> None:
    whole = document()
    found = references(whole)
    assert len(found) > 100
    for reference in found:
        place: object = whole
        for part in reference.removeprefix("#/").split("/"):
            assert isinstance(place, dict), reference
            place = place[part]


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.name)
def test_each_row_has_an_operation_for_each_role_that_takes_part(row: Row) -> None:
    whole = json.loads(text())
    stem = row.name.replace(".", "-")
    stem += "" if row.branch is None else "-" + row.branch.replace("/", "-")
    sent = {f"{role}-sends-{stem}" for role in row.publishers}
    heard = {f"{role}-receives-{stem}" for role in row.subscribers}
    named = {n for n in whole["operations"] if re.fullmatch(rf"\w+-(sends|receives)-{stem}", n)}
    assert named == sent | heard
    for name in sent:
        operation = whole["operations"][name]
        channel = whole["channels"][operation["channel"]["$ref"].rpartition("/")[2]]
        assert channel["address"] == f"twintier/v1/{row.topic}"
        assert operation["bindings"]["mqtt"]["qos"] == row.qos
        assert operation["bindings"]["mqtt"]["retain"] == row.retain


def references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [r for inner in value.values() for r in references(inner)]
    if isinstance(value, list):
        return [r for inner in value for r in references(inner)]
    return []
