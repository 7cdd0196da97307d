"""AsyncAPI's own parser, from npm, accepts the published document, and refuses a broken one."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from twintier.protocol.asyncapi import text

pytestmark = pytest.mark.system

PARSER = "@asyncapi/parser@3.6.6"
SCRIPT = """
import { readFileSync } from "node:fs";
import parser from "@asyncapi/parser";
const parsed = await new parser.Parser().parse(readFileSync(process.argv[2], "utf8"));
const errors = parsed.diagnostics.filter((found) => found.severity === 0);
console.log(JSON.stringify({ valid: parsed.document !== undefined, errors: errors.length }));
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    made = tmp_path_factory.mktemp("parser")
    (made / "package.json").write_text('{"private": true}')
    installed = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", PARSER],
        cwd=made,
        capture_output=True,
        text=True,
        check=False,
    )
    if installed.returncode != 0:
        pytest.skip(f"{PARSER} could not be installed: {installed.stderr[-300:]}")
    (made / "validate.mjs").write_text(SCRIPT)
    return made


def judged(folder: Path, document: str) -> dict[str, object]:
    (folder / "document.json").write_text(document, encoding="utf-8")
    said = subprocess.run(
        ["node", "validate.mjs", "document.json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    verdict: dict[str, object] = json.loads(said)
    return verdict


def test_the_published_document_is_valid(folder: Path) -> None:
    assert judged(folder, text()) == {"valid": True, "errors": 0}


def test_a_document_that_leads_nowhere_is_not(folder: Path) -> None:
    broken = text().replace("#/components/schemas/Envelope", "#/components/schemas/Nothing")
    verdict = judged(folder, broken)
    assert verdict["valid"] is False
    assert verdict["errors"] != 0
