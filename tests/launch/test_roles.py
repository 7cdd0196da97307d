"""A role that cannot go on: said with its exit code on standard error, where its log goes too."""

import asyncio
import os
import signal
from importlib.metadata import EntryPoint
from typing import NoReturn

import pytest
import structlog

from twintier.broker.mqtt.link import MqttSettings
from twintier.inmf.registry import UnknownInmfError
from twintier.launch import roles
from twintier.launch.case_study.source import TaskSource
from twintier.launch.exit_codes import ExitCode
from twintier.launch.roles import run_role
from twintier.launch.settings.own import ConnectionSettings, DeploymentSettings
from twintier.launch.sources import SourceOptions, make_source, start_source
from twintier.plvn_agent.settings import AgentSettings
from twintier.plvn_agent.slot_loop import Host, HostSettings
from twintier.plvn_agent.source import SourceError
from twintier.plvn_agent.sources import registry
from twintier.plvn_agent.sources.builtin import BuiltinSource
from twintier.protocol.ids import PlvnId

SEED = SourceOptions("builtin", plvns=1, seed=3)


class Faulty:
    """A kind of source whose code has a defect."""

    def make(self, options: SourceOptions) -> NoReturn:
        raise KeyError(options.source)

    def possible_plvns(self, options: SourceOptions) -> list[PlvnId]:
        del options
        return []


def raises(*_: object) -> NoReturn:
    raise ValueError("no road")


def test_a_source_that_raises_in_making_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("faulty", f"{__name__}:Faulty", registry.GROUP)
    monkeypatch.setattr(registry, "installed", lambda: {"faulty": point})
    monkeypatch.setattr(EntryPoint, "load", lambda _: Faulty)
    with pytest.raises(SourceError, match="source 'faulty' could not be made: KeyError: 'faulty'"):
        make_source(SourceOptions("faulty"))


def test_a_source_that_raises_at_its_start_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BuiltinSource, "start", raises)
    with pytest.raises(SourceError, match="'builtin-3' could not start: ValueError: no road"):
        asyncio.run(start_source(make_source(SEED)))


def test_a_source_that_raises_in_a_slot_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BuiltinSource, "observe", raises)
    host = Host(make_source(SEED), {}, {}, HostSettings(), is_ready=lambda: True)
    with pytest.raises(SourceError, match="'builtin-3' could not observe: ValueError: no road"):
        asyncio.run(host.run())


def test_an_inmf_that_cannot_be_loaded_ends_a_role_with_its_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def main(stop: asyncio.Event) -> int:
        del stop
        structlog.get_logger().warning("of_the_role")
        raise UnknownInmfError("INMF 'x' of x:X cannot be loaded: no")

    before = structlog.get_config()
    try:
        assert run_role(main) == ExitCode.CONTRACT
    finally:
        structlog.configure(**before)
    said = capsys.readouterr()
    assert said.out == ""
    assert "of_the_role" in said.err
    assert "twintier: INMF 'x' of x:X cannot be loaded: no" in said.err


class Endless(TaskSource):
    """A source whose warm-up lasts for ever."""

    stopped = False

    async def start(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    async def stop(self) -> None:
        self.stopped = True


def test_a_signal_ends_the_warm_up_of_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Endless([])
    monkeypatch.setattr(roles, "make_source", lambda _options: source)
    options = roles.RoleOptions(ConnectionSettings(), DeploymentSettings(), MqttSettings(""))
    assert roles.run_agents(options, SourceOptions("x"), AgentSettings(), HostSettings()) == 0
    assert source.stopped
