"""What has come already: numbers of a stream, and mappings that forget what was not used."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from itertools import islice
from typing import Generic, TypeVar

MAX_MISSING = 1024
"""Numbers of a stream that may still come late; far above what a broker holds under way (100)."""
JOINED_LATE = 128
"""Numbers before the first that was seen, which may still come too."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A mapping that forgets what was not used for longest when it is full."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value of a key, made if it is new."""
        if key not in self._items:
            self._items[key] = make()
            if len(self._items) > self._limit:
                self._items.popitem(last=False)
        self._items.move_to_end(key)
        return self._items[key]

    def last(self, count: int) -> list[tuple[K, V]]:
        """Those used last, the very last first."""
        return list(islice(reversed(self._items.items()), count))


class SeenNumbers:
    """Which sequence numbers of one stream have come, as the highest and those missing below it."""

    def __init__(self) -> None:
        self._highest: int | None = None
        self._missing: dict[int, None] = {}

    def add(self, seq: int) -> bool:
        """Note a number; returns whether it is new, which one missing for too long is not."""
        highest = self._highest
        if highest is None:
            highest = max(0, seq - 1 - JOINED_LATE)
        if seq <= highest:
            if seq not in self._missing:
                return False
            del self._missing[seq]
            return True
        first = max(highest + 1, seq - MAX_MISSING)
        self._missing.update(dict.fromkeys(range(first, seq)))
        self._highest = seq
        while len(self._missing) > MAX_MISSING:
            del self._missing[next(iter(self._missing))]
        return True
