"""The live table of a run. Pure: a view in, something that rich can print out."""

from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from twintier.launch.inspect.projection import InmfView, View
from twintier.launch.instruments import injected
from twintier.protocol.ids import InmfId


@dataclass(frozen=True, slots=True)
class Progress:
    """What the run itself knows."""

    elapsed_s: float
    messages_per_s: float
    note: str


def render(view: View, progress: Progress) -> RenderableType:
    """The table with a line above and a line below."""
    return Group(_headline(view, progress), _plvns(view), _footline(view, progress))


def _headline(view: View, progress: Progress) -> Text:
    sim_s = max((h.sim_time_s for h in view.health.values()), default=0.0)
    speed = max((h.speed for h in view.health.values()), default=0.0)
    cloud = view.cloud
    phase = "starting" if cloud is None else cloud.phase
    counted = "" if cloud is None else f" {cloud.iterations}/{cloud.iterations_planned} iterations"
    return Text(
        f"{phase}{counted} | {progress.elapsed_s:5.0f} s | simulated {sim_s:7.0f} s"
        f" at x{speed:.0f} | {progress.messages_per_s:5.0f} messages/s",
        style="bold",
    )


def _plvns(view: View) -> Table:
    table = Table(expand=True)
    for name in ("PLVN", "INMF", "category", "acts", "origin"):
        table.add_column(name, overflow="fold")
    for name in ("reward", "candidate", "baseline", "bound"):
        table.add_column(name, justify="right")
    for plvn, seen in sorted(view.plvns.items()):
        category = "" if seen.attributes is None else seen.attributes.category.replace("|", " ")
        for inmf, own in sorted(seen.inmfs.items()) or [(InmfId(""), InmfView())]:
            table.add_row(plvn, inmf, category, *_cells(own))
    return table


def _cells(seen: InmfView) -> tuple[str, ...]:
    acts = "" if seen.performance is None else seen.performance.policy.replace("_", " ")
    if seen.performance is not None and seen.performance.policy == "individual_model":
        acts = f"v{seen.performance.model_version}"
    reward = _number(seen.reward)
    model = seen.model
    if model is None:
        return acts, "", reward, "", "", ""
    origin = model.origin_category.replace("|", " ") or "super model"
    if model.origin == "present_model":
        origin = "present model"
    state = f"{acts} {model.state.replace('_', ' ')}"
    rewards = (model.reward_after, model.baseline_reward, model.bound_reward)
    return state, origin, reward, *(_number(value) for value in rewards)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _footline(view: View, progress: Progress) -> Text:
    rounds = [
        f"{started.job} iteration {started.iteration}"
        for started in view.rounds.values()
        if all(indexed.category != started.category for indexed in view.library.values())
    ]
    training = ", ".join(rounds) or f"{len(view.library)} meta models in the library"
    refused = sum(h.refused for h in view.health.values())
    faults = ", ".join(f"{n} {kind}" for kind, n in injected(view.health.values()).items())
    return Text(
        f"{training} | retrainings {len(view.retrainings)} | refused {refused}"
        f"{f' | injected {faults}' if faults else ''} | {progress.note}"
    )
