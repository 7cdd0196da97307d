"""Classes of roads by speed limit, what drives on them, and how far it perceives on each."""

HIGHWAY_FROM_MPS = 25.0
"""Assumed: 90 km/h."""
ARTERIAL_FROM_MPS = 14.0
"""Assumed: just above 50 km/h."""
SENSOR_RANGE_M = {"highway": 65.0, "arterial": 40.0, "local": 30.0}
"""Assumed: sensors reach as far as speed demands and buildings allow; a workload of 4 to 8 objects
is typical then, as in the case study."""

MOTOR_CLASSES = frozenset(
    {
        "army",
        "authority",
        "bus",
        "coach",
        "custom1",
        "custom2",
        "delivery",
        "emergency",
        "evehicle",
        "hov",
        "ignoring",
        "moped",
        "motorcycle",
        "passenger",
        "private",
        "taxi",
        "trailer",
        "truck",
        "vip",
    }
)
"""SUMO's vehicle classes that are road motor vehicles, so may be CAVs: no bicycle, tram, train or
ship."""


def road_class(speed_limit_mps: float) -> str:
    """`highway`, `arterial` or `local`."""
    if speed_limit_mps >= HIGHWAY_FROM_MPS:
        return "highway"
    if speed_limit_mps >= ARTERIAL_FROM_MPS:
        return "arterial"
    return "local"
