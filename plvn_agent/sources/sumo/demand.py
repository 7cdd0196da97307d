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
from dataclasses import dataclass
from pathlib import Path

from twintier.plvn_agent.source import SourceError
from twintier.plvn_agent.sources.sumo.scenario import RandomTrips, sumo_environment, sumo_home
from twintier.plvn_agent.sources.sumo.scenario_xml import read_xml, seconds_of

NULL_DEVICE = "/dev/null"
MIN_PERIOD_S = 60.0
"""A shorter demand is repeated no more often than this (assumed)."""
RANDOM_TRIPS_S = 3600.0
"""Random trips are made for at most this long and then repeated like any demand."""
_REPEATED = frozenset({"vehicle", "trip", "flow"})
_ONCE = frozenset({"person", "personFlow", "container", "containerFlow"})
_DISPLAYED = frozenset({"poly", "poi"})
_READS_A_FILE = frozenset({"variableSpeedSign", "rerouter"})
_OUTPUT_ATTRIBUTES = ("file", "output", "dest")


@dataclass(frozen=True, slots=True)
class Horizon:
    """How long demand has to last, in the scenario's own seconds."""

    begin_s: float
    end_s: float
    constant: bool = False
    """Spread the departures of each file evenly over its period."""


def _times(element: ET.Element) -> tuple[float | None, float | None]:
    """First and last departure that an element stands for."""
    if element.tag == "flow":
        begin = seconds_of(element.get("begin", "0"))
        return begin, seconds_of(element.get("end", "inf"))
    depart = seconds_of(element.get("depart", ""))
    return depart, depart


def _ends(roots: Iterable[ET.Element], horizon: Horizon) -> Iterator[float]:
    for root in roots:
        for element in root:
            if element.tag in _REPEATED:
                last = _times(element)[1]
                if last is not None and last < horizon.end_s:
                    yield last


def period_of(roots: Sequence[ET.Element], horizon: Horizon) -> float | None:
    """Seconds after which demand repeats; None where no departure ends before the horizon."""
    last = max(_ends(roots, horizon), default=None)
    if last is None:
        return None
    return max(MIN_PERIOD_S, math.floor(last - horizon.begin_s) + 1.0)


def _shift(element: ET.Element, seconds: float) -> None:
    for part in element.iter():
        for name in ("depart", "begin", "end", "until"):
            time_s = seconds_of(part.get(name, ""))
            if time_s is not None:
                part.set(name, f"{time_s + seconds:.2f}")


def _repeated(element: ET.Element, period_s: float, horizon: Horizon) -> Iterator[str]:
    """The element as text, then again one period later each, while it departs before the end."""
    yield ET.tostring(element, "unicode")
    first, last = _times(element)
    if first is None or last is None or last >= horizon.end_s:
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
    single = [element for element in single if _times(element)[0] is not None]
    for rank, element in enumerate(single):
        depart_s = horizon.begin_s + period_s * rank / len(single)
        first = _times(element)[0]
        assert first is not None
        for part in element.iter("stop"):
            until_s = seconds_of(part.get("until", ""))
            if until_s is not None:
                part.set("until", f"{until_s + depart_s - first:.2f}")
        element.set("depart", f"{depart_s:.2f}")


def _from_begin(element: ET.Element, horizon: Horizon) -> bool:
    """Whether it departs after the begin; a flow that began before is cut to begin there."""
    first, last = _times(element)
    if first is None or first >= horizon.begin_s:
        return True
    if element.tag != "flow" or last is None or last <= horizon.begin_s:
        return False
    element.set("begin", f"{horizon.begin_s:.2f}")
    return True


def write_repeated(root: ET.Element, period_s: float | None, horizon: Horizon, to: Path) -> None:
    """Write a route or additional file with its demand repeated; definitions come first."""
    departures = [
        element
        for element in root
        if element.tag in _REPEATED | _ONCE and _from_begin(element, horizon)
    ]
    if horizon.constant and period_s is not None:
        spread_evenly(departures, period_s, horizon)
    copies: list[tuple[float, str]] = []
    for element in departures:
        first_s = _times(element)[0] or horizon.begin_s
        if period_s is None or element.tag in _ONCE:
            copies.append((first_s, ET.tostring(element, "unicode")))
            continue
        texts = _repeated(element, period_s, horizon)
        copies.extend((first_s + number * period_s, text) for number, text in enumerate(texts))
    copies.sort(key=lambda copy: copy[0])
    with to.open("w", encoding="utf-8") as stream:
        stream.write(f"<{root.tag}>\n")
        stream.writelines(
            ET.tostring(element, "unicode")
            for element in root
            if element.tag not in _REPEATED | _ONCE
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


def write_inputs(
    routes: Sequence[Path], additional: Sequence[Path], horizon: Horizon, scratch: Path
) -> tuple[list[Path], list[Path]]:
    """Write copies of route and additional files whose demand lasts until the horizon.

    Returns:
        The route files and the additional files to start SUMO with, all in `scratch`.

    Raises:
        SourceError: if a file cannot be read.
    """
    roots = [read_input(path) for path in (*routes, *additional)]
    period_s = period_of(roots, horizon)
    copies = []
    for number, root in enumerate(roots):
        copies.append(scratch / f"input{number}.xml")
        write_repeated(root, period_s, horizon, copies[-1])
    return copies[: len(routes)], copies[len(routes) :]


def write_random_trips(
    trips: RandomTrips, network: Path, horizon: Horizon, scratch: Path, *, seed: int
) -> Path:
    """Make routes of random trips with SUMO's own tool.

    Raises:
        SourceError: if the tool fails.
    """
    to = scratch / "random.rou.xml"
    command = [sys.executable, str(sumo_home() / "tools" / "randomTrips.py"), "-n", str(network)]
    command += ["-o", str(scratch / "random.trips.xml"), "-r", str(to)]
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
