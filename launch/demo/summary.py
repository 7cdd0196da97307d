"""The summary of a run: what the bus showed, what the stores hold, what the ledgers add up to."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from twintier.cloud_twin.store import CloudStore
from twintier.edge_twin.individual_model import IndividualModel
from twintier.edge_twin.jobs import baseline_reward_j, greedy_reward_j
from twintier.edge_twin.store import EdgeStore
from twintier.inmf.perception.assisted import COOP_PERCEPTION_ASSISTED as SPEC
from twintier.inmf.perception.bound import clairvoyant
from twintier.inmf.perception.emulator import draw_trace
from twintier.launch.inspect.projection import View
from twintier.launch.instruments import injected
from twintier.plvn_agent.sources.builtin import BuiltinSource
from twintier.protocol.ids import PlvnId
from twintier.runtime.delivery.ledger import Messages, count_messages, read_ledger

EVALUATION_EPISODES = 50
EVALUATION_SEED = 20_000


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the run itself knows."""

    broker_kind: str
    broker_version: str
    speed_asked: float
    speed_reached: float
    wall_s: float
    sim_s: float
    edges: Sequence[str]


def summarise(
    view: View, facts: RunFacts, state: Path, messages: Messages, truth: BuiltinSource | None
) -> dict[str, object]:
    """Everything that the summary file holds.

    Args:
        view: of the whole run.
        facts: of the run.
        state: folder of the stores.
        messages: from the ledgers.
        truth: the true simulator of a built-in run; None if rewards are the calibrated emulator's.
    """
    kept = _kept_models(state, facts.edges)
    return {
        "broker": {"kind": facts.broker_kind, "version": facts.broker_version},
        "speed": {"asked": facts.speed_asked, "reached": round(facts.speed_reached, 2)},
        "plvns": [_plvn(plvn, view) for plvn in sorted(view.plvns)],
        "meta_models": _meta_models(state),
        "individual_models": [
            _individual_model(plvn, view, kept.get(plvn), truth)
            for plvn in sorted(view.plvns)
            if view.plvns[plvn].newest is not None
        ],
        "retrains": [
            {
                "plvn": r.plvn,
                "inmf": r.triggered.inmf,
                "cause": r.triggered.cause.model_dump(exclude={"trigger"})
                | {"trigger": r.triggered.cause.trigger},
                "from": r.triggered.from_model,
                "to": r.to_model,
            }
            for r in view.retrainings
        ],
        "messages": {
            "published": messages.published,
            "delivered": messages.delivered,
            "redelivered": messages.redelivered,
            "refused": messages.refused,
            "lost": messages.lost,
        },
        "injected": injected(view.health.values()),
        "wall_s": round(facts.wall_s, 2),
        "sim_s": round(facts.sim_s, 1),
    }


def read_ledgers(folder: Path) -> Messages:
    """Totals of the ledgers in a folder; an unreadable one is left out of the totals."""
    ledgers = []
    for path in sorted(folder.glob("*.json")):
        try:
            ledgers.append(read_ledger(path))
        except (OSError, ValidationError):
            continue
    return count_messages(ledgers)


def write_summary(summary: dict[str, object], path: Path) -> None:
    """Write it as JSON."""
    path.write_text(json.dumps(summary, indent=2) + "\n")


def _plvn(plvn: PlvnId, view: View) -> dict[str, object]:
    seen = view.plvns[plvn]
    attributes = seen.attributes
    return {
        "id": plvn,
        "city": None if attributes is None else attributes.city,
        "road": None if attributes is None else attributes.road,
        "category": None if attributes is None else attributes.category,
        "edge_server": seen.edge,
    }


def _meta_models(state: Path) -> list[dict[str, object]]:
    store = CloudStore(state / "cloud")
    try:
        models = store.meta_models()
    finally:
        store.close()
    return [
        {
            "inmf": model.inmf,
            "category": model.category,
            "version": model.version,
            "iterations": model.iterations,
            "adaptation_reward_first": model.adaptation_reward_first,
            "adaptation_reward_last": model.adaptation_reward_last,
        }
        for model in models
    ]


def _kept_models(state: Path, edges: Sequence[str]) -> dict[PlvnId, IndividualModel]:
    kept: dict[PlvnId, IndividualModel] = {}
    for edge in edges:
        store = EdgeStore(state / edge)
        try:
            kept.update({model.plvn: model for model in store.models()})
        finally:
            store.close()
    return kept


def _individual_model(
    plvn: PlvnId, view: View, kept: IndividualModel | None, truth: BuiltinSource | None
) -> dict[str, object]:
    seen = view.plvns[plvn]
    report = seen.model or seen.newest
    assert report is not None
    origin = report.origin_category or "super"
    if report.origin == "present_model":
        origin = "present_model"
    rewards = {
        "reward_before": report.reward_before,
        "reward_after": report.reward_after,
        "baseline_reward": report.baseline_reward,
        "bound_reward": report.bound_reward,
    }
    if truth is not None and kept is not None and kept.version == report.version:
        rewards = _true_rewards(kept, truth, report.sim_time_s)
    return {
        "plvn": plvn,
        "inmf": report.inmf,
        "version": report.version,
        "state": report.state,
        "origin": origin,
        "adaptation_steps": report.adaptation_steps,
        **rewards,
        "true_slots": report.true_slots,
        "synthetic_slots": report.synthetic_slots,
    }


def _true_rewards(
    model: IndividualModel, truth: BuiltinSource, sim_time_s: float
) -> dict[str, float]:
    """Rewards in the true simulator, in the condition that the model was made for."""
    parameters = truth.true_parameters(model.plvn, sim_time_s)
    rng = np.random.default_rng(EVALUATION_SEED)
    trace = draw_trace(parameters, EVALUATION_EPISODES, SPEC.slots, rng)
    condition = parameters.condition
    return {
        "reward_before": greedy_reward_j(model.start, trace, condition),
        "reward_after": greedy_reward_j(model.parameters, trace, condition),
        "baseline_reward": baseline_reward_j(trace, condition),
        "bound_reward": float(clairvoyant(trace, condition).mean()) / trace.slots,
    }
