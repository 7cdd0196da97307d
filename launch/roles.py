"""One role in this process, on a broker that somebody started: what `twintier up` runs."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from twintier.broker.clock import WallClock
from twintier.broker.errors import BrokerStartError, CertificateError, LocalBusError
from twintier.broker.mqtt.link import MqttSettings
from twintier.broker.servers.local import start_broker
from twintier.broker.servers.mosquitto import Secured, reload_mosquitto
from twintier.broker.servers.process import RunningBroker
from twintier.launch.connection import Connection
from twintier.launch.deployment import Deployment, agent_runtimes
from twintier.launch.endings import run_to_the_end
from twintier.launch.exit_codes import ExitCode
from twintier.launch.files import allow_open_files
from twintier.launch.instruments import Instruments, make_instruments
from twintier.launch.lock import locked
from twintier.launch.problems import say
from twintier.launch.serve import run_until_signal, serve, unless_stopped
from twintier.launch.settings.errors import SettingError
from twintier.launch.settings.own import BrokerSettings, ConnectionSettings, DeploymentSettings
from twintier.launch.settings.resolve import Settings
from twintier.launch.sources import SourceOptions, make_source, start_source
from twintier.launch.streams import OutputError
from twintier.plvn_agent.settings import AgentSettings
from twintier.plvn_agent.slot_loop import HostSettings
from twintier.runtime.logs import configure_logs
from twintier.runtime.storage.store import StoreError
from twintier.runtime.storage.writer import ThreadWriter

FILES_OF_A_PROCESS = 32
FILES_OF_AN_AGENT = 2
"""Its connections, for control and for large things."""


@dataclass(frozen=True, slots=True)
class RoleOptions:
    """What every role is told."""

    connection: ConnectionSettings
    settings: DeploymentSettings
    mqtt: MqttSettings
    instruments: Instruments = field(default_factory=Instruments)

    def deployment(self) -> Deployment:
        """The deployment on this broker."""
        connection = self.connection
        return Deployment(
            make_bus=Connection(connection.url, connection.certs, mqtt=self.mqtt).bus,
            clock=WallClock(),
            state=self.settings.state,
            root=connection.root,
            ledgers=self.settings.ledgers,
            certs=connection.certs,
            instruments=self.instruments,
            writer=ThreadWriter(),
        )


def instruments_of(settings: DeploymentSettings) -> Instruments:
    """Recordings and faults that were asked for.

    Raises:
        SettingError: if the faults cannot be read.
    """
    try:
        return make_instruments(settings.inbox, settings.inject)
    except LocalBusError as error:
        what = f"deployment.inject cannot be {settings.inject!r}"
        raise SettingError(what, str(error), "see docs/operations.md for the faults") from error


def role_options(settings: Settings) -> RoleOptions:
    """What the settings tell every role.

    Raises:
        SettingError: if a value in them cannot be used.
    """
    deployment = settings.of(DeploymentSettings)
    return RoleOptions(
        settings.of(ConnectionSettings),
        deployment,
        settings.of(MqttSettings),
        instruments_of(deployment),
    )


def run_broker(settings: BrokerSettings, connection: ConnectionSettings, state: Path) -> int:
    """Run a broker with our configuration until a signal.

    If it is secured, SIGHUP makes it take up what changed in the folder of certificates.
    """
    try:
        with locked(state):
            return _run_broker(settings, connection, state)
    except BrokerStartError as error:
        return say(error, ExitCode.NO_BROKER)
    except CertificateError as error:
        return say(error, ExitCode.USAGE)
    except StoreError as error:
        return say(error, ExitCode.STORE)


def _run_broker(settings: BrokerSettings, connection: ConnectionSettings, state: Path) -> int:
    secured, port = None, 1883
    if connection.certs is not None:
        secured, port = Secured(connection.certs, connection.root, settings.bind), 8883
    broker = start_broker(settings.kind, state, settings.port or port, secured)

    async def until_stopped(stop: asyncio.Event) -> int:
        if secured is not None:
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, _reload, broker, state, secured)
        _tell(f"{broker.kind} {broker.version} listens on {broker.url}")
        await stop.wait()
        return ExitCode.OK

    try:
        return run_until_signal(until_stopped)
    finally:
        broker.stop()


def _reload(broker: RunningBroker, state: Path, secured: Secured) -> None:
    try:
        reload_mosquitto(broker, state, secured)
    except CertificateError as error:
        _tell(f"twintier: nothing was taken up: {error}")
    else:
        _tell("took up certificates and access rules")


def _tell(line: str) -> None:
    """Print a line; a broker goes on when nobody can read it."""
    with suppress(OutputError, BrokenPipeError):
        print(line, flush=True)


def run_agents(
    options: RoleOptions, source_options: SourceOptions, agent: AgentSettings, host: HostSettings
) -> int:
    """Run a source and the agents of its PLVNs until a signal."""

    async def main(stop: asyncio.Event) -> int:
        source = make_source(source_options)
        try:
            await unless_stopped(start_source(source), stop)
            if stop.is_set():
                return ExitCode.OK
            allow_open_files(FILES_OF_A_PROCESS + FILES_OF_AN_AGENT * len(source.plvns))
            with closing(options.deployment()) as deployment:
                agents = agent_runtimes(
                    deployment,
                    source,
                    agent,
                    host,
                    inmfs=options.settings.inmfs,
                    wait_for_planning=options.settings.wait,
                )
                await serve(agents.runtimes, stop, [agents.host.run()])
        finally:
            await source.stop()
        return ExitCode.OK

    return run_role(main)


def run_role(main: Callable[[asyncio.Event], Coroutine[None, None, int]]) -> int:
    """Run a role until a signal; what it cannot go on from is said, with its exit code."""
    configure_logs()
    return run_to_the_end(main)
