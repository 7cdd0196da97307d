"""Demand that lasts: a scenario's own traffic repeated, or random trips, in files of ours.

Input files are copied into a scratch folder where they must change: departures are repeated in
time with suffixed ids, and whatever would write a file is pointed at the null device. Nothing is
ever written beside the scenario. Persons and containers keep their one appearance.
"""

import math
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from twintier.plvn_agent.source import SourceError
from twintier.plvn_agent.sources.sumo.flows import DEMAND, Span, first_and_end, spell_out
from twintier.plvn_agent.sources.sumo.scenario import RandomTrips, sumo_environment, sumo_home
from twintier.plvn_agent.sources.sumo.scenario_xml import read_xml, seconds_of

NULL_DEVICE = "/dev/null"
MIN_PERIOD_S = 60.0
"""A shorter demand is repeated no more often than this (assumed)."""
RANDOM_TRIPS_S = 3600.0
"""Random trips are made for at most this long and then repeated like any demand."""
_REPEATED = frozenset({"vehicle", "trip", "flow"})
_DISPLAYED = frozenset({"poly", "poi"})
_READS_A_FILE = frozenset({"variableSpeedSign", "rerouter"})
_OUTPUT_ATTRIBUTES = ("file", "output", "dest")


@dataclass(frozen=True, slots=True)
class Horizon:
    """How long demand has to last, in the scenario's own seconds."""

    begin_s: float
    """Demand repeats from here: the scenario's begin, or its first departure."""
    end_s: float
    constant: bool = False
    """Spread the departures of each file evenly over its period."""


def _spans(roots: Iterable[ET.Element]) -> Iterator[tuple[float, float]]:
    """First departure and end of everything that is repeated."""
    for root in roots:
        for element in root:
            if element.tag in _REPEATED:
                first_s, end_s = first_and_end(element)
                if first_s is not None and end_s is not None:
                    yield first_s, end_s


def period_of(roots: Sequence[ET.Element], horizon: Horizon) -> float | None:
    """Seconds after which demand repeats; None where none ends before the horizon."""
    ends = (end_s for _, end_s in _spans(roots) if end_s < horizon.end_s)
    last_s = max(ends, default=None)
    if last_s is None:
        return None
    return max(MIN_PERIOD_S, math.ceil(last_s - horizon.begin_s))


def first_departure_s(roots: Sequence[ET.Element], begin_s: float) -> float:
    """Second in which the first vehicle departs; the begin where none does."""
    return float(math.floor(min((first_s for first_s, _ in _spans(roots)), default=begin_s)))


def _shift(element: ET.Element, seconds: float) -> None:
    for part in element.iter():
        for name in ("depart", "begin", "end", "until"):
            time_s = seconds_of(part.get(name, ""))
            if time_s is not None:
                part.set(name, f"{time_s + seconds:.2f}")


def _repeated(element: ET.Element, period_s: float, horizon: Horizon) -> Iterator[str]:
    """The element as text, then again one period later each, while it departs before the end."""
    yield ET.tostring(element, "unicode")
    first, end = first_and_end(element)
    if first is None or end is None or end >= horizon.end_s:
        return
    name = element.get("id", "")
    repetition = 1
    while first + repetition * period_s < horizon.end_s:
        _shift(element, period_s)
        element.set("id", f"{name}-r{repetition}")
        yield ET.tostring(element, "unicode")
        repetition += 1


def spread_evenly(departures: list[ET.Element], period_s: float, horizon: Horizon) -> None:
    """Give vehicles and trips departures at a constant rate, in their order."""
    single = [element for element in departures if element.tag in {"vehicle", "trip"}]
    single = [element for element in single if first_and_end(element)[0] is not None]
    for rank, element in enumerate(single):
        depart_s = horizon.begin_s + period_s * rank / len(single)
        first = first_and_end(element)[0]
        assert first is not None
        for part in element.iter("stop"):
            until_s = seconds_of(part.get("until", ""))
            if until_s is not None:
                part.set("until", f"{until_s + depart_s - first:.2f}")
        element.set("depart", f"{depart_s:.2f}")


def write_repeated(root: ET.Element, period_s: float | None, horizon: Horizon, to: Path) -> None:
    """Write a route or additional file with its demand repeated; definitions come first."""
    departures = [element for element in root if element.tag in DEMAND]
    if horizon.constant and period_s is not None:
        spread_evenly(departures, period_s, horizon)
    copies: list[tuple[float, str]] = []
    for element in departures:
        first_s = first_and_end(element)[0] or horizon.begin_s
        if period_s is None or element.tag not in _REPEATED:
            copies.append((first_s, ET.tostring(element, "unicode")))
            continue
        texts = _repeated(element, period_s, horizon)
        copies.extend((first_s + number * period_s, text) for number, text in enumerate(texts))
    copies.sort(key=lambda copy: copy[0])
    with to.open("w", encoding="utf-8") as stream:
        stream.write(f"<{root.tag}>\n")
        stream.writelines(
            ET.tostring(element, "unicode") for element in root if element.tag not in DEMAND
        )
        stream.writelines(text for _, text in copies)
        stream.write(f"</{root.tag}>\n")


