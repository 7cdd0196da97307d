from itertools import pairwise
from pathlib import Path

import pytest

from twintier.plvn_agent.source import SourceError
from twintier.plvn_agent.sources.sumo.demand import Horizon, read_input, write_inputs
from twintier.plvn_agent.sources.sumo.scenario_xml import read_xml, seconds_of

HORIZON = Horizon(begin_s=0.0, end_s=200.0)


def repeat(
    tmp_path: Path, content: str, horizon: Horizon = HORIZON, scenario_end_s: float | None = None
) -> list[dict[str, str]]:
    """Elements of a route file after its demand was made to last."""
    source = tmp_path / "given.rou.xml"
    source.write_text(f"<routes>{content}</routes>", encoding="utf-8")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    inputs = write_inputs([source], [], horizon, scratch, scenario_end_s=scenario_end_s)
    (written,) = inputs.routes
    assert written.parent == scratch
    return [{"tag": e.tag, **e.attrib} for e in read_xml(written)]


def departures(elements: list[dict[str, str]]) -> list[tuple[str, float]]:
    return [(e["id"], float(e["depart"])) for e in elements if "depart" in e]


def test_departures_repeat_with_suffixed_ids_until_the_horizon(tmp_path: Path) -> None:
    given = '<vehicle id="日本" depart="0"/><trip id="b" depart="69.5" from="x" to="y"/>'
    assert departures(repeat(tmp_path, given)) == [
        ("日本", 0.0),
        ("b", 69.5),
        ("日本-r1", 70.0),
        ("b-r1", 139.5),
        ("日本-r2", 140.0),
    ]


def test_definitions_come_once_and_first(tmp_path: Path) -> None:
    given = '<vehicle id="a" type="t" route="r" depart="60"/><vType id="t"/><route id="r"/>'
    assert [e["tag"] for e in repeat(tmp_path, given)] == [
        "vType",
        "route",
        *["vehicle"] * 4,
    ]


def test_unsorted_departures_are_sorted(tmp_path: Path) -> None:
    given = '<vehicle id="late" depart="150"/><vehicle id="early" depart="60"/>'
    assert departures(repeat(tmp_path, given))[:2] == [
        ("early", 60.0),
        ("late", 150.0),
    ]


def test_stops_move_with_their_vehicle(tmp_path: Path) -> None:
    source = tmp_path / "given.rou.xml"
    source.write_text(
        '<routes><vehicle id="a" depart="59"><stop until="80"/></vehicle></routes>',
        encoding="utf-8",
    )
    (written,) = write_inputs([source], [], HORIZON, tmp_path).routes
    stops = [float(stop.get("until", "")) for stop in read_xml(written).iter("stop")]
    assert stops == [80.0, 140.0, 200.0, 260.0]


def test_a_flow_that_lasts_is_not_repeated(tmp_path: Path) -> None:
    given = '<flow id="f" begin="20" end="90000" period="30"/><vehicle id="a" depart="99"/>'
    written = repeat(tmp_path, given)
    assert [e["id"] for e in written] == ["f", "a", "a-r1"]
    assert (written[0]["begin"], written[0]["end"]) == ("20.00", "90000.00")


def test_a_flow_that_ends_begins_again(tmp_path: Path) -> None:
    written = repeat(tmp_path, '<flow id="f" begin="0" end="99.5" period="5"/>')
    assert [(e["id"], float(e["begin"]), float(e["end"])) for e in written] == [
        ("f", 0.0, 99.5),
        ("f-r1", 100.0, 199.5),
    ]


@pytest.mark.parametrize(
    ("flow", "begins"),
    [
        ('begin="0" period="3" number="25"', [0.0, 75.0, 150.0]),
        ('begin="0" vehsPerHour="1200" number="25"', [0.0, 75.0, 150.0]),
        ('begin="0" probability="0.25" number="25"', [0.0, 100.0]),
        ('begin="0" period="exp(0.25)" number="25"', [0.0, 100.0]),
        ('begin="0" end="90" number="30"', [0.0, 90.0, 180.0]),
        ('begin="0" end="00:01:30" period="5"', [0.0, 90.0, 180.0]),
    ],
)
def test_a_flow_of_a_number_begins_again_when_it_is_through(
    tmp_path: Path, flow: str, begins: list[float]
) -> None:
    written = repeat(tmp_path, f'<flow id="f" {flow}/>')
    assert [float(e["begin"]) for e in written] == begins


def test_flows_of_an_interval_last_as_long_as_it(tmp_path: Path) -> None:
    flows = '<flow id="f" period="5"/><flow id="g" number="40"/>'
    given = f'<interval begin="0" end="80">{flows}</interval>'
    written = repeat(tmp_path, given)
    assert [(e["tag"], e["id"], float(e["begin"])) for e in written] == [
        ("flow", "f", 0.0),
        ("flow", "g", 0.0),
        ("flow", "f-r1", 80.0),
        ("flow", "g-r1", 80.0),
        ("flow", "f-r2", 160.0),
        ("flow", "g-r2", 160.0),
    ]
    assert {(e.get("period"), e.get("number")) for e in written} == {("5", None), ("2", "40")}


