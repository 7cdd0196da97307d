import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from twintier.broker.certs import folder as certs
from twintier.launch.cli.app import app


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["certs", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = run("create", tmp_path / "certs", "--edge", "e1", "--plvn", "p1", "--watcher", "ops")
    assert made.exit_code == 0
    assert "certificates of broker, cloud, e1, p1, ops, monitor" in made.stdout
    return tmp_path / "certs"


def shown(folder: Path) -> tuple[int, dict[str, dict[str, object]]]:
    result = run("show", folder, "-o", "json")
    return result.exit_code, {entry["subject"]: entry for entry in json.loads(result.stdout)}


def test_subject_role_and_days_left_are_shown(folder: Path) -> None:
    code, entries = shown(folder)
    assert code == 0
    roles = {subject: entry["role"] for subject, entry in entries.items()}
    assert roles == {
        "ca": "ca",
        "broker": "broker",
        "cloud": "cloud",
        "e1": "edge",
        "monitor": "watcher",
        "ops": "watcher",
        "p1": "plvn",
    }
    assert (entries["p1"]["days_left"], entries["p1"]["must_be_renewed"]) == (364, False)
    text = run("show", folder)
    assert ["p1", "plvn", "364"] in [
        line.replace("│", " ").split() for line in text.stdout.splitlines()
    ]


def test_a_certificate_that_ends_within_seven_days_makes_show_fail(folder: Path) -> None:
    assert run("rotate", folder, "--days", "7").exit_code == 0
    code, entries = shown(folder)
    assert (code, entries["e1"]["days_left"]) == (10, 6)
    assert "ends soon: twintier certs rotate" in run("show", folder).stdout


def test_a_certificate_that_has_ended_is_shown_so(folder: Path) -> None:
    certs.rotate(folder, now=datetime.now(UTC) - timedelta(days=9), days=8)
    code, entries = shown(folder)
    assert (code, entries["p1"]["days_left"]) == (10, -2)
    assert "ENDED" in run("show", folder).stdout


def test_a_new_authority_is_a_matter_of_three_commands(folder: Path) -> None:
    assert run("rotate", folder, "--ca").exit_code == 0
    assert shown(folder)[1]["p1"]["old_authority"] is True
    early = run("rotate", folder, "--drop-old-ca")
    assert early.exit_code == 2
    assert "are by the old authority\n" in early.stderr
    assert f"  next: run `twintier certs rotate {folder}` first\n" in early.stderr
    assert run("rotate", folder).exit_code == 0
    assert run("rotate", folder, "--drop-old-ca").exit_code == 0
    assert not [e for e in shown(folder)[1].values() if e["old_authority"]]


def test_what_cannot_be_done_is_said_with_code_2(folder: Path, tmp_path: Path) -> None:
    again = run("create", folder)
    assert (again.exit_code, "--force" in again.stderr) == (2, True)
    nobody = run("add", folder)
    assert (nobody.exit_code, "name somebody with" in nobody.stderr) == (2, True)
    nowhere = run("show", tmp_path / "none")
    assert (nowhere.exit_code, "cannot read" in nowhere.stderr) == (2, True)


def test_one_more_edge_server_is_added_with_a_word_about_its_rules(folder: Path) -> None:
    added = run("add", folder, "--edge", "e2")
    assert added.exit_code == 0
    assert "added e2" in added.stdout
    assert "SIGHUP" in added.stdout
