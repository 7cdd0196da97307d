"""A SUMO configuration as SUMO itself reads it, taken apart.

Values may hold `%20` and `${VARIABLE}`, stand in attributes or as text, under any of an option's
names. Options are kept if they shape the traffic, and left behind in silence if they write files,
open windows or set what we set; all others are named, so nothing is lost unnoticed.
"""

import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from twintier.plvn_agent.source import SourceError
from twintier.plvn_agent.sources.sumo.scenario_xml import read_xml, seconds_of

_SYNONYMS = {
    "n": "net-file",
    "net": "net-file",
    "r": "route-files",
    "routes": "route-files",
    "a": "additional-files",
    "additional": "additional-files",
    "b": "begin",
    "e": "end",
    "w": "weight-files",
    "weights": "weight-files",
    "measure": "weight-attribute",
    "x": "weight-attribute",
    "s": "route-steps",
    "carfollow.model": "default.carfollowmodel",
    "railsignal-moving-block": "railsignal.moving-block",
}
_TRAFFIC_OPTIONS = (
    "astar.",
    "collision.",
    "default.",
    "device.",
    "eager-insert",
    "emergency",
    "extrapolate-departpos",
    "ignore-",
    "insertion-checks",
    "intermodal-collision.",
    "junction-taz",
    "keep-after-arrival",
    "lanechange.",
    "lateral-resolution",
    "mapmatch.",
    "max-depart-delay",
    "max-num-",
    "meso",
    "no-internal-links",
    "overhead-wire.",
    "parking.",
    "pedestrian.",
    "person-device.",
    "persontrip.",
    "railsignal",
    "railway.",
    "random-depart-offset",
    "replay-rerouting",
    "ride.",
    "route-steps",
    "routing-",
    "scale",
    "slope-centered",
    "sloppy-insert",
    "startup-wait-threshold",
    "step-method.",
    "taxi.",
    "thread-rngs",
    "time-to-impatience",
    "time-to-teleport",
    "tls.",
    "use-stop-",
    "waiting-time-memory",
    "weight-attribute",
    "weight-files",
    "weights.",
)
"""Beginnings of the options that are kept."""
_READING = frozenset({"net-file", "route-files", "additional-files", "begin", "end", "step-length"})
_QUIET = re.compile(
    r".*output.*|.*\.file|save-.*|write-.*|device\.(ssm|fcd|tripinfo|vehroute|example)\..*"
    r"|pedestrian\.jupedsim\.(wkt|py).*|(netstate|dump|ndump|summary|tripinfo|personinfo|vehroutes"
    r"|personroutes|person-fcd|precision|human-readable-time|H)(\..*)?"
    r"|(message-|error-)?log(-file|\..*)?|l|verbose|v|print-options|help|version|xml-validation.*|X"
    r"|no-warnings|W|suppress-warnings|aggregate-warnings|language|(no-)?(duration|step)-log.*|t"
    r"|emissions\..*|phemlight-.*|threads|remote-port|num-clients|seed|srand|random|abs-rand"
    r"|gui-.*|quit-on-end|Q|game.*|G|start|S|delay|d|breakpoints|B|edgedata-files|data-files|m"
    r"|osg-.*|alternative-net-file|N|selection-file|demo|D|disable-textures|T|registry-viewport|window-.*"
    r"|tracker-interval|g|configuration-file|c|configuration|C"
)
"""Options that write, show, log or draw: they change no traffic, or are ours to set."""
_FILE_OPTIONS = frozenset(
    {"weight-files", "astar.all-distances", "astar.landmark-distances", "device.fcd-replay.files"}
)
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Config:
    """What a configuration consists of."""

    network: Path
    routes: tuple[Path, ...]
    additional: tuple[Path, ...]
    begin_s: float
    end_s: float | None
    """None: it goes on as long as its demand."""
    step_s: float | None
    """None: it names none."""
    options: tuple[tuple[str, str], ...]
    """Options that shape the traffic, name and value."""
    ignored: tuple[str, ...]
    """Names of options that are neither kept nor without effect on traffic."""


def read_config(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Take a configuration apart.

    Args:
        path: the .sumocfg.
        environment: what `${VARIABLE}` stands for; nothing where it lacks one, as in SUMO.

    Raises:
        SourceError: if it is unreadable, names no network, or a time in it is none.
    """
    options = {name: _expanded(value, environment) for name, value in _options(read_xml(path))}
    if not options.get("net-file"):
        raise SourceError(f"{path} names no net-file; add one to its <input> section")
    times = {name: _time(path, name, options.get(name, "-1")) for name in ("end", "step-length")}
    kept = {name: value for name, value in options.items() if _shapes_traffic(name)}
    for name in _FILE_OPTIONS & kept.keys():
        kept[name] = ",".join(map(str, _paths(path.parent, kept[name])))
    return Config(
        network=path.parent / options["net-file"],
        routes=_paths(path.parent, options.get("route-files", "")),
        additional=_paths(path.parent, options.get("additional-files", "")),
        begin_s=_time(path, "begin", options.get("begin", "0")),
        end_s=times["end"] if times["end"] >= 0.0 else None,
        step_s=times["step-length"] if times["step-length"] > 0.0 else None,
        options=tuple(kept.items()),
        ignored=tuple(name for name in options if _is_lost(name)),
    )


def _options(root: ET.Element) -> Iterator[tuple[str, str]]:
    """Names and values of all options, with or without sections around them."""
    for element in root.iter():
        text = (element.text or "").strip() if not len(element) else ""
        value = element.get("value", element.get("v", text or None))
        if value is not None:
            yield _SYNONYMS.get(element.tag, element.tag), value


def _expanded(value: str, environment: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: environment.get(found[1], ""), unquote(value)).strip()


def _time(path: Path, name: str, value: str) -> float:
    time_s = seconds_of(value)
    if time_s is None:
        raise SourceError(f"{path}: {name} {value!r} is no time; write seconds or hh:mm:ss")
    return time_s


def _shapes_traffic(name: str) -> bool:
    return name.startswith(_TRAFFIC_OPTIONS) and not _QUIET.fullmatch(name)


def _is_lost(name: str) -> bool:
    return not (name in _READING or name.startswith(_TRAFFIC_OPTIONS) or _QUIET.fullmatch(name))


def _paths(folder: Path, names: str) -> tuple[Path, ...]:
    """Files of a list; only a comma ends a name."""
    return tuple(folder / name.strip() for name in names.split(",") if name.strip())
