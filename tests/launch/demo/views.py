"""What the bus has shown of a run, and what the run knows."""

from typing import TypeVar

from twintier.cloud_twin.settings import CloudSettings
from twintier.launch.demo.words import Plan, Progress
from twintier.launch.inspect.projection import View
from twintier.protocol.ids import InmfId, PlvnId
from twintier.protocol.messages import (
    AttributesReported,
    CloudStatusReported,
    IndividualModelReported,
    MetaRoundStarted,
    PerformanceReported,
)
from twintier.protocol.messages.base import Message

Made = TypeVar("Made", bound=Message)
PERCEPTION, SCALING = InmfId("coop-perception"), InmfId("vnf-scaling")
SCHEMAS = {"perception-1": PERCEPTION, "scaling-1": SCALING}
DAY_IN_BERLIN = "city=berlin|road=highway|tod=day"


def partly(kind: type[Made], **values: object) -> Made:
    """A message of which only what is shown is there."""
    made = kind.model_construct(None, **values)
    assert isinstance(made, kind)
    return made


def plan(plvns: int = 8, *inmfs: InmfId) -> Plan:
    """For the cooperative perception unless others are named; 300 iterations of a super model."""
    cloud = CloudSettings(category_iterations=100, planning_s=60.0)
    return Plan(cloud, plvns, inmfs or (PERCEPTION,), {"perception-1": 300}, SCHEMAS)


def progress(
    planned: Plan, *, planned_for_s: float | None = None, remark: str = "", elapsed_s: float = 7.0
) -> Progress:
    return Progress(planned, elapsed_s, 120.0, planned_for_s, None, remark)


def cloud(phase: str, iterations: int = 0, planned: int = 400) -> CloudStatusReported:
    return CloudStatusReported.model_validate(
        {
            "state": "online",
            "lease_s": 15.0,
            "phase": phase,
            "iterations": iterations,
            "iterations_planned": planned,
        }
    )


def training(category: str, iteration: int, schema: str = "perception-1") -> MetaRoundStarted:
    return partly(
        MetaRoundStarted,
        job=f"{category}-1",
        category=category,
        iteration=iteration,
        schema_id=schema,
    )


def performance(policy: str, reward: float, version: int = 0) -> PerformanceReported:
    return PerformanceReported.model_validate(
        {
            "policy": policy,
            "model_version": version,
            "slot_first": 0,
            "slots": 10,
            "reward_sum": 10 * reward,
            "outcomes": (),
        }
    )


def model(version: int, state: str, *rewards: float) -> IndividualModelReported:
    """Rewards of the trial: of the model, of the baseline, and the bound."""
    after, baseline, bound = rewards
    return partly(
        IndividualModelReported,
        inmf=PERCEPTION,
        version=version,
        state=state,
        origin="meta_model",
        origin_category=DAY_IN_BERLIN,
        reward_after=after,
        baseline_reward=baseline,
        bound_reward=bound,
    )


def attributes(category: str) -> AttributesReported:
    return partly(AttributesReported, category=category)


def busy(plvns: int, *inmfs: InmfId) -> View:
    """Online, with vehicles everywhere; every second network acts by a model of its own."""
    view = View(cloud=cloud("online", 400))
    for number in range(1, plvns + 1):
        seen = view.plvn(PlvnId(f"braunschweig-arterial-rsu{number}"))
        seen.vehicles, seen.attributes = 30 + number, attributes(DAY_IN_BERLIN)
        for inmf in inmfs:
            own = seen.inmf(inmf)
            own.measured(performance("baseline", 0.5))
            if number % 2:
                own.model = own.newest = model(3, "probation", 0.79, 0.71, 0.88)
                for _ in range(4):
                    own.measured(performance("individual_model", 4.42, 3))
    return view
