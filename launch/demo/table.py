"""The live table of a run. Pure: a view and a size in, lines out.

Rewards that were measured on the road stand apart from those of the trial that a model had when it
was made: the trial is of other traffic, so its bound is none for what was measured.
"""

from collections.abc import Iterator
from textwrap import wrap

from rich.text import Text

from twintier.launch.demo.layout import Column, cut_end, lay_out
from twintier.launch.demo.words import (
    Progress,
    acts_words,
    bar,
    category_words,
    happening,
    origin_words,
    printable,
    vehicles_of,
)
from twintier.launch.inspect.projection import InmfView, View
from twintier.launch.instruments import injected
from twintier.protocol.ids import InmfId, PlvnId

NUMBER = 5
"""Cells of a reward."""
MEASURED, TRIAL = "measured", "trial of model"


def render(view: View, progress: Progress, width: int, height: int) -> Text:
    """What fits into a terminal of so many columns and lines."""
    said = wrap(happening(view, progress), width)
    lines = [headline(view, progress), *said, bar(view, progress)]
    above = [cut_end(line, width) for line in lines if line]
    below = [cut_end(_footline(view, progress), width)]
    remark = printable(progress.remark)  # folded: a command is no use without its end
    below += wrap(remark, width)
    room = max(height - len(above) - len(below) - 1, 4)  # the cursor has a line of its own
    rows = _rows(view, width)
    if len(rows) > room:
        rest = f"... and {len(rows) - room + 1} rows more; `twintier twin list` has all"
        rows = [*rows[: room - 1], cut_end(rest, width)]
    text = Text(above[0], "bold", no_wrap=True, overflow="crop")
    for line in (*above[1:], *rows, *below):
        text.append(f"\n{line}", "not bold")
    return text


def headline(view: View, progress: Progress) -> str:
    """How long, how fast, how many."""
    sim_s = max((h.sim_time_s for h in view.health.values()), default=0.0)
    speed = max((h.speed for h in view.health.values()), default=0.0)
    return (
        f"{progress.elapsed_s:.0f} s, simulated {sim_s:.0f} s at x{speed:.0f}; "
        f"{vehicles_of(view)} vehicles in {len(view.plvns)} PLVNs; "
        f"{progress.messages_per_s:.0f} messages/s"
    )


def _rows(view: View, width: int) -> list[str]:
    """Two headings and a line for each INMF of each PLVN; none while nobody is there."""
    shown = list(_shown(view))
    if not shown:
        return []
    plvns = [(plvn, view.plvns[plvn]) for plvn, _, _ in shown]
    attributes = [seen.attributes for _, seen in plvns]
    managing = [own for _, _, own in shown]
    inmfs = [inmf for _, inmf, _ in shown]
    models = [own.model for own in managing]
    several = len({inmf for inmf in inmfs if inmf}) > 1
    columns = [
        Column("PLVN", [printable(plvn) for plvn, _ in plvns], cut=True),
        Column("INMF", [printable(inmf) for inmf in inmfs] if several else [], cut=True),
        Column("cars", [_whole(seen.vehicles) for _, seen in plvns], right=True),
        Column("category", [category_words(a.category) if a else "" for a in attributes], spare=2),
        Column("acts", [acts_words(own) for own in managing]),
        Column("from", [origin_words(model) for model in models], spare=1),
        _numbers("now", [own.reward for own in managing], MEASURED),
        _numbers("base", [own.reward_by_baseline for own in managing], MEASURED),
        _numbers("model", [m.reward_after if m else None for m in models], TRIAL),
        _numbers("base", [m.baseline_reward if m else None for m in models], TRIAL),
        _numbers("bound", [m.bound_reward if m else None for m in models], TRIAL),
    ]
    return lay_out([column for column in columns if column.cells], width)


def _shown(view: View) -> Iterator[tuple[PlvnId, InmfId, InmfView]]:
    for plvn, seen in sorted(view.plvns.items()):
        for inmf, own in sorted(seen.inmfs.items()) or [(InmfId(""), InmfView())]:
            yield plvn, inmf, own


def _numbers(name: str, values: list[float | None], group: str) -> Column:
    return Column(name, [_number(value) for value in values], group, right=True, least=NUMBER)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.3g}"


def _whole(value: int | None) -> str:
    return "" if value is None else str(value)


def _footline(view: View, progress: Progress) -> str:
    refused = sum(h.refused for h in view.health.values())
    faults = ", ".join(f"{n} {kind}" for kind, n in injected(view.health.values()).items())
    ends = "Ctrl-C ends it" if progress.to_go_s is None else f"{progress.to_go_s:.0f} s to go"
    counted = f"{len(view.library)} meta models, {len(view.retrainings)} retrainings"
    return f"{counted}, {refused} refused{f', injected {faults}' if faults else ''}; {ends}"
