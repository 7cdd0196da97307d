"""Settings of an edge server and its twins."""

from dataclasses import dataclass, field
from typing import Literal

from twintier.inmf.contract import Inmf
from twintier.inmf.spec import Windows
from twintier.learning.adapt import AdaptationSettings
from twintier.learning.meta import MetaSettings


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """How an edge server hosts twins and makes individual models."""

    lat_deg: float = 0.0
    lon_deg: float = 0.0
    capacity: int = 64
    lease_s: float = 15.0
    """Lease in the retained status; renewed three times within it."""
    retry_s: float = 3.0
    """What has an answer is sent again after this long without one."""
    attributes_period_s: float = 10.0
    """Simulated seconds between two reports; evenly spaced, as change-point detection needs."""
    attributes_window_s: float = 60.0
    longest_jump_s: float = 3600.0
    """Slots or simulated time that one message goes ahead of the one before; one that goes further
    is refused until the next one confirms it."""
    most_versions_ahead: int = 1000
    """Orders that a PLVN may be ahead of a restarted twin; a larger number is a fault."""
    telemetry_slots: int = 3600
    """Slots of telemetry that a twin keeps."""
    trajectory_slots: int = 3000
    """Slots of trajectories that a twin keeps."""
    windows: Windows | None = None
    """Lengths in slots for every INMF; as each declares them if None."""
    exchanges: int = 2
    """Exchanges before the final dispatch (the paper's several adaptation steps)."""
    max_exchanges: int = 4
    """More are made while the model does not beat the classical baseline in the emulator."""
    max_sampled_exchanges: int = 12
    """The same where nothing is emulated: an exchange is then one look at what sampled actions
    have earned, so there must be more (assumed)."""
    evaluation_episodes: int = 50
    """Common traces on which a model, its origin, the baseline and the bound are compared."""
    probation_blocks: int = 10
    """Blocks of slots until a new model counts as in force."""
    guard_margin: float = 0.15
    """A model may fall short of the baseline's reward by this share before it goes, and by the
    INMF's `reward_floor` where the baseline earns next to nothing."""
    change_threshold: float = 16.0
    """Loss of likelihood (in twice nats) when one condition must explain both sides of a change
    point; a chi-square with five degrees exceeds it in 0.7 % of alarms, and without change the
    watch alarms once in some thousand blocks."""
    prior_share: float = 0.5
    """Share of meta-training tasks drawn from the prior of hidden conditions instead of the
    calibrated one: conditions change, and a category's model must serve the next one too."""
    cached_models: int = 32
    """Meta models that an edge server keeps."""
    cache_policy: str = "oldest"
    """Which one goes to make room: oldest, least-used, or another package's."""
    device: str = "cpu"
    """Where networks of INMFs' own are computed: cpu, or cuda where there is one."""
    meta: MetaSettings = field(default_factory=MetaSettings)
    """How a round is computed, as far as the cloud twin does not say it with each round."""
    paper_loop: bool = False
    """Whether PLVNs sample actions and their true slots alone are learned from, as in the paper,
    even where an INMF states an emulator."""
    rows_per_message: int = 5
    """Rows of gradients of 45 kB in a message below the chunk size."""
    adaptation: AdaptationSettings = field(
        default_factory=lambda: AdaptationSettings(teacher_steps=40, updates=8)
    )
    seed: int = 1
    verify_key: str = ""
    """Checks what this server signs, hexadecimal; empty if it signs nothing."""

    def windows_of(self, inmf: Inmf) -> Windows:
        """Lengths in slots of what is done with an INMF."""
        return self.windows or inmf.spec.windows

    def most_exchanges(self, evidence: Literal["emulated", "measured"]) -> int:
        """Exchanges after which a model must do."""
        return self.max_exchanges if evidence == "emulated" else self.max_sampled_exchanges
