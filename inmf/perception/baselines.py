"""Classical baselines: enumerate all modes with a believed condition, and AIMD packing.

`classical_nominal` enumerates with expert constants, `classical_calibrated` with a calibrated
condition; on variant `paper` enumeration is the clairvoyant bound. `classical_aimd` knows expert
constants only and learns a margin from slots that turned out infeasible: the agent's fallback.
"""

from dataclasses import dataclass, replace

import numpy as np

from twintier.inmf.perception.condition import Condition, stack
from twintier.inmf.perception.live import (
    MAX_DISTANCE_M,
    MAX_OBJECTS,
    MIN_DISTANCE_M,
    LiveEpisodes,
    all_modes,
    carried_out,
    outcome,
)
from twintier.inmf.perception.paper import PaperEpisodes
from twintier.inmf.perception.physics import (
    NOMINAL,
    Physics,
    gain_at,
    gains,
    pair_terms,
    physics_of,
)
from twintier.inmf.spec import Array, Mask

NOMINAL_PHYSICS = physics_of(stack([NOMINAL])[0])
MARGIN_RISE = 1.5
"""Factor on the margin after an infeasible slot (assumed)."""
MARGIN_FALL = 0.001
"""Step down after a feasible slot in which a pair cooperated (assumed)."""
MARGIN_RANGE = (0.6, 4.0)


def enumerate_paper(batch: PaperEpisodes) -> Mask:
    """Best modes of each slot of variant `paper`, (episodes, slots, pairs): the bound."""
    return best_modes(batch.physics, batch.bandwidth_hz, batch.objects, batch.distance_m)


def best_modes(known: Physics, bandwidth_hz: Array, objects: Array, distance_m: Array) -> Mask:
    """Modes (..., pairs) of largest gain, where all pairs are there and changing costs nothing."""
    choices = all_modes(objects.shape[-1])
    terms = pair_terms(known, objects, distance_m)
    gain_j, _ = gains(terms, _in_front(choices, objects), bandwidth_hz)
    best: Mask = choices[gain_j.argmax(axis=0)]
    return best


def _in_front(choices: Mask, objects: Array) -> Mask:
    """Choices (n, pairs) as a new first axis before (..., pairs): all are tried in one call."""
    return choices.reshape(len(choices), *[1] * (objects.ndim - 1), -1)


def enumerate_modes(
    believed: Physics,
    bandwidth_hz: float | Array,
    objects: Array,
    distance_m: Array,
    present: Mask,
    *,
    modes_before: Mask,
) -> Mask:
    """Modes (..., pairs) that earn most in the next slot if the condition is as believed."""
    choices = all_modes(objects.shape[-1])
    earned = outcome(
        believed,
        bandwidth_hz,
        objects,
        distance_m,
        present,
        modes_before=modes_before,
        modes=_in_front(choices, objects),
    )
    best: Mask = choices[earned.reward_j.argmax(axis=0)] & present
    return best


def enumerate_live(batch: LiveEpisodes, believed: Condition) -> Mask:
    """`classical_calibrated` over episodes, (episodes, slots, pairs); nominal with `NOMINAL`."""
    physics = physics_of(stack([believed])[0])
    trace = batch.trace
    modes = np.zeros(trace.objects.shape, bool)
    before = np.zeros((trace.episodes, trace.pairs), bool)
    for slot in range(trace.slots):
        before = enumerate_modes(
            physics,
            trace.bandwidth_hz[:, slot],
            trace.objects[:, slot],
            trace.distance_m[:, slot],
            trace.present[:, slot],
            modes_before=before,
        )
        modes[:, slot] = before
    return modes


