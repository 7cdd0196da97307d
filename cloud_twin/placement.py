"""Which edge server hosts a twin: the nearest one with room. No I/O."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from twintier.protocol.ids import EdgeId
from twintier.protocol.messages import Site

EARTH_RADIUS_M = 6_371_000.0


@dataclass(frozen=True, slots=True)
class EdgeServer:
    """An edge server as its status describes it."""

    edge: EdgeId
    lat_deg: float
    lon_deg: float
    capacity: int
    lease_until: float
    """Wall time at which it counts as gone; 0 once it said that it leaves."""
    boot: str
    verify_key: str = ""
    """Checks what it signs; named in its grants."""


def distance_m(lat_a: float, lon_a: float, lat_b: float, lon_b: float) -> float:
    """Great-circle distance (haversine), degrees in, metres out."""
    phi_a, phi_b = math.radians(lat_a), math.radians(lat_b)
    half = (
        math.sin((phi_b - phi_a) / 2) ** 2
        + math.cos(phi_a) * math.cos(phi_b) * math.sin(math.radians(lon_b - lon_a) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(half)))


def nearest_with_room(
    site: Site, servers: Iterable[EdgeServer], load: Mapping[EdgeId, int], now: float
) -> EdgeServer | None:
    """The nearest server that is there and has room; of equally near ones the emptier."""
    open_servers = [
        server
        for server in servers
        if server.lease_until > now and load.get(server.edge, 0) < server.capacity
    ]
    return min(
        open_servers,
        key=lambda s: (
            round(distance_m(site.lat_deg, site.lon_deg, s.lat_deg, s.lon_deg)),
            load.get(s.edge, 0),
            s.edge,
        ),
        default=None,
    )
