"""Traffic lights for networks whose signals wait for a player.

The networks of SUMO's game hold a green until a person presses a key (phases of 1,000 s and more,
one program a key), which jams them. Their programs, in order, make one cycle; it becomes an
actuated program with bounded greens.
"""

import xml.etree.ElementTree as ET
from pathlib import Path

from twintier.plvn_agent.sources.sumo.scenario_xml import read_xml

WAITS_FROM_S = 600.0
"""A phase at least this long waits for a player."""
GREEN_S, MIN_GREEN_S, MAX_GREEN_S = "20", "5", "45"
"""Assumed: usual greens in town."""


def write_cycles(network: Path, to: Path) -> bool:
    """Write an additional file with one actuated program for each light that waits.

    Returns:
        Whether any light waits, so whether the file is worth loading.

    Raises:
        SourceError: if the network cannot be read.
    """
    phases: dict[str, list[ET.Element]] = {}
    for program in read_xml(network).iter("tlLogic"):
        phases.setdefault(program.get("id", ""), []).extend(program.iter("phase"))
    root = ET.Element("additional")
    for light, cycle in phases.items():
        if any(_waits(phase) for phase in cycle):
            root.append(_actuated(light, cycle))
    ET.ElementTree(root).write(to, encoding="utf-8")
    return len(root) > 0


def _waits(phase: ET.Element) -> bool:
    return float(phase.get("duration", "0")) >= WAITS_FROM_S


def _actuated(light: str, cycle: list[ET.Element]) -> ET.Element:
    program = ET.Element("tlLogic", id=light, type="actuated", programID="cycle", offset="0")
    for phase in cycle:
        state = phase.get("state", "")
        if _waits(phase):
            ET.SubElement(
                program, "phase", state=state,
                duration=GREEN_S, minDur=MIN_GREEN_S, maxDur=MAX_GREEN_S,
            )  # fmt: skip
        else:
            ET.SubElement(program, "phase", state=state, duration=phase.get("duration", "0"))
    return program
