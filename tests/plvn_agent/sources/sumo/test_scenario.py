import gzip
import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from twintier.plvn_agent.source import SourceError
from twintier.plvn_agent.sources.registry import SourceOptions
from twintier.plvn_agent.sources.sumo.kind import Sumo
from twintier.plvn_agent.sources.sumo.lights import write_cycles
from twintier.plvn_agent.sources.sumo.place import check_place
from twintier.plvn_agent.sources.sumo.roads import road_class
from twintier.plvn_agent.sources.sumo.scenario import load_scenario, sumo_home
from twintier.plvn_agent.sources.sumo.scenario_xml import read_xml
from twintier.plvn_agent.sources.sumo.source import deployment_of
from twintier.protocol.ids import check_level

LOCATION = '<location netOffset="0,0" projParameter="{}"/>'


def write_scenario(folder: Path, options: str, projection: str = "+proj=utm +zone=32") -> Path:
    (folder / "a.net.xml").write_text(f"<net>{LOCATION.format(projection)}<edge/></net>")
    for name in ("a.rou.xml", "b.rou.xml", "a.add.xml"):
        (folder / name).write_text("<routes/>")
    return write_config(folder, options)


def write_config(folder: Path, options: str) -> Path:
    config = folder / "run.sumocfg"
    config.write_text(f"<configuration>{options}</configuration>")
    return config


def test_a_configuration_is_taken_apart(tmp_path: Path) -> None:
    folder = tmp_path / "Old Town"
    folder.mkdir()
    config = write_scenario(
        folder,
        '<input><net-file value="a.net.xml"/><route-files value="a.rou.xml, b.rou.xml"/>'
        '<additional-files value="a.add.xml"/></input>'
        '<output><tripinfo-output value="t.xml"/><fcd-output value="f.xml"/></output>'
        '<time><begin value="06:00:00"/><end value="100"/><step-length value=".2"/></time>'
        '<processing><collision.action value="warn"/><time-to-teleport value="0"/></processing>'
        '<input><load-state value="s.xml"/></input>'
        '<report><log value="l.txt"/></report><gui_only><osg-view value="true"/></gui_only>',
    )
    scenario = load_scenario(config)
    assert scenario.city == "Old Town"
    assert scenario.network == folder / "a.net.xml"
    assert scenario.routes == (folder / "a.rou.xml", folder / "b.rou.xml")
    assert scenario.additional == (folder / "a.add.xml",)
    assert scenario.options == (("collision.action", "warn"), ("time-to-teleport", "0"))
    assert (scenario.begin_s, scenario.end_s, scenario.step_s) == (21_600.0, 100.0, 0.2)
    assert scenario.ignored == ("load-state",)


def test_a_configuration_without_sections_is_read_as_well(tmp_path: Path) -> None:
    config = write_scenario(tmp_path, '<n v="a.net.xml"/><r v="a.rou.xml"/><b v="30"/>')
    scenario = load_scenario(config, city="Bologna", road="local")
    assert (scenario.city, scenario.road, scenario.begin_s) == ("Bologna", "local", 30.0)
    assert scenario.routes == (tmp_path / "a.rou.xml",)


def test_names_and_values_are_read_as_sumo_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AREA", "town")
    config = write_scenario(
        tmp_path,
        "<input><net-file>a.net.xml</net-file>"
        '<routes value=" my%20${AREA}.rou.xml ,${NOWHERE}b.rou.xml"/></input>'
        '<time><e value="1:00:00"/></time>',
    )
    (tmp_path / "my town.rou.xml").write_text("<routes/>")
    scenario = load_scenario(config)
    assert scenario.network == tmp_path / "a.net.xml"
    assert scenario.routes == (tmp_path / "my town.rou.xml", tmp_path / "b.rou.xml")
    assert scenario.end_s == 3600.0


@pytest.mark.parametrize("option", ["begin", "end", "step-length"])
def test_a_time_that_is_none_is_refused_by_name(tmp_path: Path, option: str) -> None:
    config = write_scenario(tmp_path, f'<n v="a.net.xml"/><{option} v="noon"/>')
    with pytest.raises(SourceError, match=f"{option} 'noon' is no time; write seconds"):
        load_scenario(config)


def test_what_writes_a_file_is_left_behind_under_each_name(tmp_path: Path) -> None:
    written = ["summary", "tripinfo", "ndump", "vehroutes.sorted", "device.ssm.file", "l", "seed"]
    written += ["device.taxi.idle-algorithm.output", "device.rerouting.output", "save-state.times"]
    options = "".join(f'<{name} v="1"/>' for name in written)
    scenario = load_scenario(write_scenario(tmp_path, f'<n v="a.net.xml"/>{options}'))
    assert (scenario.options, scenario.ignored) == ((), ())


def test_a_gzipped_network_is_read(tmp_path: Path) -> None:
    config = write_scenario(tmp_path, '<input><net-file value="a.net.xml.gz"/></input>')
    network = (tmp_path / "a.net.xml").read_bytes()
    (tmp_path / "a.net.xml.gz").write_bytes(gzip.compress(network))
    assert load_scenario(config).network == tmp_path / "a.net.xml.gz"
    (tmp_path / "a.net.xml").write_bytes(gzip.compress(network))
    other = write_config(tmp_path, '<n v="a.net.xml"/>')
    assert load_scenario(other).network == tmp_path / "a.net.xml"


