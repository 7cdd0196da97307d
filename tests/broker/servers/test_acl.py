import pytest

from twintier.broker.servers.acl import access_rules
from twintier.protocol.catalogue import EDGE, PLVN, Row
from twintier.protocol.errors import InvalidIdError
from twintier.protocol.ids import EdgeId
from twintier.protocol.messages import HealthReported


def blocks() -> dict[str, list[str]]:
    """Rules by user; those of PLVNs under `%u`."""
    found: dict[str, list[str]] = {}
    for block in access_rules([EdgeId("e1")], watchers=["ops"]).strip().split("\n\n")[1:]:
        lines = block.splitlines()
        name = lines.pop(0).removeprefix("user ") if lines[0].startswith("user ") else "%u"
        found[name] = lines
    return found


def test_a_plvn_writes_below_its_own_up_and_reads_its_own_down() -> None:
    rules = blocks()["%u"]
    assert "pattern write twintier/v1/plvn/%u/up/perf/+" in rules
    assert "pattern read twintier/v1/plvn/%u/down/model/+" in rules
    assert "pattern write twintier/v1/mon/plvn/%u" in rules
    open_to_all = {"pattern read twintier/v1/cloud/status", "pattern write twintier/v1/mon/dead"}
    assert {rule for rule in rules if "%u" not in rule} == open_to_all
    assert not [rule for rule in rules if " write " in rule and "/down/" in rule]


def test_an_edge_server_has_its_own_branch_and_every_plvn() -> None:
    rules = blocks()["e1"]
    assert "topic write twintier/v1/plvn/+/down/model/+" in rules
    assert "topic read twintier/v1/plvn/+/up/traj/+" in rules
    assert "topic write twintier/v1/edge/e1/up/twin/+/attrs" in rules
    assert "topic read twintier/v1/edge/e1/down/meta/+/round" in rules
    assert not [rule for rule in rules if "/edge/+" in rule or "grant" in rule]


def test_only_the_cloud_twin_grants_and_a_watcher_only_reads() -> None:
    everything = blocks()
    assert "topic write twintier/v1/plvn/+/down/grant" in everything["cloud"]
    granting = [
        u for u, rules in everything.items() for r in rules if "write" in r and "grant" in r
    ]
    assert granting == ["cloud"]
    assert everything["ops"] == [*denied("ops"), "topic read twintier/v1/#"]


def denied(user: str) -> list[str]:
    return [f"topic deny twintier/v1/plvn/{user}/#", f"topic deny twintier/v1/mon/plvn/{user}"]


def test_a_row_of_the_catalogue_is_all_that_rules_follow_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = Row(HealthReported, "plvn/{plvn}/down/word/{inmf}", EDGE, PLVN, None, "seq")
    monkeypatch.setattr("twintier.broker.servers.acl.CATALOGUE", (row,))
    assert blocks() == {
        "%u": ["pattern read twintier/v1/plvn/%u/down/word/+"],
        "e1": [*denied("e1"), "topic write twintier/v1/plvn/+/down/word/+"],
        "cloud": denied("cloud"),
        "ops": [*denied("ops"), "topic read twintier/v1/#"],
    }


def test_an_edge_id_cannot_add_rules() -> None:
    with pytest.raises(InvalidIdError, match="does not match"):
        access_rules([EdgeId("e1\ntopic write #")])
