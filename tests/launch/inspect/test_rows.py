"""What the asking verbs make of what is heard."""

import json
from collections.abc import Callable
from importlib.metadata import EntryPoint

import pytest
from typer.testing import CliRunner

from tests.support.names import COOP_PERCEPTION
from tests.support.peers import Peer
from tests.support.toy import performance
from twintier.launch.cli.app import app
from twintier.launch.cli.asking import NOUNS
from twintier.launch.exit_codes import ExitCode
from twintier.launch.inspect import asking
from twintier.launch.inspect.output import as_text, print_one, print_rows, show_one
from twintier.launch.inspect.projection import View
from twintier.launch.inspect.rows import (
    edge_rows,
    inmf_rows,
    model_rows,
    plvn_rows,
    twin_rows,
)
from twintier.protocol.address import Address
from twintier.protocol.ids import EdgeId, PlvnId
from twintier.protocol.messages import (
    AttributesReported,
    EdgeStatusReported,
    IndividualModelReported,
    LibraryIndexed,
)

P1, P2, E1 = PlvnId("p1"), PlvnId("p2"), EdgeId("e1")
CATEGORY = "city=berlin|tod=day"
MODEL = IndividualModelReported(
    inmf=COOP_PERCEPTION,
    version=2,
    model="a" * 64,
    state="in_force",
    origin="meta_model",
    origin_category=CATEGORY,
    origin_version=1,
    adaptation_steps=3,
    exchanges=2,
    evidence="emulated",
    reward_before=0.5,
    reward_after=0.75,
    baseline_reward=0.6,
    bound_reward=0.9,
    true_slots=150,
    synthetic_slots=3000,
    sim_time_s=100.0,
    replaced="",
    cause=(),
)
ATTRIBUTES = AttributesReported(
    sim_time_s=100.0,
    n_samples=60,
    hour=8.0,
    city="berlin",
    road=None,
    lat_deg=52.5,
    lon_deg=13.4,
    vehicle_number=12.5,
    inmfs=(),
    category=CATEGORY,
)


def indexed(category: str, version: int) -> LibraryIndexed:
    return LibraryIndexed(
        inmf=COOP_PERCEPTION,
        category=category,
        version=version,
        model="b" * 64,
        iterations=80,
        adaptation_reward_first=0.25,
        adaptation_reward_last=0.5,
    )


@pytest.fixture
def view() -> View:
    seen = View()
    seen.edges[E1] = EdgeStatusReported(
        state="online", lease_s=15, lat_deg=52.5, lon_deg=13.25, capacity=64, twins=1
    )
    for model in (indexed("", 3), indexed(CATEGORY, 1)):
        seen.library[model.inmf, model.category] = model
    first = seen.plvn(P1)
    first.edge, first.attributes = E1, ATTRIBUTES
    own = first.inmf(COOP_PERCEPTION)
    own.model, own.performance = MODEL, performance(0)
    own.recent.append((7.5, 10))
    seen.plvn(P2).inmf(COOP_PERCEPTION)
    return seen


def test_a_plvn_is_shown_as_a_network(view: View) -> None:
    first, second = plvn_rows(view)
    assert {name: first[name] for name in ("id", "edge_server", "category", "vehicles")} == {
        "id": "p1",
        "edge_server": "e1",
        "category": CATEGORY,
        "vehicles": 12.5,
    }
    assert first["rewards"] == {COOP_PERCEPTION: 0.75}
    assert first["attributes"] == ATTRIBUTES.model_dump(mode="json")
    assert second["rewards"] == {COOP_PERCEPTION: None}
    assert {second[name] for name in ("id", "edge_server", "category")} == {"p2", None}


def test_a_report_of_a_twin_says_which_server_hosts_it() -> None:
    view, peer = View(), Peer("edge:e1", "b1")
    view.take(peer.decoded(ATTRIBUTES, Address(edge=E1, plvn=P1), 0.0)[0])
    assert [row["edge_server"] for row in plvn_rows(view)] == ["e1"]


def test_a_twin_is_shown_with_what_acts_and_its_model(view: View) -> None:
    first, second = twin_rows(view)
    assert (first["acts"], first["state"], first["from"]) == (
        performance(0).policy,
        "in_force",
        CATEGORY,
    )
    assert first["model"] == MODEL.model_dump(mode="json")
    assert (second["id"], second["acts"], second["model"]) == ("p2", None, None)


