"""Whether a model may act: held against the classical baseline, before and after. Pure."""

from twintier.edge_twin.jobs import AdaptationResult
from twintier.edge_twin.life_cycle import Probation
from twintier.edge_twin.mirror import Mirror
from twintier.edge_twin.settings import EdgeSettings
from twintier.inmf.contract import REWARD, Columns, Emulator, Inmf, Posterior
from twintier.inmf.spec import InmfSpec


def is_enough(exchange: int, result: AdaptationResult, settings: EdgeSettings) -> bool:
    """Whether no more exchanges are made after this one."""
    if exchange < settings.exchanges:
        return False
    after, rule = result.reward_after, result.baseline_reward
    beaten = after is None or rule is None or after >= rule
    return beaten or exchange >= settings.most_exchanges(result.evidence)


def falls_short(
    reward: float | None, rule: float | None, spec: InmfSpec, settings: EdgeSettings
) -> bool:
    """Whether a model's reward is further below the baseline's than it may be."""
    if reward is None or rule is None:
        return False
    return reward < rule - max(settings.guard_margin * abs(rule), spec.reward_floor)


def judged(
    state: Probation,
    rows: Columns,
    inmf: Inmf,
    mirror: Mirror,
    emulator: Emulator | None,
    *,
    posterior: Posterior | None,
) -> Probation:
    """Probation after one more block of true slots.

    The baseline is emulated on the block's own states where there is an emulator, so luck with the
    traffic favours neither. Without one, what it has lately earned in this PLVN stands for it, and
    where it never acted nothing speaks against the model.
    """
    slots, reward = int(rows[REWARD].size), float(rows[REWARD].sum())
    return state.add(slots, reward, slots * _rule_reward(rows, inmf, mirror, emulator, posterior))


def _rule_reward(
    rows: Columns,
    inmf: Inmf,
    mirror: Mirror,
    emulator: Emulator | None,
    posterior: Posterior | None,
) -> float:
    same = None
    if emulator is not None:
        hidden = None if posterior is None else posterior.best[None]
        same = emulator.replay(rows, hidden, int(rows[REWARD].size))
    if same is not None:
        return float(same.rewards(inmf.rule_actions(same)).mean())
    lately = mirror.rule_reward
    return float(rows[REWARD].mean()) if lately is None else lately
