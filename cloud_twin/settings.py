"""Settings of the cloud twin; numbers that the paper lacks say why they are what they are."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """How the cloud twin places, categorises and trains."""

    lease_s: float = 15.0
    """Lease in the retained status; renewed three times within it."""
    grant_valid_s: float = 120.0
    """Ownership outlives an outage of the cloud twin this long."""
    placement_retry_s: float = 2.0
    """A placement is sent again until the edge server answers."""
    n_min: int = 4
    """PLVNs that a category needs before it gets a meta model (the demo's value; 10 or more fits
    a deployment with hundreds of PLVNs)."""
    max_level: int = 3
    """Attributes in a category at most."""
    tasks: int = 10
    """PLVNs sampled in an iteration (I), all of the list where it is shorter."""
    episodes: int = 10
    """Emulated episodes of a twin in each round of data collection."""
    algorithm: str = "maml"
    """Learner of meta training: maml, fomaml, reptile, or one of another package."""
    aggregator: str = "mean"
    """What becomes of the twins' gradients: mean, median, trimmed-mean, or another package's."""
    train_prior: bool = True
    """Whether a meta model has a prior of its own, trained on the mixture of tasks after the first
    stage; otherwise the meta learned vector stands for both."""
    inner_steps: int = 3
    first_stage_iterations: int = 150
    """Iterations in which the super model learns the mixture of tasks from the emulator's answers;
    meta training from the mixture adapts better than from random."""
    first_stage_learning_rate: float = 1e-2
    iterations: int = 150
    """Iterations of meta training of the super model after the first stage."""
    category_iterations: int = 80
    """Iterations of a category's model, which starts from its least-general ancestor."""
    min_iterations: int = 20
    """A training that its time limit ends earlier gives no model."""
    learning_rate: float = 3e-3
    """Step size of the meta optimiser (beta), Adam."""
    decay: bool = False
    """Whether the meta optimiser's rates fall linearly to a fifth over a training."""
    step_size_learning_rate: float = 3e-2
    """Adam on the logarithm of the per-parameter inner step sizes."""
    initial_step_size: float = 0.1
    """Inner step size (alpha) before it is learned."""
    round_deadline_s: float = 20.0
    round_attempts: int = 5
    """Rounds in a row without a gradient before the training pauses."""
    pause_s: float = 10.0
    checkpoint_iterations: int = 10
    """A restart loses at most this many iterations."""
    parallel_trainings: int = 4
    planning_s: float = 90.0
    """Longest offline planning, from the first registered twin."""
    super_share: float = 0.6
    """Share of the planning time after which the super model must be done."""
    edges_wait_s: float = 10.0
    """After a start edge servers report one by one; this long none that is silent loses a twin."""
    expected_edges: int = 0
    """As long, a new twin waits for this many, so that none goes to a far one which was heard
    first; 0 takes whichever is there."""
    expected_plvns: int = 0
    """Planning waits for this many twins; 0 waits until none has come for `planning_pause_s`."""
    planning_pause_s: float = 3.0
    """Without a new twin for this long, planning begins."""
    seed: int = 1
