"""Classical rules of VNF scaling on a grid of settings: reward as a share of the bound.

Loads are those of a wide range of PLVNs. `known_lag` has the lag of one slot that the published
figures rest on; `hidden` has all hidden parameters from the prior, and settles the rule's defaults.
"""

from collections.abc import Mapping

import numpy as np

from twintier.inmf.episodes import Actions
from twintier.inmf.spec import Array
from twintier.inmf.vnf_scaling.arrivals import LEAST_LOAD, fractional_noise
from twintier.inmf.vnf_scaling.bound import Clairvoyant
from twintier.inmf.vnf_scaling.calibration import VnfCalibration
from twintier.inmf.vnf_scaling.episodes import DRAWN, LoadTrace, VnfEpisodes
from twintier.inmf.vnf_scaling.physics import order
from twintier.inmf.vnf_scaling.rule import Provisioning, choice_for

EPISODES = 512
FORGETTING = (0.1, 0.2, 0.3, 0.5)
MARGINS = (1.0, 1.5, 2.0, 2.5, 3.0)
PATIENCE = (1, 2, 3)
THRESHOLDS = ((0.9, 0.6), (1.05, 0.5))


def wide_loads(episodes: int, rng: np.random.Generator) -> Array:
    """Loads (episodes, DRAWN) with level, wave and noise from wide ranges."""

    def between(low: float, high: float) -> Array:
        return rng.uniform(low, high, (episodes, 1))

    angle = 2.0 * np.pi * np.arange(DRAWN) / between(30.0, 150.0) + between(0.0, 2.0 * np.pi)
    noise = fractional_noise(rng.uniform(0.55, 0.85, episodes), DRAWN, rng)
    load = between(2.5, 7.0) + between(0.0, 3.0) * np.sin(angle) + between(0.3, 1.2) * noise
    return np.maximum(load, LEAST_LOAD)


def one_slot_hidden(episodes: int, rng: np.random.Generator) -> Array:
    """Hidden parameters (episodes, 3) of the published figures, lag of one slot."""
    hidden = rng.uniform((0.5, 0.02, 1.0), (3.0, 0.2, 1.0), (episodes, 3))
    return np.asarray(hidden)


def thresholds(batch: VnfEpisodes, up: float, down: float) -> Actions:
    """One instance more above a utilisation, one less below another, (episodes, slots, 1)."""
    ordered, chosen = batch.start.ordered, []
    for loads in batch.trace.loads:
        total = ordered[:, 0]
        used = loads.before[:, 0] / total
        chosen.append(choice_for(total + (used > up) - (used < down), total))
        ordered = order(ordered, chosen[-1])
    return np.stack(chosen, axis=1)[..., None].astype(np.int64)


def provisioning(load: Array, hidden: Array, bound: float) -> dict[str, float]:
    """Share of the bound by settings of the rule."""
    shares = {}
    for forgetting in FORGETTING:
        batch = VnfEpisodes(LoadTrace.of(load, forgetting=forgetting), hidden)
        for margin in MARGINS:
            for patience in PATIENCE:
                actions = Provisioning(margin, patience).actions(batch)
                share = batch.rewards(actions).sum(axis=1).mean() / bound
                shares[f"{forgetting} {margin} {patience}"] = round(float(share), 3)
    return shares


def run() -> Mapping[str, object]:
    """Shares of the bound by rule and settings."""
    rng = np.random.default_rng(0)
    load = wide_loads(EPISODES, rng)
    hiddens = {
        "known_lag": one_slot_hidden(EPISODES, rng),
        "hidden": VnfCalibration().prior(EPISODES, rng),
    }
    figures: dict[str, object] = {"settings": "forgetting margin patience"}
    for name, hidden in hiddens.items():
        batch = VnfEpisodes(LoadTrace.of(load), hidden)
        bound = float(Clairvoyant()(batch).mean())
        plain = {
            f"{up} {down}": round(
                float(batch.rewards(thresholds(batch, up, down)).sum(axis=1).mean()) / bound, 3
            )
            for up, down in THRESHOLDS
        }
        shares = provisioning(load, hidden, bound)
        figures[name] = {
            "bound": round(bound, 2),
            "thresholds": plain,
            "provisioning": shares,
            "best": max(shares, key=lambda each: shares[each]),
        }
    return figures
