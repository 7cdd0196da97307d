"""The summary of a run: what the bus showed, what the stores hold, what the ledgers add up to."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from twintier.cloud_twin.store import CloudStore
from twintier.launch.inspect.projection import InmfView, View
from twintier.launch.instruments import injected
from twintier.protocol.ids import PlvnId
from twintier.runtime.delivery.ledger import Messages, count_messages, read_ledger


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
    source: str
    """Of the vehicles."""
    stands_in_for: str
    """The source that was asked for, if it is another one."""
    because: str


def summarise(view: View, facts: RunFacts, state: Path, messages: Messages) -> dict[str, object]:
    """Everything that the summary file holds.

    Args:
        view: of the whole run.
        facts: of the run.
        state: folder of the stores.
        messages: from the ledgers.
    """
    return {
        "broker": {"kind": facts.broker_kind, "version": facts.broker_version},
        "speed": {"asked": facts.speed_asked, "reached": round(facts.speed_reached, 2)},
        "vehicles": {
            "source": facts.source,
            "stands_in_for": facts.stands_in_for or None,
            "because": facts.because or None,
        },
        "plvns": [_plvn(plvn, view) for plvn in sorted(view.plvns)],
        "meta_models": _meta_models(state),
        "individual_models": [
            _individual_model(plvn, seen)
            for (plvn, _), seen in view.models().items()
            if seen.newest is not None
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


def _individual_model(plvn: PlvnId, seen: InmfView) -> dict[str, object]:
    report = seen.model or seen.newest
    assert report is not None
    origin = report.origin_category or "super"
    if report.origin == "present_model":
        origin = "present_model"
    return {
        "plvn": plvn,
        "inmf": report.inmf,
        "version": report.version,
        "state": report.state,
        "origin": origin,
        "adaptation_steps": report.adaptation_steps,
        "evidence": report.evidence,
        "reward_before": report.reward_before,
        "reward_after": report.reward_after,
        "baseline_reward": report.baseline_reward,
        "bound_reward": report.bound_reward,
        "measured_reward": seen.reward,
        "true_slots": report.true_slots,
        "synthetic_slots": report.synthetic_slots,
    }
