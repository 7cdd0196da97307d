"""Demand as SUMO drives it between a scenario's begin and end, with nothing left to defaults.

Flows get the begin, end and number that SUMO would give them, flows of an `<interval>` stand by
themselves, and what SUMO would never let depart is left out. So an element alone says when its
demand begins and ends.
"""

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass

from twintier.plvn_agent.sources.sumo.scenario_xml import seconds_of

FLOWS = frozenset({"flow", "personFlow", "containerFlow"})
DEMAND = FLOWS | {"vehicle", "trip", "person", "container"}
_PER_HOUR = ("vehsPerHour", "perHour", "personsPerHour", "containersPerHour")
_EXPONENTIAL = re.compile(r"exp\((.*)\)")


@dataclass(frozen=True, slots=True)
class Span:
    """From when and until when something may depart, in the scenario's seconds."""

    begin_s: float
    end_s: float = math.inf


def spell_out(root: ET.Element, span: Span) -> None:
    """Replace the demand of a route or additional file by what departs in the span."""
    for element in [*root]:
        if element.tag == "interval" and any(part.tag in DEMAND for part in element):
            parts = [*_inside(element, span)]
        elif element.tag in DEMAND:
            parts = [element] if _cut(element, span, span) else []
        else:
            continue
        at = [*root].index(element)
        root[at : at + 1] = parts


def _inside(interval: ET.Element, span: Span) -> Iterator[ET.Element]:
    """Elements of an interval, whose begin and end are the defaults of its flows."""
    defaults = Span(
        _seconds(interval.get("begin"), span.begin_s), _seconds(interval.get("end"), span.end_s)
    )
    for element in interval:
        if element.tag not in DEMAND or _cut(element, defaults, span):
            yield element


def _cut(element: ET.Element, defaults: Span, span: Span) -> bool:
    """Cut an element to the span; False if nothing is left of it."""
    if element.tag in FLOWS:
        return _cut_flow(element, defaults, span)
    if element.get("depart") == "begin":
        element.set("depart", f"{span.begin_s:.2f}")
    depart_s = seconds_of(element.get("depart", ""))
    return depart_s is None or span.begin_s <= depart_s < span.end_s


def _cut_flow(flow: ET.Element, defaults: Span, span: Span) -> bool:
    begin_s = _seconds(flow.get("begin"), defaults.begin_s)
    end_s = _seconds(flow.get("end"), defaults.end_s)
    number, period_s = flow.get("number"), period_of_flow(flow)
    if number is not None:
        if period_s is None:
            period_s = max(end_s - begin_s, 0.0) / max(int(number), 1)
            flow.set("period", f"{period_s:.6g}")
        end_s = begin_s + int(number) * period_s
    begin_s = _first_from(begin_s, period_s, span.begin_s)
    end_s = min(end_s, span.end_s)
    if begin_s >= end_s:
        return number is not None and begin_s == end_s and period_s == 0.0
    flow.set("begin", f"{begin_s:.2f}")
    flow.attrib.pop("end", None)
    if number is None and end_s < math.inf:
        flow.set("end", f"{end_s:.2f}")
    if number is not None and period_s:
        flow.set("number", str(max(1, round((end_s - begin_s) / period_s))))
    return True


def _first_from(begin_s: float, period_s: float | None, from_s: float) -> float:
    """First departure of a flow at or after a time; its rhythm stays."""
    if begin_s >= from_s or not period_s:
        return max(begin_s, from_s)
    return begin_s + math.ceil((from_s - begin_s) / period_s) * period_s


def period_of_flow(flow: ET.Element) -> float | None:
    """Mean seconds between two departures; None where the flow names no rate."""
    exponential = _EXPONENTIAL.fullmatch(flow.get("period", ""))
    rates = [_number(exponential[1] if exponential else None), _number(flow.get("probability"))]
    rates += [_number(flow.get(name)) / 3600.0 for name in _PER_HOUR]
    rate = next((rate for rate in rates if rate > 0.0), None)
    return seconds_of(flow.get("period", "")) if rate is None else 1.0 / rate


def first_and_end(element: ET.Element) -> tuple[float | None, float | None]:
    """First departure of a spelled-out element, and the second at which it is over.

    Returns:
        None for both where another vehicle triggers it.
    """
    if element.tag not in FLOWS:
        depart_s = seconds_of(element.get("depart", ""))
        return depart_s, None if depart_s is None else math.floor(depart_s) + 1.0
    begin_s = _seconds(element.get("begin"), 0.0)
    number = element.get("number")
    if number is None:
        return begin_s, _seconds(element.get("end"), math.inf)
    return begin_s, begin_s + int(number) * (period_of_flow(element) or 0.0)


def _seconds(text: str | None, default: float) -> float:
    seconds = None if text is None else seconds_of(text)
    return default if seconds is None else seconds


def _number(text: str | None) -> float:
    try:
        return float(text or "0")
    except ValueError:
        return 0.0
