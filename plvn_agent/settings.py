"""Settings of an agent; how many slots go into a message is the INMF's to say."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """How an agent registers and reports."""

    lease_s: float = 15.0
    """Lease in the retained status; renewed three times within it."""
    retry_s: float = 1.0
    """A registration is sent again after this long without an answer, doubling up to 16 times."""
    history_slots: int = 60
    """Slots of one message that uploads the source's history."""
    cloud_key: str = ""
    """Checks the cloud twin's signature on grants, hexadecimal; with it, orders must be signed by
    the owner whose key the grant names. Empty: nothing is checked."""
