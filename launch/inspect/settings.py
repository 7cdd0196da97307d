"""Settings as rows."""

from collections.abc import Sequence
from pathlib import Path

from twintier.launch.inspect.output import Row
from twintier.launch.settings.described import described, shown_value
from twintier.launch.settings.errors import UnknownSettingError, guess, nearest
from twintier.launch.settings.resolve import Settings


def setting_rows(settings: Settings, beginning: str) -> Sequence[Row]:
    """Every setting whose name begins so.

    Raises:
        UnknownSettingError: if none does.
        SettingError: if a value cannot be used.
    """
    known = described()
    rows: list[Row] = [
        {
            "name": each.path,
            "value": _plain(each.value),
            "origin": each.origin,
            "meaning": known[each.path].meaning,
        }
        for each in settings.origins()
        if each.path.startswith(beginning)
    ]
    if not rows:
        near = nearest(beginning, known)
        why = guess(near) or f"there are {len(known)}, and none is near"
        following = " ".join(("twintier config show", *near[:1]))
        raise UnknownSettingError(f"no setting begins with {beginning}", why, following)
    return rows


def _plain(value: object) -> object:
    match value:
        case Path():
            return str(value)
        case tuple():
            return shown_value(value)
        case _:
            return value
