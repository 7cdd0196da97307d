"""What happens in a run, in words. Pure: a view and what the run knows in, text out.

Names and categories come from other programs; they are shown as they are, but for characters that
would move the cursor.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from twintier.cloud_twin.settings import CloudSettings
from twintier.inmf.registry import inmf_of
from twintier.launch.inspect.projection import InmfView, View
from twintier.protocol.ids import SUPER_CATEGORY
from twintier.protocol.messages import IndividualModelReported, MetaRoundStarted

DAYTIME = "tod"
BAR = 24


@dataclass(frozen=True, slots=True)
class Plan:
    """What the run is going to do."""

    cloud: CloudSettings
    plvns: int
    """That planning waits for."""
    inmfs: Sequence[str]
    super_iterations: Mapping[str, int] = field(default_factory=dict)
    """Planned for the super model, by schema of the INMF."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Of INMFs, by their schema."""


def plan_of(cloud: CloudSettings, plvns: int, inmfs: Sequence[str]) -> Plan:
    """The plan for INMFs that are installed.

    Raises:
        UnknownInmfError: if one is not.
    """
    known = [(name, inmf_of(name)) for name in inmfs]
    taught = {each.schema_id: each.is_emulated and each.teaches for _, each in known}
    first = cloud.first_stage_iterations
    planned = {schema: cloud.iterations + first * teaches for schema, teaches in taught.items()}
    return Plan(cloud, plvns, inmfs, planned, {each.schema_id: name for name, each in known})


@dataclass(frozen=True, slots=True)
class Progress:
    """What the run itself knows."""

    plan: Plan
    elapsed_s: float
    messages_per_s: float
    planned_for_s: float | None = None
    """Since planning began; None before, and when it is over."""
    to_go_s: float | None = None
    """Until a run of stated length ends."""
    remark: str = ""
    """What whoever looks should know of the run."""


def printable(text: str) -> str:
    """The text with characters that are no print as their escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def category_words(category: str) -> str:
    """`city=berlin|road=highway|tod=day` as `Day + Berlin + Highway`; empty for the super model."""
    pairs = [pair.partition("=") for pair in category.split("|") if pair]
    values = [value for _, _, value in sorted(pairs, key=lambda pair: pair[0] != DAYTIME)]
    return printable(" + ".join(value[:1].upper() + value[1:] for value in values))


def happening(view: View, progress: Progress) -> str:
    """What the platform does now."""
    training = training_words(view, progress.plan)
    if view.cloud is None:
        return "starting: networks warm up, servers come online"
    if view.cloud.phase == "online":
        return "; ".join(part for part in (_managed(view, progress.plan), training) if part)
    if training:
        return training
    if view.cloud.iterations:
        return "planning: the next training is about to begin"
    here, expected = len(view.plvns), progress.plan.plvns
    return f"waiting for PLVNs: {here} of {expected} are here and act by the baseline"


def training_words(view: View, plan: Plan) -> str:
    """The training that has come furthest, and how many there are; empty if there is none."""
    running = sorted(view.rounds.values(), key=lambda each: -each.iteration / _planned(each, plan))
    if not running:
        return ""
    first, others = running[0], len(running) - 1
    name = plan.names.get(first.schema_id, "") if len(plan.inmfs) > 1 else ""
    whose = f"{printable(name)}: " if name else ""
    model = f"the meta model for {category_words(first.category)}"
    if first.category == SUPER_CATEGORY:
        model = "the super model"
    done = f"{first.iteration} of {_planned(first, plan)}"
    return f"{whose}training {model}, {done}{f', and {others} more' if others else ''}"


def _planned(started: MetaRoundStarted, plan: Plan) -> int:
    if started.category != SUPER_CATEGORY:
        return max(plan.cloud.category_iterations, 1)
    return max(plan.super_iterations.get(started.schema_id, plan.cloud.iterations), 1)


def _managed(view: View, plan: Plan) -> str:
    models = view.models().values()
    own = sum(
        each.performance is not None and each.performance.policy == "individual_model"
        for each in models
    )
    trying = sum(each.model is not None and each.model.state == "probation" for each in models)
    wanted = max(plan.plvns * len(plan.inmfs), len(models))
    probation = f", {trying} on probation" if trying else ""
    return f"online: {own} of {wanted} act by a model of their own{probation}"


def share_planned(view: View, progress: Progress) -> float | None:
    """Which share of planning is over, by time or by iterations; None while nothing is planned."""
    passed_s, limit_s = progress.planned_for_s, progress.plan.cloud.planning_s
    if passed_s is None or view.cloud is None or limit_s <= 0:
        return None
    by_work = view.cloud.iterations / max(view.cloud.iterations_planned, 1)
    return min(max(passed_s / limit_s, by_work), 1.0)


def left_s(view: View, progress: Progress) -> float | None:
    """Wall seconds of planning that are left; None while nothing is planned."""
    share, passed_s = share_planned(view, progress), progress.planned_for_s
    if share is None or passed_s is None:
        return None
    most_s = max(progress.plan.cloud.planning_s - passed_s, 0.0)
    return min(most_s, passed_s * (1 - share) / share) if share > 0 else most_s


def bar(view: View, progress: Progress) -> str:
    """Planning as a bar with the time that is left; empty while nothing is planned."""
    share, remaining_s = share_planned(view, progress), left_s(view, progress)
    if share is None or remaining_s is None:
        return ""
    filled = round(share * BAR)
    drawn = "#" * filled + "-" * (BAR - filled)
    return f"[{drawn}] {share:4.0%} of planning, about {remaining_s:.0f} s left"


def acts_words(seen: InmfView) -> str:
    """What decides: the baseline, or which model of its own in which state."""
    performance = seen.performance
    if performance is None:
        return ""
    if performance.policy == "baseline":
        return "baseline"
    version, model = performance.model_version, seen.model
    if model is None or model.version != version:
        return f"v{version}"
    return f"v{version} {model.state.replace('_', ' ')}"


def origin_words(model: IndividualModelReported | None) -> str:
    """What a model was adapted from."""
    if model is None:
        return ""
    if model.origin == "present_model":
        return "present model"
    return category_words(model.origin_category) or "super model"


def vehicles_of(view: View) -> int:
    """Vehicles in all PLVNs, as telemetry has shown them."""
    return sum(seen.vehicles or 0 for seen in view.plvns.values())