def test_nothing_departs_after_the_scenario_has_ended(tmp_path: Path) -> None:
    given = (
        '<flow id="f" begin="0" period="5"/><flow id="g" begin="50" period="10" number="99"/>'
        '<vehicle id="straggler" depart="20000"/><flow id="late" begin="120" end="900" period="1"/>'
    )
    written = repeat(tmp_path, given, scenario_end_s=100.0)
    assert [(e["id"], float(e["begin"])) for e in written] == [
        ("f", 0.0),
        ("g", 50.0),
        ("f-r1", 100.0),
        ("g-r1", 150.0),
    ]
    assert [(e.get("end"), e.get("number")) for e in written[:2]] == [("100.00", None), (None, "5")]


def test_a_flow_keeps_its_rhythm_when_it_began_before_the_begin(tmp_path: Path) -> None:
    given = '<flow id="f" begin="0" period="10" number="14"/><vehicle id="v" depart="begin"/>'
    written = repeat(tmp_path, given, Horizon(begin_s=105.0, end_s=160.0))
    assert [(e["id"], e.get("begin"), e.get("number")) for e in written] == [
        ("v", None, None),
        ("f", "110.00", "3"),
    ]


def test_seconds_before_the_first_departure_are_not_repeated(tmp_path: Path) -> None:
    source = tmp_path / "given.rou.xml"
    source.write_text(
        '<routes><vehicle id="a" depart="650"/><vehicle id="b" depart="730"/></routes>'
    )
    inputs = write_inputs([source], [], HORIZON, tmp_path)
    assert inputs.quiet_s == 650.0
    times = [float(e.get("depart", "")) for e in read_xml(inputs.routes[0])]
    assert times == [650.0, 730.0, 731.0, 811.0, 812.0]


def test_the_fastest_driver_of_all_vehicle_types_is_known(tmp_path: Path) -> None:
    source = tmp_path / "given.rou.xml"
    source.write_text(
        '<routes><vType id="a" tau="0.9"/><vTypeDistribution id="d"><vType id="b" tau="0.3"/>'
        '</vTypeDistribution><vType id="c"><carFollowing-IDM tau="0.6"/></vType></routes>'
    )
    assert write_inputs([source], [], HORIZON, tmp_path).least_tau_s == 0.3


def test_what_departs_before_the_begin_is_left_out(tmp_path: Path) -> None:
    given = (
        '<flow id="f" begin="0" end="9000" period="5"/>'
        '<vehicle id="early" depart="99"/><vehicle id="a" depart="100"/>'
    )
    written = repeat(tmp_path, given, Horizon(begin_s=100.0, end_s=200.0))
    assert [e["id"] for e in written] == ["f", "a", "a-r1"]
    assert float(written[0]["begin"]) == 100.0


def test_constant_demand_departs_at_a_constant_rate(tmp_path: Path) -> None:
    given = "".join(f'<vehicle id="v{n}" depart="{n * n}"/>' for n in range(11))
    horizon = Horizon(begin_s=0.0, end_s=202.0, constant=True)
    times = [time for _, time in departures(repeat(tmp_path, given, horizon))]
    steps = {round(b - a, 2) for a, b in pairwise(times)}
    assert len(times) == 22
    assert steps <= {9.18, 9.19}


def test_persons_appear_once(tmp_path: Path) -> None:
    given = '<vehicle id="a" depart="0"/><person id="p" depart="5"/><vehicle id="b" depart="120"/>'
    assert departures(repeat(tmp_path, given)) == [
        ("a", 0.0),
        ("p", 5.0),
        ("b", 120.0),
        ("a-r1", 121.0),
    ]


def test_outputs_go_to_the_null_device_and_inputs_stay(tmp_path: Path) -> None:
    given = tmp_path / "given.add.xml"
    given.write_text(
        '<additional><e1Detector id="d" file="out.xml"/><timedEvent dest="t.xml"/>'
        '<vType id="t"><param key="device.ssm.file" value="ssm.xml"/></vType>'
        '<poly id="p"/><variableSpeedSign id="s" file="speeds.xml"/></additional>',
        encoding="utf-8",
    )
    detector, event, kind, sign = read_input(given)
    assert detector.get("file") == event.get("dest") == "/dev/null"
    assert [part.get("value") for part in kind] == ["/dev/null"]
    assert sign.get("file") == str(tmp_path / "speeds.xml")


def test_includes_are_taken_in(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "in.xml").write_text('<routes><route id="r"/></routes>', encoding="utf-8")
    (tmp_path / "out.xml").write_text('<routes><include href="more/in.xml"/></routes>')
    assert [e.get("id") for e in read_input(tmp_path / "out.xml")] == ["r"]


def test_broken_input_says_which_file(tmp_path: Path) -> None:
    broken = tmp_path / "broken.rou.xml"
    broken.write_text("<routes><vehicle", encoding="utf-8")
    with pytest.raises(SourceError, match=r"broken\.rou\.xml is no XML"):
        read_input(broken)
    with pytest.raises(SourceError, match=r"cannot read .*none\.rou\.xml"):
        read_input(tmp_path / "none.rou.xml")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("75", 75.0), ("00:01:15", 75.0), ("1:00:01:15", 86475.0), ("triggered", None), ("", None)],
)
def test_times_as_sumo_writes_them(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds
