"""Where on earth a network lies: what its file says, and whether its vehicles turn up there.

A wrong projection gives no error in SUMO: vehicles just drive somewhere else.
"""

import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twintier.plvn_agent.source import SourceError
from twintier.plvn_agent.sources.sumo.scenario_xml import open_input

MARGIN_DEG = 0.1
"""A network may reach so far beyond the roads that it was imported from (assumed)."""
NO_ORIGIN_DEG = 1.0
"""Nobody drives so near to 0 N 0 E: there is only sea."""


@dataclass(frozen=True, slots=True)
class Box:
    """Least and greatest longitude and latitude."""

    west: float
    south: float
    east: float
    north: float

    def __contains__(self, lat_lon_deg: tuple[float, float]) -> bool:
        """Whether a place is inside, or nearly."""
        lat, lon = lat_lon_deg
        return (
            self.south - MARGIN_DEG <= lat <= self.north + MARGIN_DEG
            and self.west - MARGIN_DEG <= lon <= self.east + MARGIN_DEG
        )


@dataclass(frozen=True, slots=True)
class Place:
    """What the file of a network says of its place."""

    projection: str
    imported_from: Box | None
    """Box of the roads before they were projected; None where they were no coordinates on earth."""


def place_of(network: Path) -> Place:
    """Read the head of a network.

    Raises:
        SourceError: if it is no SUMO network.
    """
    with open_input(network) as stream:
        try:
            for _, element in ET.iterparse(stream, events=("start",)):  # noqa: S314  user's own
                if element.tag == "location":
                    return _place(element)
                if element.tag in {"edge", "junction"}:
                    break
        except (OSError, EOFError, ET.ParseError) as error:
            raise SourceError(f"{network} is no SUMO network: {error}") from error
    return Place("!", None)


def check_projected(network: Path) -> None:
    """Refuse a network whose vehicles have no latitude and longitude.

    Raises:
        SourceError: if it has no projection, or is no SUMO network.
    """
    projection = place_of(network).projection
    if projection in {"", "!", "-"}:
        raise SourceError(
            f"network {network} has no projection (projParameter={projection!r}), so its "
            "vehicles have no latitude and longitude; use a geo-referenced network, such as one "
            "that netconvert imported from OpenStreetMap"
        )


def check_place(network: Path, lat_lon_deg: Sequence[tuple[float, float]]) -> None:
    """Refuse a network whose vehicles turn up where its roads are not.

    Args:
        network: for its head, and for the message.
        lat_lon_deg: places of vehicles.

    Raises:
        SourceError: with the place, the roads' own box and what was likely mistaken.
    """
    place = place_of(network)
    for found in lat_lon_deg:
        fault = _fault(found, place)
        if fault is not None:
            raise SourceError(
                f"network {network} puts vehicles at {found[0]:.4f} N {found[1]:.4f} E: {fault}; "
                "mend netOffset and projParameter of its location, or import it again with "
                "netconvert"
            )


def _fault(found: tuple[float, float], place: Place) -> str | None:
    lat, lon = found
    if not (math.isfinite(lat) and math.isfinite(lon) and abs(lat) <= 90.0 and abs(lon) <= 180.0):
        return "that is no place on earth"
    roads = place.imported_from
    if roads is None:
        if max(abs(lat), abs(lon)) < NO_ORIGIN_DEG:
            return f"its projection {place.projection!r} has no origin"
        return None
    if found in roads:
        return None
    box = (
        f"its roads lie at {roads.south:g} to {roads.north:g} N {roads.west:g} to {roads.east:g} E"
    )
    if (lon, lat) in roads:
        return f"{box}, so latitude and longitude are swapped"
    if (abs(lat), abs(lon)) in _unsigned(roads):
        return f"{box}, so a sign is wrong"
    return f"{box}, so its zone or offset is another"


def _unsigned(box: Box) -> Box:
    west, east = sorted((abs(box.west), abs(box.east)))
    south, north = sorted((abs(box.south), abs(box.north)))
    return Box(west, south, east, north)


def _place(location: ET.Element) -> Place:
    original = _numbers(location.get("origBoundary", ""))
    projected = _numbers(location.get("convBoundary", ""))
    return Place(location.get("projParameter", "!"), _box(original, projected))


def _numbers(text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        return []
    return numbers if len(numbers) == 4 else []


def _box(original: list[float], projected: list[float]) -> Box | None:
    """The original boundary where it is one of degrees: much smaller than that in metres."""
    if not original or not projected:
        return None
    west, south, east, north = original
    degrees = max(east - west, north - south)
    metres = max(projected[2] - projected[0], projected[3] - projected[1])
    on_earth = abs(west) <= 180.0 >= abs(east) and abs(south) <= 90.0 >= abs(north)
    return Box(west, south, east, north) if on_earth and 1000.0 * degrees < metres else None