def pack(
    margin: float | Array,
    bandwidth_hz: float | Array,
    objects: Array,
    distance_m: Array,
    present: Mask,
) -> Mask:
    """Greedy packing with expert constants, (..., pairs).

    Pairs go by gain per hertz; each takes its nominal b_min times the margin while that fits.
    """
    workload = np.clip(objects, 0.0, MAX_OBJECTS)
    terms = pair_terms(
        NOMINAL_PHYSICS, workload, np.clip(distance_m, MIN_DISTANCE_M, MAX_DISTANCE_M)
    )
    need_hz = terms.least_hz * np.asarray(margin)[..., None]
    usable = carried_out(np.ones(objects.shape, bool), workload, present)
    gain_j = gain_at(terms, np.broadcast_to(2.0, objects.shape))
    rank = np.argsort(np.where(usable, -gain_j / np.maximum(need_hz, 1.0), np.inf), axis=-1)
    modes = np.zeros(objects.shape, bool)
    left = np.array(bandwidth_hz, np.float64)
    for position in range(objects.shape[-1]):
        pair = rank[..., position : position + 1]
        need = np.take_along_axis(need_hz, pair, axis=-1)[..., 0]
        fits = np.take_along_axis(usable, pair, axis=-1)[..., 0] & (need <= left)
        left = left - np.where(fits, need, 0.0)
        np.put_along_axis(modes, pair, fits[..., None], axis=-1)
    return modes


def next_margin(margin: float | Array, modes: Mask, *, infeasible: bool | Mask) -> Array:
    """Margin after a slot: up by a factor if infeasible, else down by a step if it was used."""
    used = modes.any(axis=-1)
    raised = np.asarray(margin) * MARGIN_RISE
    lowered = np.asarray(margin) - MARGIN_FALL * used
    return np.clip(np.where(infeasible, raised, lowered), *MARGIN_RANGE)


@dataclass(frozen=True, slots=True)
class Aimd:
    """`classical_aimd` for one PLVN, slot by slot."""

    margin: float = 1.0
    """Factor on the nominal need of bandwidth."""
    chosen: tuple[bool, ...] = ()
    """Modes of the slot whose outcome comes next."""

    def decide(
        self, bandwidth_hz: float, objects: Array, distance_m: Array, present: Mask
    ) -> tuple["Aimd", Mask]:
        """The state that waits for this slot's outcome, and its modes.

        Args:
            bandwidth_hz: free for all pairs together.
            objects: (pairs,) to perceive.
            distance_m: (pairs,) between transmitter and receiver.
            present: (pairs,) whether the row holds a pair; others stay single.

        Returns:
            The next state, and (pairs,) bool: whether a pair cooperates.
        """
        modes = pack(self.margin, bandwidth_hz, objects, distance_m, present)
        return replace(self, chosen=tuple(bool(mode) for mode in modes)), modes

    def after(self, *, infeasible: bool) -> "Aimd":
        """The state after the outcome of the decided slot."""
        margin = next_margin(self.margin, np.asarray(self.chosen, bool), infeasible=infeasible)
        return Aimd(float(margin))


def aimd_modes(batch: LiveEpisodes, first_margin: float | Array = 1.0) -> tuple[Mask, Array]:
    """`classical_aimd` over episodes, each with its own margin.

    Args:
        batch: the episodes.
        first_margin: before the first slot, one or (episodes,).

    Returns:
        Modes (episodes, slots, pairs), and the margins after the last slot (episodes,).
    """
    trace = batch.trace
    modes = np.zeros(trace.objects.shape, bool)
    margin: Array = np.broadcast_to(np.asarray(first_margin, float), (trace.episodes,))
    for slot in range(trace.slots):
        chosen = pack(
            margin,
            trace.bandwidth_hz[:, slot],
            trace.objects[:, slot],
            trace.distance_m[:, slot],
            trace.present[:, slot],
        )
        modes[:, slot] = chosen
        margin = next_margin(margin, chosen, infeasible=_infeasible(batch, slot, chosen))
    return modes, margin


def settled_aimd_actions(batch: LiveEpisodes) -> Mask:
    """`classical_aimd` as it acts once its margin fits the condition: a second pass."""
    _, margin = aimd_modes(batch)
    return aimd_modes(batch, margin)[0]


def _infeasible(batch: LiveEpisodes, slot: int, modes: Mask) -> Mask:
    """Whether modes do not fit, (episodes,): needed bandwidth against what is there."""
    trace = batch.trace
    physics = physics_of(batch.conditions)
    objects = np.clip(trace.objects[:, slot], 0.0, MAX_OBJECTS)
    distance = np.clip(trace.distance_m[:, slot], MIN_DISTANCE_M, MAX_DISTANCE_M)
    terms = pair_terms(physics, objects, distance)
    cooperating = carried_out(modes, objects, trace.present[:, slot])
    needed = np.where(cooperating, terms.least_hz, 0.0).sum(axis=-1)
    return np.asarray(needed > trace.bandwidth_hz[:, slot])
