"""`twintier recording show`: the steps of a recording in words, whichever release wrote it."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import groupby, islice
from pathlib import Path

from twintier.launch.exit_codes import ExitCode
from twintier.launch.inspect.output import Row, print_rows
from twintier.launch.problems import say
from twintier.runtime.recording.foreign import Foreign, ForeignStep, read_core, read_foreign
from twintier.runtime.recording.recorder import RecordingError

COLUMNS = ("step", "at", "input", "effects")
TELLING: Mapping[str, tuple[str, str]] = {
    "Publish": ("publish", "message"),
    "Save": ("save", "record"),
    "StartTimer": ("start timer", "key"),
    "CancelTimer": ("cancel timer", "key"),
    "StartJob": ("start job", "key"),
    "Actuate": ("act", "inmf"),
    "Delegate": ("delegate", "inmf"),
    "Subscribe": ("listen", "to"),
    "Unsubscribe": ("listen no longer", "to"),
    "Count": ("count", "counter"),
    "ConfirmUploads": ("confirm uploads", "message"),
    "Defer": ("defer", ""),
}
"""Of an effect: its verb, and the value that says of what."""
LONGEST = 100
"""Characters of one value; a key is short, anything else would hide the line."""


def run_show(path: Path, *, limit: int, as_json: bool) -> int:
    """Print the steps of a recording.

    Args:
        path: of the recording.
        limit: print so many steps, the first ones; 0 for all.
        as_json: for programs.
    """
    try:
        read_core(path)
        rows = list(islice(_rows(path), limit or None))
    except (RecordingError, OSError) as error:
        return say(error, ExitCode.USAGE)
    return print_rows(rows, COLUMNS, as_json=as_json)


def _rows(path: Path) -> Iterator[Row]:
    for number, step in enumerate(read_foreign(path)):
        yield {
            "step": number,
            "at": clock(step.now),
            "input": input_in_words(step.taken),
            "effects": effects_in_words(step),
        }


def input_in_words(taken: Foreign) -> str:
    """An input in a few words."""
    match taken.values:
        case {"message": Foreign(name=name), "envelope": Foreign(values=envelope)}:
            return f"{name} from {envelope.get('src')}, number {envelope.get('seq')}"
        case {"key": key}:
            return f"{taken.name} {words(key)}"
        case {"observation": Foreign(name=name)}:
            return f"{taken.name} {name}"
        case _:
            return taken.name


def effects_in_words(step: ForeignStep) -> list[str]:
    """What followed, in order; the same effect several times in a row stands once."""
    if step.raised:
        return [f"raised {step.raised}"[:LONGEST]]
    said = groupby(_effect_in_words(effect) for effect in step.effects)
    counted = ((each, len(list(same))) for each, same in said)
    return [each if count == 1 else f"{each} ({count} times)" for each, count in counted]


def _effect_in_words(effect: Foreign) -> str:
    verb, field = TELLING.get(effect.name, (effect.name, ""))
    value = effect.values.get(field)
    match value:
        case Foreign(name=name) if field in {"message", "record"}:
            return f"{verb} {name}"
        case _:
            return f"{verb} {words(value)}".rstrip()


def words(value: object) -> str:
    """A key or another small value: a record by its name and what it holds."""
    match value:
        case None:
            return ""
        case Foreign(name=name, arguments=arguments, values=values):
            parts = filter(None, (words(part) for part in (*arguments, *values.values())))
            return " ".join((name, *parts))[:LONGEST]
        case _:
            return str(value)[:LONGEST]


def clock(now: float) -> str:
    """A wall time as people read it, UTC."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
