"""Categories of PLVNs: the lattice of attribute combinations, and least-general matching.

A category is a set of (attribute, value) pairs, written `city=toronto|road=highway|tod=day`; it
contains every PLVN whose own key is a superset, and the root `` contains all. No I/O.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NewType

from twintier.protocol.ids import SUPER_CATEGORY, CategoryKey, PlvnId

Pairs = NewType("Pairs", frozenset[str])


class InvalidCategoryError(ValueError):
    """A category that is not in canonical form."""


def pairs_of(key: CategoryKey) -> Pairs:
    """The (attribute, value) pairs of a category.

    Raises:
        InvalidCategoryError: if the key is not canonical.
    """
    if key == SUPER_CATEGORY:
        return Pairs(frozenset())
    pairs = key.split("|")
    names = [pair.partition("=")[0] for pair in pairs]
    well_formed = all("=" in pair and not pair.startswith("=") for pair in pairs)
    if not well_formed or names != sorted(set(names)):
        raise InvalidCategoryError(
            f"category {key!r} is not attribute=value pairs sorted by attribute, joined by '|'"
        )
    return Pairs(frozenset(pairs))


def join(pairs: Iterable[str]) -> CategoryKey:
    """The category of these pairs."""
    return CategoryKey("|".join(sorted(pairs, key=lambda pair: pair.partition("=")[0])))


def level(key: CategoryKey) -> int:
    """Number of attributes; the root has 0."""
    return len(pairs_of(key))


def contains(category: CategoryKey, key: CategoryKey) -> bool:
    """Whether a PLVN with this key belongs to the category."""
    return pairs_of(category) <= pairs_of(key)


def generalisations(key: CategoryKey) -> Iterator[CategoryKey]:
    """The key itself and every more general category, most specific first, the root last."""
    pairs = sorted(pairs_of(key))
    for size in range(len(pairs), -1, -1):
        yield from sorted(join(chosen) for chosen in combinations(pairs, size))


@dataclass(slots=True)
class Lattice:
    """The PLVN list of every category that some PLVN belongs to, or once belonged to."""

    keys: dict[PlvnId, CategoryKey] = field(default_factory=dict)
    members: dict[CategoryKey, set[PlvnId]] = field(default_factory=lambda: {SUPER_CATEGORY: set()})

    def place(self, plvn: PlvnId, key: CategoryKey) -> bool:
        """Put a PLVN where its key says; returns whether that category was known before.

        Raises:
            InvalidCategoryError: if the key is not canonical.
        """
        categories = list(generalisations(key))
        known = key in self.members
        self.remove(plvn)
        self.keys[plvn] = key
        for category in categories:
            self.members.setdefault(category, set()).add(plvn)
        return known

    def remove(self, plvn: PlvnId) -> None:
        """Take a PLVN out of all lists."""
        key = self.keys.pop(plvn, None)
        if key is not None:
            for category in generalisations(key):
                self.members[category].discard(plvn)

    def trainable(self, *, n_min: int, max_level: int) -> list[CategoryKey]:
        """Categories worth a model, most general first.

        That is the root if it has any PLVN, and each category with at least `n_min` PLVNs that no
        more specific one shares its whole list with: of several names for one list the most
        specific matches best.
        """
        if not self.members[SUPER_CATEGORY]:
            return []
        large = [c for c, plvns in self.members.items() if len(plvns) >= n_min]
        fitting = [c for c in large if 0 < level(c) <= max_level]
        chosen = [c for c in fitting if self._is_closed(c, fitting)]
        return [SUPER_CATEGORY, *sorted(chosen, key=lambda c: (level(c), c))]

    def _is_closed(self, category: CategoryKey, others: Sequence[CategoryKey]) -> bool:
        return not any(
            other != category
            and contains(category, other)
            and self.members[other] == self.members[category]
            for other in others
        )


@dataclass(frozen=True, slots=True)
class Available:
    """What matching needs to know of a trained meta model."""

    category: CategoryKey
    version: int
    adaptation_reward: float


def candidates(
    key: CategoryKey, models: Iterable[Available], sizes: Mapping[CategoryKey, int]
) -> list[Available]:
    """Available models whose category contains the key, best match first.

    Least general first; ties go to the category with fewer PLVNs, then the higher validated
    adaptation reward, then the newer version, then the smaller key.
    """
    matching = [model for model in models if contains(model.category, key)]
    return sorted(
        matching,
        key=lambda m: (
            -level(m.category),
            sizes.get(m.category, 0),
            -m.adaptation_reward,
            -m.version,
            m.category,
        ),
    )
