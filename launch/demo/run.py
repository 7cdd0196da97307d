"""The whole platform with one command: broker, cloud twin, edge servers, agents, live table."""

import asyncio
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from twintier.broker.errors import BrokerStartError, CertificateError
from twintier.broker.servers.local import start_broker
from twintier.broker.servers.mosquitto import Secured
from twintier.broker.servers.process import RunningBroker
from twintier.inmf.registry import UnknownInmfError
from twintier.launch.connection import Connection
from twintier.launch.demo.certs import ensure_certificates
from twintier.launch.demo.platform import InOneProcess, InProcesses, Platform, PlatformDiedError
from twintier.launch.demo.screen import Screen, screen_on, stderr_console
from twintier.launch.demo.settings import DemoOptions
from twintier.launch.demo.summary import RunFacts, read_ledgers, summarise, write_summary
from twintier.launch.demo.vehicles import with_vehicles
from twintier.launch.demo.words import Plan, Progress, plan_of
from twintier.launch.endings import run_to_the_end
from twintier.launch.exit_codes import ExitCode
from twintier.launch.files import UnwritableError, check_writable
from twintier.launch.inspect.projection import View, listen
from twintier.launch.lock import locked
from twintier.launch.problems import say
from twintier.plvn_agent.source import SourceError
from twintier.runtime.storage.store import StoreError

START_LIMIT_S = 240.0
"""Until planning begins; the warm-up of the networks is in it."""
REFRESH_S = 0.5
LOGS = "logs"


@dataclass(slots=True)
class Run:
    """One run on its way."""

    options: DemoOptions
    state: Path
    plan: Plan
    view: View = field(default_factory=View)
    began: float = field(default_factory=time.monotonic)
    planning_at: float | None = None
    """Since the first round of training was seen."""
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
        return Progress(
            plan=self.plan,
            elapsed_s=now - self.began,
            messages_per_s=rate,
            planned_for_s=self._planned_for_s(now),
            to_go_s=self._to_go_s(),
            remark=self._remark(),
        )

    def look(self) -> None:
        """Note when planning begins and when it is over."""
        cloud, now = self.view.cloud, time.monotonic()
        if self.planning_at is None and self.view.rounds:
            self.planning_at = now
        if self.online_at is None and cloud is not None and cloud.phase == "online":
            self.online_at, self.sim_at_online_s = now, self.sim_s

    def _planned_for_s(self, now: float) -> float | None:
        if self.planning_at is None or self.online_at is not None:
            return None
        return now - self.planning_at

    def _to_go_s(self) -> float | None:
        duration_s = self.options.demo.duration_s
        return None if duration_s is None else max(duration_s - self.online_s, 0.0)

    def _remark(self) -> str:
        options = self.options
        if not options.stands_in_for:
            return ""
        return f"{options.source} vehicles stand in for {options.stands_in_for}: {options.because}"


def run_demo(options: DemoOptions) -> int:
    """Run the demo; the exit code is the outcome."""
    if options.demo.state is not None:
        return _run_in(options, options.demo.state)
    with _folder_of_a_run() as state:
        code = _run_in(options, state)
        if code == ExitCode.OK:
            shutil.rmtree(state / LOGS, ignore_errors=True)
        return code


@contextlib.contextmanager
def _folder_of_a_run() -> Iterator[Path]:
    """A folder that goes with the run, but for logs that are still in it."""
    state = Path(tempfile.mkdtemp(prefix="twintier-"))
    try:
        yield state
    finally:
        for part in state.iterdir():
            if part.name == LOGS:
                print(f"twintier: logs are kept in {part}", file=sys.stderr)
            elif part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # logs are in it
            state.rmdir()


def _run_in(options: DemoOptions, state: Path) -> int:
    with contextlib.ExitStack() as stack:
        broker: RunningBroker | None = None
        secured: Secured | None = None
        try:
            check_writable(options.demo.summary)
            stack.enter_context(locked(state))
            options = with_vehicles(options)
            plan = plan_of(options.cloud, options.expected_plvns, options.inmfs)
            if options.demo.secure:
                secured = Secured(ensure_certificates(options, state / "certs"))
            if options.demo.broker in {"auto", "mosquitto", "nats"}:
                broker = _start_broker(options.demo.broker, state / "broker", secured)
                stack.callback(broker.stop)
        except BrokerStartError as error:
            return say(error, ExitCode.NO_BROKER)
        except (CertificateError, UnknownInmfError, UnwritableError) as error:
            return say(error, ExitCode.USAGE)
        except SourceError as error:
            return say(error, ExitCode.SOURCE)
        except StoreError as error:
            return say(error, ExitCode.STORE)
        return _run_on(Run(options, state, plan), broker, secured)


def _start_broker(kind: str, folder: Path, secured: Secured | None) -> RunningBroker:
    folder.mkdir(parents=True, exist_ok=True)
    match kind:
        case "mosquitto" | "nats":
            return start_broker(kind, folder, secured=secured)
        case _:
            return start_broker("auto", folder, secured=secured)


def _platform_of(run: Run, broker: RunningBroker | None, secured: Secured | None) -> Platform:
    if run.options.demo.broker == "memory":
        return InOneProcess(run.options, run.state)
    url = run.options.demo.broker if broker is None else broker.url
    connection = Connection(url, None if secured is None else secured.certs, mqtt=run.options.mqtt)
    return InProcesses(run.options, connection, run.state)


def _run_on(run: Run, broker: RunningBroker | None, secured: Secured | None) -> int:
    platform = _platform_of(run, broker, secured)
    try:
        code = run_to_the_end(lambda stop: _drive(run, platform, stop))
    except PlatformDiedError as error:
        return say(error, ExitCode.CHILD_DIED)
    if code != ExitCode.OK:
        return code
    kind, version = ("memory", "") if broker is None else (broker.kind, broker.version)
    if broker is None and run.options.demo.broker != "memory":
        kind = "url"
    return _conclude(run, kind, version)


async def _drive(run: Run, platform: Platform, stop: asyncio.Event) -> int:
    async with platform:
        bus = platform.listener()
        listening = asyncio.ensure_future(
            listen(bus, platform.root, run.view.take, lambda _topic: _count_unreadable(run.view))
        )
        try:
            with screen_on(stderr_console()) as screen:
                return await _until_done(run, platform, stop, screen)
        finally:
            await platform.stop()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


def _count_unreadable(view: View) -> None:
    view.unreadable += 1


async def _until_done(run: Run, platform: Platform, stop: asyncio.Event, screen: Screen) -> int:
    options = run.options
    while not stop.is_set():
        platform.check()
        run.look()
        screen.show(run.view, run.progress())
        if options.demo.duration_s is not None and run.online_s >= options.demo.duration_s:
            return ExitCode.OK
        waited = time.monotonic() - run.began
        if run.online_at is None and waited > START_LIMIT_S + options.cloud.planning_s:
            problem = f"planning did not end within {waited:.0f} s; see {run.state / LOGS}"
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
        source=options.source,
        stands_in_for=options.stands_in_for,
        because=options.because,
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
