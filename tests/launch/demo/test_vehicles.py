"""Where SUMO cannot run the demo goes on with vehicles that need nothing, and says so."""

import pytest

from twintier.launch.demo import vehicles
from twintier.launch.demo.settings import DemoOptions
from twintier.launch.demo.vehicles import with_vehicles
from twintier.launch.settings.resolve import Given, Settings
from twintier.plvn_agent.source import SourceError

PROBLEM = "SUMO cannot run on this machine: libGL.so.1 is missing; run: apt-get install -y libgl1"


def options(**given: str) -> DemoOptions:
    return DemoOptions.of(Settings(Given({f"demo.{name}": value for name, value in given.items()})))


@pytest.fixture
def no_sumo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        vehicles, "problem_of", lambda name: PROBLEM if name in {"sumo", "other"} else None
    )


@pytest.mark.usefixtures("no_sumo")
def test_built_in_vehicles_stand_in_for_sumo() -> None:
    chosen = with_vehicles(options())
    assert (chosen.source, tuple(chosen.networks)) == ("builtin", ("builtin",))
    assert (chosen.stands_in_for, chosen.because) == ("sumo", PROBLEM)
    assert chosen.expected_plvns == 4


@pytest.mark.usefixtures("no_sumo")
def test_what_can_run_stays_as_it_is() -> None:
    assert with_vehicles(options(source="builtin")) == options(source="builtin")


@pytest.mark.usefixtures("no_sumo")
@pytest.mark.parametrize("chosen", [{"scenario": "own.sumocfg"}, {"source": "other"}])
def test_nothing_stands_in_for_a_scenario_or_another_source(chosen: dict[str, str]) -> None:
    with pytest.raises(SourceError, match=r"libGL\.so\.1 is missing; run: apt-get install"):
        with_vehicles(options(**chosen))
