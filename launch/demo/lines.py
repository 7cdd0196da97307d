"""A run as plain lines, where there is no terminal: one for each event, and one every few seconds.

Nothing that was printed is printed again; what is remembered is what the view itself holds.
"""

from collections.abc import Iterator

from twintier.launch.demo.table import headline
from twintier.launch.demo.words import (
    Progress,
    category_words,
    happening,
    left_s,
    origin_words,
    printable,
)
from twintier.launch.inspect.projection import View
from twintier.protocol.ids import InmfId, PlvnId

EVERY_S = 5.0


class Lines:
    """Says what is new since it was last asked."""

    def __init__(self) -> None:
        self._due_s = 0.0
        self._phase = ""
        self._remark = ""
        self._library: set[tuple[str, str, int]] = set()
        self._models: dict[tuple[PlvnId, InmfId], tuple[int, str]] = {}
        self._retrainings = 0

    def following(self, view: View, progress: Progress) -> list[str]:
        """Lines to print now."""
        lines = [*self._events(view, progress)]
        if lines or progress.elapsed_s >= self._due_s:
            self._due_s = progress.elapsed_s + EVERY_S
            lines.append(_state(view, progress))
        return lines

    def _events(self, view: View, progress: Progress) -> Iterator[str]:
        if progress.remark != self._remark:
            self._remark = progress.remark
            yield printable(progress.remark)
        phase = "" if view.cloud is None else view.cloud.phase
        if phase != self._phase:
            self._phase = phase
            yield f"the cloud twin is {phase}"
        yield from self._trained(view)
        yield from self._made(view)
        for retraining in view.retrainings[self._retrainings :]:
            triggered = retraining.triggered
            yield (
                f"{_name(retraining.plvn, triggered.inmf)}: retraining, "
                f"because of {triggered.cause.trigger.replace('_', ' ')}"
            )
        self._retrainings = len(view.retrainings)

    def _trained(self, view: View) -> Iterator[str]:
        indexed = {(i, c, each.version): each for (i, c), each in view.library.items()}
        for key in sorted(indexed.keys() - self._library):
            model = indexed[key]
            name = category_words(model.category)
            whose = f"the meta model for {name}" if name else "the super model"
            yield (
                f"{printable(model.inmf)}: {whose} is in the library "
                f"after {model.iterations} iterations"
            )
        self._library = set(indexed)

    def _made(self, view: View) -> Iterator[str]:
        for key, own in view.models().items():
            model = own.newest
            if model is None or self._models.get(key) == (model.version, model.state):
                continue
            self._models[key] = model.version, model.state
            yield (
                f"{_name(*key)}: v{model.version} {model.state.replace('_', ' ')}, "
                f"from {origin_words(model)}"
            )


def _state(view: View, progress: Progress) -> str:
    remaining_s = left_s(view, progress)
    left = "" if remaining_s is None else f", about {remaining_s:.0f} s of planning left"
    return f"{headline(view, progress)}; {happening(view, progress)}{left}"


def _name(plvn: PlvnId, inmf: InmfId | str) -> str:
    return f"{printable(plvn)} {printable(inmf)}"