def silence_outputs(root: ET.Element) -> None:
    """Point everything that names an output file at the null device."""
    for element in root.iter():
        if element.tag in _READS_A_FILE:
            continue
        for name in _OUTPUT_ATTRIBUTES:
            if element.get(name):
                element.set(name, NULL_DEVICE)
        if element.tag == "param" and element.get("key", "").endswith(".file"):
            element.set("value", NULL_DEVICE)


def read_input(path: Path) -> ET.Element:
    """A route or additional file, its includes in place, its outputs silenced.

    Raises:
        SourceError: if it or what it includes cannot be read.
    """
    root = read_xml(path)
    for element in [*root]:
        if element.tag in _DISPLAYED:
            root.remove(element)
        elif element.tag == "include":
            root.remove(element)
            root.extend(read_input(path.parent / element.get("href", "")))
        elif element.tag in _READS_A_FILE and element.get("file"):
            element.set("file", str(path.parent / element.get("file", "")))
    silence_outputs(root)
    return root


@dataclass(frozen=True, slots=True)
class Inputs:
    """Copies that SUMO is started with, all in the scratch folder."""

    routes: Sequence[Path]
    additional: Sequence[Path]
    least_tau_s: float
    """Fastest reaction of a driver of any vehicle type."""
    quiet_s: float
    """Seconds from the begin in which nothing departs yet."""


def least_tau_s(roots: Iterable[ET.Element]) -> float:
    """Fastest reaction among all vehicle types; SUMO's default of a second if none is faster."""
    kinds = (kind for root in roots for kind in root.iter("vType"))
    named = (seconds_of(part.get("tau", "")) for kind in kinds for part in kind.iter())
    return min((tau for tau in named if tau is not None and tau > 0.0), default=1.0)


def write_inputs(
    routes: Sequence[Path],
    additional: Sequence[Path],
    horizon: Horizon,
    scratch: Path,
    *,
    scenario_end_s: float | None = None,
) -> Inputs:
    """Write copies of route and additional files whose demand lasts until the horizon.

    Demand is what SUMO drives until the scenario's own end, repeated without the seconds before its
    first departure, by which the horizon is later.

    Raises:
        SourceError: if a file cannot be read.
    """
    roots = [read_input(path) for path in (*routes, *additional)]
    span = Span(horizon.begin_s, math.inf if scenario_end_s is None else scenario_end_s)
    for root in roots:
        spell_out(root, span)
    first_s = first_departure_s(roots, horizon.begin_s)
    quiet_s = first_s - horizon.begin_s
    horizon = replace(horizon, begin_s=first_s, end_s=horizon.end_s + quiet_s)
    period_s = period_of(roots, horizon)
    copies = []
    for number, root in enumerate(roots):
        copies.append(scratch / f"input{number}.xml")
        write_repeated(root, period_s, horizon, copies[-1])
    return Inputs(copies[: len(routes)], copies[len(routes) :], least_tau_s(roots), quiet_s)


def link_network(network: Path, scratch: Path) -> str:
    """A name for the network in the scratch folder that SUMO cannot take for a list of files."""
    link = scratch / "network.net.xml"
    if not link.is_symlink():
        link.symlink_to(network.absolute())
    return link.name


def write_random_trips(
    trips: RandomTrips, network: Path, horizon: Horizon, scratch: Path, *, seed: int
) -> Path:
    """Make routes of random trips with SUMO's own tool.

    Raises:
        SourceError: if the tool fails.
    """
    to = scratch / "random.rou.xml"
    tool = sumo_home() / "tools" / "randomTrips.py"
    command = [sys.executable, str(tool), "-n", link_network(network, scratch)]
    command += ["-o", "random.trips.xml", "-r", to.name]
    command += ["-b", str(horizon.begin_s), "-e", str(min(horizon.end_s, RANDOM_TRIPS_S))]
    command += ["-p", str(trips.period_s), "--seed", str(seed)]
    command += ["--fringe-factor", str(trips.fringe_factor)]
    command += ["--min-distance", str(trips.min_distance_m)]
    try:
        subprocess.run(  # noqa: S603  our own interpreter and SUMO's own tool
            command,
            check=True,
            capture_output=True,
            text=True,
            cwd=scratch,
            timeout=120,
            env=sumo_environment(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stderr", None) or str(error)
        raise SourceError(
            f"randomTrips.py failed for {network}: {detail.strip()[-400:]}; check the network"
        ) from error
    return to
