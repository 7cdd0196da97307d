"""The whole platform with one command: broker, cloud twin, edge servers, agents, live table."""

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.live import Live

from twintier.broker.errors import BrokerStartError, CertificateError
from twintier.broker.servers.local import start_broker
from twintier.broker.servers.mosquitto import Secured
from twintier.broker.servers.process import RunningBroker
from twintier.inmf.registry import UnknownInmfError
from twintier.launch.connection import Connection
from twintier.launch.demo.certs import ensure_certificates
from twintier.launch.demo.platform import InOneProcess, InProcesses, Platform, PlatformDiedError
from twintier.launch.demo.settings import DemoOptions
from twintier.launch.demo.summary import RunFacts, read_ledgers, summarise, write_summary
from twintier.launch.demo.table import Progress, render
from twintier.launch.exit_codes import ExitCode
from twintier.launch.inspect.projection import View, listen
from twintier.launch.problems import say
from twintier.launch.serve import run_until_signal
from twintier.plvn_agent.source import SourceError
from twintier.runtime.recording.recorder import RecordingError

START_LIMIT_S = 240.0
"""Until planning begins; the warm-up of the networks is in it."""
REFRESH_S = 0.5


@dataclass(slots=True)
class Run:
    """One run on its way."""

    options: DemoOptions
    state: Path
    view: View = field(default_factory=View)
    began: float = field(default_factory=time.monotonic)
    online_at: float | None = None
    sim_at_online_s: float = 0.0
    last: tuple[float, int] = (0.0, 0)

    @property
    def sim_s(self) -> float:
        """The largest simulated time that was reported."""
        return max((h.sim_time_s for h in self.view.health.values()), default=0.0)

    @property
    def online_s(self) -> float:
        """Wall seconds of online operation."""
        return 0.0 if self.online_at is None else time.monotonic() - self.online_at

    def progress(self) -> Progress:
        """What the table shows beside the view."""
        now, seen = time.monotonic(), self.view.messages
        since, before = self.last
        self.last = (now, seen)
        rate = (seen - before) / max(now - since, 1e-3)
        return Progress(now - self.began, rate, self._note())

    def _note(self) -> str:
        if self.online_at is None:
            expected = self.options.expected_plvns
            return f"before online operation; {len(self.view.plvns)} of {expected} PLVNs are here"
        if self.options.demo.duration_s is None:
            return "Ctrl-C ends it"
        return f"{max(self.options.demo.duration_s - self.online_s, 0.0):.0f} s to go"


def run_demo(options: DemoOptions) -> int:
    """Run the demo; the exit code is the outcome."""
    with contextlib.ExitStack() as stack:
        state = options.demo.state
        if state is None:
            state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="twintier-")))
        state.mkdir(parents=True, exist_ok=True)
        broker: RunningBroker | None = None
        secured: Secured | None = None
        try:
            if options.demo.secure:
                secured = Secured(ensure_certificates(options, state / "certs"))
            if options.demo.broker in {"auto", "mosquitto", "nats"}:
                broker = _start_broker(options.demo.broker, state / "broker", secured)
                stack.callback(broker.stop)
        except BrokerStartError as error:
            return say(error, ExitCode.NO_BROKER)
        except CertificateError as error:
            return say(error, ExitCode.USAGE)
        except SourceError as error:
            return say(error, ExitCode.SOURCE)
        return _run_on(Run(options, state), broker, secured)


def _start_broker(kind: str, folder: Path, secured: Secured | None) -> RunningBroker:
    folder.mkdir(parents=True, exist_ok=True)
    match kind:
        case "mosquitto" | "nats":
            return start_broker(kind, folder, secured=secured)
        case _:
            return start_broker("auto", folder, secured=secured)


def _run_on(run: Run, broker: RunningBroker | None, secured: Secured | None) -> int:
    platform: Platform
    if run.options.demo.broker == "memory":
        platform = InOneProcess(run.options, run.state)
    else:
        url = run.options.demo.broker if broker is None else broker.url
        connection = Connection(
            url, None if secured is None else secured.certs, mqtt=run.options.mqtt
        )
        platform = InProcesses(run.options, connection, run.state)
    try:
        code = run_until_signal(lambda stop: _drive(run, platform, stop))
    except RecordingError as error:
        return say(error, ExitCode.USAGE)
    except SourceError as error:
        return say(error, ExitCode.SOURCE)
    except UnknownInmfError as error:
        return say(error, ExitCode.CONTRACT)
    except PlatformDiedError as error:
        return say(error, ExitCode.CHILD_DIED)
    if code != ExitCode.OK:
        return code
    kind, version = ("memory", "") if broker is None else (broker.kind, broker.version)
    if broker is None and run.options.demo.broker != "memory":
        kind = "url"
    return _conclude(run, kind, version)


async def _drive(run: Run, platform: Platform, stop: asyncio.Event) -> int:
    console = Console(stderr=True)
    async with platform:
        bus = platform.listener()
        listening = asyncio.ensure_future(
            listen(bus, platform.root, run.view.take, lambda _topic: _count_unreadable(run.view))
        )
        try:
            with Live(console=console, auto_refresh=False, transient=False) as live:
                return await _until_done(run, platform, stop, live)
        finally:
            await platform.stop()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


def _count_unreadable(view: View) -> None:
    view.unreadable += 1


async def _until_done(run: Run, platform: Platform, stop: asyncio.Event, live: Live) -> int:
    options = run.options
    while not stop.is_set():
        platform.check()
        cloud = run.view.cloud
        if run.online_at is None and cloud is not None and cloud.phase == "online":
            run.online_at, run.sim_at_online_s = time.monotonic(), run.sim_s
        live.update(render(run.view, run.progress()), refresh=True)
        if options.demo.duration_s is not None and run.online_s >= options.demo.duration_s:
            return ExitCode.OK
        waited = time.monotonic() - run.began
        if run.online_at is None and waited > START_LIMIT_S + options.cloud.planning_s:
            problem = f"planning did not end within {waited:.0f} s; see {run.state / 'logs'}"
            return say(problem, ExitCode.PLANNING)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), REFRESH_S)
    return ExitCode.OK


def _conclude(run: Run, kind: str, version: str) -> int:
    options, view = run.options, run.view
    online_s = max(run.online_s, 1e-3)
    sim_s = max(run.sim_s - run.sim_at_online_s, 0.0) if run.online_at is not None else 0.0
    facts = RunFacts(
        broker_kind=kind,
        broker_version=version,
        speed_asked=options.host.speed,
        speed_reached=sim_s / online_s,
        wall_s=time.monotonic() - run.began,
        sim_s=sim_s,
        edges=options.edges,
    )
    messages = read_ledgers(run.state / "ledgers")
    summary = summarise(view, facts, run.state, messages)
    if options.demo.summary is not None:
        write_summary(summary, options.demo.summary)
        print(f"summary written to {options.demo.summary}", file=sys.stderr)
    adapted = _lines(summary["individual_models"])
    trained = _lines(summary["meta_models"])
    print(
        f"{len(view.plvns)} PLVNs, {trained} meta models, {adapted} individual models, "
        f"{len(view.retrainings)} retrainings, {messages.published} messages published, "
        f"{messages.lost} lost"
    )
    wanted = options.expected_plvns * len(options.inmfs)
    if options.demo.duration_s is not None and adapted < wanted:
        problem = f"{adapted} of {wanted} individual models were made"
        return say(problem, ExitCode.NOT_ADAPTED)
    return ExitCode.OK


def _lines(value: object) -> int:
    return len(value) if isinstance(value, Sequence) else 0