def test_the_library_is_shown_with_the_twins_of_each_model(view: View) -> None:
    supermodel, model = model_rows(view)
    assert (supermodel["id"], supermodel["version"], supermodel["twins"]) == (
        "coop-perception/super",
        3,
        [],
    )
    assert (model["id"], model["twins"]) == (f"coop-perception/{CATEGORY}", ["p1"])


def test_an_edge_server_is_shown_with_its_twins(view: View) -> None:
    [edge] = edge_rows(view)
    assert edge == {
        "id": "e1",
        "state": "online",
        "lat_deg": 52.5,
        "lon_deg": 13.25,
        "capacity": 64,
        "twins": 1,
        "hosts": ["p1"],
    }


def test_an_inmf_is_shown_with_where_it_comes_from() -> None:
    entry = EntryPoint("toy", "toys.inmf:TOY", "twintier.inmf")
    [row] = inmf_rows([entry])
    assert (row["id"], row["object"], row["package"]) == ("toy", "toys.inmf:TOY", None)
    assert "not installed" in str(row["problem"])


def test_an_inmf_says_what_it_states() -> None:
    rows = {row["id"]: row for row in inmf_rows()}
    ours = rows[COOP_PERCEPTION]
    assert (ours["loop"], ours["bound"]) == ("emulated and true trajectories", "clairvoyant")
    assert (ours["calibration"], ours["teacher"], ours["problem"]) == (True, True, None)


def test_every_noun_shows_its_columns(view: View) -> None:
    for noun in NOUNS:
        assert set(noun.columns) <= set(noun.rows(view)[0])


def test_rows_are_a_table_for_people_and_json_for_programs(
    view: View, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = plvn_rows(view)
    assert print_rows(rows, ("id", "edge_server", "vehicles"), as_json=False) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["id", "edge", "server", "vehicles"], ["p1", "e1", "12.5"], ["p2"]]
    print_rows(rows, ("id",), as_json=True)
    assert json.loads(capsys.readouterr().out) == rows


def test_one_thing_is_a_line_for_each_value(capsys: pytest.CaptureFixture[str]) -> None:
    print_one({"id": "[x]:cloud:", "place": {"lat_deg": 1.0}, "none": None}, as_json=False)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["id", "[x]:cloud:"], ["place.lat", "deg", "1"], ["none"]]


def test_an_unknown_name_is_answered_with_the_nearest(
    view: View, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show_one(plvn_rows(view), "plvn", "p11", as_json=True) == ExitCode.UNKNOWN
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "twintier: no plvn has the name p11\n  why: did you mean p1?\n"
        "  next: twintier plvn show p1\n"
    )
    assert show_one([], "edge", "e9", as_json=False) == ExitCode.UNKNOWN
    assert capsys.readouterr().err == (
        "twintier: no edge has the name e9\n  why: 0 are there, and none is near\n"
        "  next: twintier edge list\n"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0.12345, "0.123"),
        (12345.6, "12346"),
        (["a", 1.0], "a, 1"),
        ({"a": 0.5}, "a 0.5"),
        (3, "3"),
    ],
)
def test_a_value_in_a_cell_is_short(value: object, text: str) -> None:
    assert as_text(value) == text


def test_a_verb_listens_where_the_settings_say_and_answers(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[asking.Asked] = []

    def heard(question: asking.Asked, answer: Callable[[View], int]) -> int:
        asked.append(question)
        return answer(view)

    monkeypatch.setattr(asking, "run_asking", heard)
    monkeypatch.setattr("twintier.launch.cli.asking.quiet_logs", lambda: None)  # is for good
    monkeypatch.setenv("TWINTIER_CONNECTION__URL", "mqtt://there:1")
    words = ["twin", "show", "p1", "-o", "json", "--root", "fleet", "--seconds", "1"]
    shown = CliRunner().invoke(app, words)
    assert json.loads(shown.stdout) == twin_rows(view)[0]
    [question] = asked
    assert (question.connection.url, question.root, question.seconds) == (
        "mqtt://there:1",
        "fleet",
        1.0,
    )
    assert CliRunner().invoke(app, ["edge", "show", "e2"]).exit_code == 13
