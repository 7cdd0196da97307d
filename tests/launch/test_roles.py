"""Roles that end before they have begun."""

import asyncio
import os
import signal

import pytest

from twintier.broker.mqtt.link import MqttSettings
from twintier.launch import roles
from twintier.launch.case_study.source import TaskSource
from twintier.launch.settings.own import ConnectionSettings, DeploymentSettings
from twintier.launch.sources import SourceOptions
from twintier.plvn_agent.settings import AgentSettings
from twintier.plvn_agent.slot_loop import HostSettings


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
