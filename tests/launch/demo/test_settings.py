"""What the demo asks of the processes that it starts."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperCommand, TyperGroup

from twintier.cloud_twin.settings import CloudSettings
from twintier.launch.cli.app import app
from twintier.launch.connection import Connection
from twintier.launch.demo.platform import InProcesses
from twintier.launch.demo.settings import DemoOptions
from twintier.launch.settings.errors import SettingError
from twintier.launch.settings.resolve import Given, Settings
from twintier.plvn_agent.sources import registry

INMFS = "coop-perception,vnf-scaling"
CHOSEN: dict[str, str | bool] = {
    "demo.source": "builtin",
    "demo.duration_s": "10",
    "cloud.algorithm": "reptile",
    "cloud.seed": "5",
    "edge.seed": "5",
    "source.seed": "5",
    "source.plvns": "3",
    "source.constant": True,
    "host.speed": "20",
    "deployment.inmfs": INMFS,
}


def options(given: Given) -> DemoOptions:
    return DemoOptions.of(Settings(given))


def commands(given: Given, tmp_path: Path) -> dict[str, list[str]]:
    connection = Connection("mqtt://127.0.0.1:1")
    platform = InProcesses(options(given), connection, tmp_path)
    return {name: command.arguments for name, command in platform._commands.items()}


def test_names_and_numbers_follow_from_the_settings() -> None:
    chosen = options(Given(CHOSEN))
    assert (chosen.source, ",".join(chosen.inmfs), chosen.expected_plvns) == ("builtin", INMFS, 3)
    cloud = chosen.cloud_settings()
    assert cloud == CloudSettings(algorithm="reptile", seed=5, expected_edges=2, expected_plvns=3)
    source = chosen.source_options("builtin")
    assert (source.plvns, source.seed, source.constant) == (3, 5, True)
    assert source.duration_sim_s == 3200.0  # 90 s of planning, 10 s and 60 s more, at 20 s a second
    assert [edge.seed for edge in chosen.edge_settings()] == [5, 5]


@pytest.mark.parametrize("setting", ["source.city", "source.name"])
def test_one_name_for_two_networks_is_refused(setting: str) -> None:
    with pytest.raises(SettingError, match="name one scenario with --scenario"):
        options(Given({setting: "west"}))
    own = options(Given({setting: "west", "demo.scenario": "own.sumocfg"}))
    assert own.networks == ("own.sumocfg",)


@pytest.mark.parametrize("source", ["sumo", "builtin"])
def test_each_network_has_agents_of_its_own(source: str) -> None:
    chosen = options(Given({"demo.source": source}))
    expected = {"sumo": (("berlin", "braunschweig"), 8)}
    assert (tuple(chosen.networks), chosen.expected_plvns) == expected.get(source, ((source,), 4))


def test_an_installed_source_says_how_many_plvns_are_expected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    builtin = EntryPoint("mine", "twintier.plvn_agent.sources.builtin:Builtin", registry.GROUP)
    monkeypatch.setattr(registry, "installed", lambda: {"mine": builtin})
    chosen = options(Given({"demo.source": "mine", "source.plvns": "3"}))
    assert (tuple(chosen.networks), chosen.expected_plvns) == (("mine",), 3)


def test_every_process_is_told_what_the_demo_was_told(tmp_path: Path) -> None:
    file = tmp_path / "deployment.toml"
    file.write_text("[edge]\ncapacity = 7\n")
    told = commands(Given(CHOSEN, file, ("agent.retry_s=2",)), tmp_path)
    assert list(told) == ["cloud", "edge-1", "edge-2", "agents-1"]
    for words in told.values():
        assert words[words.index("--config") + 1] == str(file)
        assert {"agent.retry_s=2", "cloud.algorithm=reptile", f"deployment.inmfs={INMFS}"} <= set(
            words
        )
    assert told["agents-1"][-6:] == [
        "--source", "builtin", "--network", "builtin", "--demand-s", "3200.0",
    ]  # fmt: skip


def test_every_process_understands_its_words(tmp_path: Path) -> None:
    up = typer.main.get_group(app).commands["up"]
    assert isinstance(up, TyperGroup)
    for words in commands(Given(CHOSEN), tmp_path).values():
        command = up.commands[words[1]]
        assert isinstance(command, TyperCommand)
        command.make_context(words[1], words[2:])
