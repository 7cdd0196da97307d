"""What the hour means for traffic: how active human-driven vehicles are on the radio."""

ACTIVITY = {"rush": 1.0, "day": 0.8, "night": 0.6}
"""Share of the human-driven vehicles that are active, by the time of day (assumed)."""
RUSH_HOURS = ((7.0, 9.0), (16.0, 19.0))
"""Assumed: usual peaks of a working day."""
NIGHT_FROM_HOUR, NIGHT_TO_HOUR = 22.0, 5.0
"""Assumed."""


def hour_at(start_hour: float, sim_time_s: float) -> float:
    """Civil hour with fraction, in [0, 24)."""
    return (start_hour + sim_time_s / 3600.0) % 24.0


def period_of_day(hour: float) -> str:
    """`rush`, `day` or `night`."""
    if any(begin <= hour < end for begin, end in RUSH_HOURS):
        return "rush"
    if hour >= NIGHT_FROM_HOUR or hour < NIGHT_TO_HOUR:
        return "night"
    return "day"


def activity_at(hour: float) -> float:
    """Probability that a human-driven vehicle is active on the radio."""
    return ACTIVITY[period_of_day(hour)]
