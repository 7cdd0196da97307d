"""Columns of text made to fit a width: what matters less goes first, then names are cut."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

LEAST = 8
"""Cells that are left of a name."""
CUT = "…"


@dataclass(frozen=True, slots=True)
class Column:
    """One column, with its heading and what stands above several headings."""

    name: str
    cells: Sequence[str]
    group: str = ""
    right: bool = False
    cut: bool = False
    """Whether its cells may be cut in the middle, where names differ least."""
    spare: int = 0
    """Columns of the highest number are left out first; those of 0 never."""
    least: int = 0
    """Cells that it has at least, so that a sign more does not move the others."""

    @property
    def width(self) -> int:
        """Of the widest cell."""
        return max(self.least, *(cell_len(text) for text in (self.name, *self.cells)))


def lay_out(columns: Sequence[Column], width: int) -> list[str]:
    """Lines of at most `width` cells: groups where there are any, headings, then the rows."""
    kept = [column for column in columns if column.width]
    while _total([c.width for c in kept]) > width and any(c.spare for c in kept):
        kept.remove(max(kept, key=lambda column: column.spare))
    widths = _widths(kept, width)
    groups = [_groups(kept, widths)] if any(c.group for c in kept) else []
    headings = [_line(kept, widths, [column.name for column in kept])]
    rows = zip(*(column.cells for column in kept), strict=True)
    lines = [*groups, *headings, *(_line(kept, widths, row) for row in rows)]
    return [cut_end(line, width).rstrip() for line in lines]


def cut_middle(text: str, width: int) -> str:
    """The text without its middle if it is wider; beginnings and ends tell names apart."""
    if cell_len(text) <= width:
        return text
    tail = (width - 1) // 2
    end = text
    while cell_len(end) > tail:
        end = end[1:]
    return set_cell_size(text, width - 1 - cell_len(end)) + CUT + end


def cut_end(text: str, width: int) -> str:
    """The text without its end if it is wider."""
    return text if cell_len(text) <= width else set_cell_size(text, max(width - 1, 0)) + CUT


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + max(len(widths) - 1, 0)


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """Names give way to the width, the widest first."""
    widths = [column.width for column in columns]
    while _total(widths) > width:
        longest = [
            (own, n)
            for n, own in enumerate(widths)
            if columns[n].cut and own > max(LEAST, cell_len(columns[n].name))
        ]
        if not longest:
            break
        widths[max(longest)[1]] -= 1
    return widths


def _line(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[str]) -> str:
    parts = []
    for column, own, text in zip(columns, widths, cells, strict=True):
        shown = cut_middle(text, own) if column.cut else text
        room = " " * (own - cell_len(shown))
        parts.append(room + shown if column.right else shown + room)
    return " ".join(parts)


def _groups(columns: Sequence[Column], widths: Sequence[int]) -> str:
    """What stands above headings: each group's name over all of its columns."""
    parts: list[tuple[str, int]] = []
    for column, own in zip(columns, widths, strict=True):
        if parts and column.group and parts[-1][0] == column.group:
            parts[-1] = (column.group, parts[-1][1] + 1 + own)
        else:
            parts.append((column.group, own))
    return " ".join(
        cut_end(f" {name} ".center(own, "-"), own) if name else " " * own for name, own in parts
    )
