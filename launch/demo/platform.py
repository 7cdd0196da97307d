"""The whole platform, in many processes on a broker or in this one on the in-memory bus."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from twintier.broker.bus import Bus
from twintier.broker.clock import WallClock
from twintier.broker.memory import MemoryBus, MemoryHub
from twintier.launch.connection import Connection
from twintier.launch.demo.children import Child, end_children, start_child
from twintier.launch.demo.settings import DemoOptions
from twintier.launch.deployment import Deployment, agent_runtimes
from twintier.launch.exit_codes import ExitCode
from twintier.launch.serve import serve
from twintier.launch.sources import make_source, start_source
from twintier.launch.twins import cloud_runtime, edge_runtime
from twintier.protocol.ids import EdgeId
from twintier.runtime.storage.writer import ThreadWriter
from twintier.runtime.workers import WorkerJobs

TRAFFIC_NICENESS = 5
"""Simulated traffic may fall behind its speed; the twins that learn from it may not starve."""


class PlatformDiedError(Exception):
    """A part of the platform ended by itself; the message says which and its last words."""


class Platform(Protocol):
    """Starts on entering, ends on `stop`."""

    @property
    def root(self) -> str:
        """Root of the topics."""
        ...

    def listener(self) -> Bus:
        """A bus for somebody who only listens; not connected yet."""
        ...

    def check(self) -> None:
        """Look whether everything still runs.

        Raises:
            PlatformDiedError: if something ended.
        """
        ...

    async def stop(self) -> None:
        """End everything, in at most two seconds."""
        ...

    async def __aenter__(self) -> Self:
        """Start everything."""
        ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End everything, if that has not happened yet."""
        ...


class _Command(NamedTuple):
    """How a role is started."""

    name: str
    arguments: list[str]
    niceness: int = 0


class InProcesses:
    """One process per role, and one of agents per network, on an MQTT broker."""

    def __init__(self, options: DemoOptions, connection: Connection, state: Path) -> None:
        self._options = options
        self._connection = connection
        self._state = state
        self._commands = {command.name: command for command in self._roles()}
        self._children: dict[str, Child] = {}
        self._restarted: Counter[str] = Counter()
        self.root = "twintier"

    def listener(self) -> Bus:
        """A bus on the broker."""
        return self._connection.watcher()

    def check(self) -> None:
        """See the port."""
        for child in self._children.values():
            if child.ended == ExitCode.NOT_SAVED:
                self._restarted[child.name] += 1
                self._start(self._commands[child.name])
            elif child.ended is not None:
                raise PlatformDiedError(
                    f"{child.name} ended with exit code {child.ended}; it said:\n"
                    f"{child.last_words()}"
                )

    async def stop(self) -> None:
        """End all processes at once."""
        killed = await asyncio.to_thread(end_children, list(self._children.values()))
        self._children = {}
        for name in killed:
            print(f"twintier: {name} did not end in time and was killed")
        for name, times in self._restarted.items():
            print(f"twintier: {name} was started again {times} times, for its store had failed")
        self._restarted.clear()

    async def __aenter__(self) -> Self:
        """Start all processes."""
        for command in self._commands.values():
            self._start(command)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End what still runs."""
        await self.stop()

    def _start(self, command: _Command) -> None:
        name, arguments, niceness = command
        logs, life = self._state / "logs", self._restarted[name] + 1
        child = start_child(name, arguments, logs, niceness=niceness, life=life)
        self._children[name] = child

    def _roles(self) -> Iterator[_Command]:
        """What the demo was told, and what follows."""
        options, connection = self._options, self._connection
        common = [*options.given.again(), "--url", connection.url, "--state", str(self._state)]
        common += [] if connection.certs is None else ["--certs", str(connection.certs)]
        common += ["--ledgers", str(self._state / "ledgers")]
        cloud = ["--expected-plvns", str(options.expected_plvns)]
        cloud += ["--expected-edges", str(len(options.edges))]
        yield _Command("cloud", ["up", "cloud", *common, *cloud])
        for edge, settings in zip(options.edges, options.edge_settings(), strict=True):
            place = [f"--lat={settings.lat_deg}", f"--lon={settings.lon_deg}"]
            yield _Command(edge, ["up", "edge", edge, *common, *place])
        for number, network in enumerate(options.networks, start=1):
            source = options.source_options(network)
            vehicles = ["--source", source.source, "--network", source.network]
            vehicles += ["--demand-s", str(source.duration_sim_s)]
            arguments = ["up", "agent", *common, *vehicles]
            yield _Command(f"agents-{number}", arguments, TRAFFIC_NICENESS)


class InOneProcess:
    """Everything on the in-memory bus in this process; only jobs have processes of their own."""

    def __init__(self, options: DemoOptions, state: Path) -> None:
        self._options = options
        self._hub = MemoryHub()
        self._deployment = Deployment(
            make_bus=lambda _name: MemoryBus(self._hub),
            clock=WallClock(),
            state=state,
            ledgers=state / "ledgers",
            instruments=options.instruments,
            writer=ThreadWriter(),
        )
        self._stack = AsyncExitStack()
        self._ending = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None
        self.root = self._deployment.root

    def listener(self) -> Bus:
        """A bus on the hub."""
        return MemoryBus(self._hub)

    def check(self) -> None:
        """See the port."""
        if self._serving is not None and self._serving.done():
            failed = self._serving.exception()
            if failed is not None:
                raise failed
            raise PlatformDiedError("the platform ended by itself")

    async def stop(self) -> None:
        """End all roles, then workers and sources."""
        self._ending.set()
        if self._serving is not None:
            await asyncio.gather(self._serving, return_exceptions=True)
        await self._stack.aclose()

    async def __aenter__(self) -> Self:
        """Start sources, workers and roles."""
        options, deployment = self._options, self._deployment
        self._stack.callback(deployment.close)
        sources = [make_source(options.source_options(n)) for n in options.networks]
        for source in sources:
            self._stack.push_async_callback(source.stop)
            await start_source(source)
        runtimes = [cloud_runtime(deployment, options.cloud_settings())]
        for edge, settings in zip(options.edges, options.edge_settings(), strict=True):
            jobs = await self._stack.enter_async_context(WorkerJobs(1))
            runtimes.append(edge_runtime(deployment, EdgeId(edge), settings, jobs))
        agents = [
            agent_runtimes(deployment, source, options.agent, options.host, inmfs=options.inmfs)
            for source in sources
        ]
        runtimes += [runtime for each in agents for runtime in each.runtimes]
        work = [each.host.run() for each in agents]
        self._serving = asyncio.ensure_future(serve(runtimes, self._ending, work))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End what still runs."""
        await self.stop()
