"""A set of numbers that come nearly in order, in bounded memory. No I/O."""

from bisect import bisect_right

MAX_RANGES = 1024
"""Of one set; far above the numbers of a stream that are under way at a time."""


class Ranges:
    """A set of integers as inclusive ranges; of too many the lowest are given up."""

    def __init__(self, limit: int = MAX_RANGES) -> None:
        self._limit = limit
        self._lows: list[int] = []
        self._highs: list[int] = []
        self._below: int | None = None
        """Numbers up to this one are not accounted for any more."""
        self.given_up = 0
        """Ranges that were."""

    def __len__(self) -> int:
        return len(self._lows)

    def add(self, number: int) -> bool:
        """Add a number; returns whether it is new, which one that was given up is not."""
        if self._below is not None and number <= self._below:
            return False
        at = bisect_right(self._lows, number)
        if at and number <= self._highs[at - 1]:
            return False
        follows = at > 0 and self._highs[at - 1] == number - 1
        precedes = at < len(self._lows) and self._lows[at] == number + 1
        if follows and precedes:
            self._highs[at - 1] = self._highs.pop(at)
            del self._lows[at]
        elif follows:
            self._highs[at - 1] = number
        elif precedes:
            self._lows[at] = number
        else:
            self._lows.insert(at, number)
            self._highs.insert(at, number)
            self._keep_limit()
        return True

    def items(self) -> tuple[tuple[int, int], ...]:
        """The ranges in order."""
        return tuple(zip(self._lows, self._highs, strict=True))

    def _keep_limit(self) -> None:
        if len(self._lows) > self._limit:
            del self._lows[0]
            self._below = self._highs.pop(0)
            self.given_up += 1
