"""How a core is run."""

from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from twintier.protocol.topics import DEFAULT_ROOT
from twintier.runtime.delivery.presence import new_incarnation
from twintier.runtime.delivery.settings import DeliverySettings


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """Of one process."""

    root: str = DEFAULT_ROOT
    incarnation: str = field(default_factory=new_incarnation)
    clock_id: str | None = None
    """Names the simulated clock of the messages that carry simulated time."""
    ledger_path: Path | None = None
    """Where the ledger of messages is written at the end."""
    queue_limit: int = 10_000
    """Messages that wait for the bus at most."""
    health_interval_s: float = 1.0
    reports_per_s: float = 20.0
    """Refused messages that are reported one by one; all of them are counted."""
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    sign_key: Ed25519PrivateKey | None = field(default=None, repr=False)
    """Signs orders to PLVNs; without it none is signed."""
    drain_idle_s: float = 0.2
    drain_s: float = 0.6
    goodbye_s: float = 0.25
    save_s: float = 0.5
    """For what is being saved when the end comes."""