@pytest.mark.parametrize("projection", ["!", "-", ""])
def test_a_network_without_projection_is_refused(tmp_path: Path, projection: str) -> None:
    config = write_scenario(tmp_path, '<input><net-file value="a.net.xml"/></input>', projection)
    with pytest.raises(SourceError, match="has no projection"):
        load_scenario(config)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    config = write_scenario(
        tmp_path, '<input><net-file value="a.net.xml"/><route-files value="c.rou.xml"/></input>'
    )
    with pytest.raises(SourceError, match=r"c\.rou\.xml does not exist; mend the path"):
        load_scenario(config)
    with pytest.raises(SourceError, match=r"cannot read .*none\.sumocfg"):
        load_scenario(tmp_path / "none.sumocfg")


def test_a_configuration_without_network_is_refused(tmp_path: Path) -> None:
    config = write_scenario(tmp_path, "<input/>")
    with pytest.raises(SourceError, match="names no net-file"):
        load_scenario(config)


def test_missing_sumo_names_the_line_that_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(SourceError, match=r"pip install 'twintier\[sumo\]'"):
        sumo_home()


def test_lights_that_wait_for_a_player_get_a_cycle(tmp_path: Path) -> None:
    network = tmp_path / "a.net.xml"
    network.write_text(
        '<net><tlLogic id="A" programID="0"><phase duration="4" state="yr"/>'
        '<phase duration="1000" state="rG"/></tlLogic>'
        '<tlLogic id="A" programID="1"><phase duration="4" state="ry"/>'
        '<phase duration="1000" state="Gr"/></tlLogic>'
        '<tlLogic id="B" programID="0"><phase duration="30" state="G"/></tlLogic></net>'
    )
    assert write_cycles(network, tmp_path / "lights.xml")
    (program,) = read_xml(tmp_path / "lights.xml")
    assert (program.get("id"), program.get("type")) == ("A", "actuated")
    assert [(p.get("state"), p.get("duration"), p.get("maxDur")) for p in program] == [
        ("yr", "4", None),
        ("rG", "20", "45"),
        ("ry", "4", None),
        ("Gr", "20", "45"),
    ]


def test_usual_lights_are_left_alone(tmp_path: Path) -> None:
    network = tmp_path / "a.net.xml"
    network.write_text('<net><tlLogic id="B"><phase duration="30" state="G"/></tlLogic></net>')
    assert not write_cycles(network, tmp_path / "lights.xml")


@pytest.mark.parametrize(
    ("limit_mps", "road"),
    [(13.9, "local"), (14.0, "arterial"), (24.9, "arterial"), (25.0, "highway")],
)
def test_road_classes(limit_mps: float, road: str) -> None:
    assert road_class(limit_mps) == road


def test_a_deployment_holds_no_character_that_a_topic_may_not() -> None:
    assert deployment_of("Old Town", "Highway") == "old-town-highway"
    for city in ("São/Paulo + #1", "日本", "x" * 80, "", "#"):
        name = deployment_of(city, "local")
        assert len(name) <= 56
        assert check_level(f"{name}-rsu64")


@pytest.mark.parametrize(
    ("one", "other"),
    [("日本", "中国"), ("São", "Séo"), ("a/b", "a+b"), ("x" * 80 + "1", "x" * 80 + "2")],
)
def test_names_that_lose_characters_stay_apart(one: str, other: str) -> None:
    for limit in (40, 56):
        assert deployment_of(one, "local", limit) != deployment_of(other, "local", limit)
        assert len(deployment_of(one, "local", limit)) <= limit


def test_city_and_name_are_options(tmp_path: Path) -> None:
    config = write_scenario(tmp_path, '<n v="a.net.xml"/>')
    named = SourceOptions("sumo", network=str(config), city="Ulm", rsus=1)
    assert Sumo().possible_plvns(named) == [
        "ulm-highway-rsu1",
        "ulm-arterial-rsu1",
        "ulm-local-rsu1",
    ]
    named = replace(named, name="west", rsus=2, seed=3)
    assert Sumo().possible_plvns(named) == ["west-rsu1", "west-rsu2"]
    assert Sumo().make(named).clock_id == "west-3"


@pytest.mark.parametrize("name", ["a/b", "x" * 41])
def test_a_name_that_cannot_begin_an_id_is_refused(tmp_path: Path, name: str) -> None:
    config = write_scenario(tmp_path, '<n v="a.net.xml"/>')
    with pytest.raises(SourceError, match=f"name '{name}'"):
        Sumo().make(SourceOptions("sumo", network=str(config), name=name))


LAT_LON = "11.3,44.48,11.34,44.52"


@pytest.mark.parametrize(
    ("boundary", "found", "message"),
    [
        (LAT_LON, (11.3, 44.5), "latitude and longitude are swapped"),
        (LAT_LON, (-44.5, 11.3), "a sign is wrong"),
        (LAT_LON, (44.5, 5.3), "roads lie at 44.48 to 44.52 N 11.3 to 11.34 E, so its zone"),
        (LAT_LON, (0.0, 4.5), "its zone or offset is another; mend netOffset"),
        ("0,0,1800,1300", (0.01, 0.02), "has no origin"),
        ("0,0,1800,1300", (float("inf"), 0.0), "no place on earth"),
    ],
)
def test_a_network_that_lies_elsewhere_is_refused(
    tmp_path: Path, boundary: str, found: tuple[float, float], message: str
) -> None:
    network = tmp_path / "a.net.xml"
    network.write_text(
        f'<net><location convBoundary="0,0,1800,1300" origBoundary="{boundary}"'
        ' netOffset="0,0" projParameter="+proj=tmerc"/></net>'
    )
    with pytest.raises(SourceError, match=message):
        check_place(network, [found])
    check_place(network, [(44.5, 11.32)])
