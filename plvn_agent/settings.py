"""Settings of an agent."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """How an agent registers, reports and falls back."""

    lease_s: float = 15.0
    """Lease in the retained status; renewed three times within it."""
    retry_s: float = 1.0
    """A registration is sent again after this long without an answer, doubling up to 16 times."""
    telemetry_slots: int = 10
    """Slots of one telemetry message."""
    history_slots: int = 60
    """Slots of one message that uploads the source's history."""
    batch_slots: int = 15
    """Slots of a batch of trajectories until the twin asks for another number."""
    performance_slots: int = 75
    """Slots of one performance summary."""
    cloud_key: str = ""
    """Checks the cloud twin's signature on grants, hexadecimal; with it, orders must be signed by
    the owner whose key the grant names. Empty: nothing is checked."""
