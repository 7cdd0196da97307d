"""Categories: keys, the lattice, and least-general matching."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twintier.cloud_twin.categories import (
    Available,
    InvalidCategoryError,
    Lattice,
    candidates,
    contains,
    generalisations,
    level,
    pairs_of,
)
from twintier.protocol.ids import SUPER_CATEGORY, CategoryKey, PlvnId, category_key

VALUES = {"city": ("berlin", "toronto"), "road": ("highway", "local"), "tod": ("day", "night")}
ATTRIBUTES = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(values) for name, values in VALUES.items()}
)
KEYS = ATTRIBUTES.map(category_key)
AVAILABLE = st.builds(Available, KEYS, st.integers(1, 3), st.sampled_from((0.5, 1.0)))
MODELS = st.lists(AVAILABLE, max_size=12, unique_by=lambda model: model.category)


def test_a_key_is_sorted_and_leaves_unknown_attributes_out() -> None:
    assert category_key({"tod": "day", "city": "toronto"}) == "city=toronto|tod=day"
    assert category_key({}) == SUPER_CATEGORY


@pytest.mark.parametrize("key", ["tod=day|city=berlin", "city", "=x", "city=a|city=b", "|"])
def test_a_key_that_is_not_canonical_is_refused(key: str) -> None:
    with pytest.raises(InvalidCategoryError, match="sorted by attribute"):
        pairs_of(CategoryKey(key))


@given(KEYS)
def test_generalisations_are_all_subsets_most_specific_first(key: CategoryKey) -> None:
    found = list(generalisations(key))
    assert (found[0], found[-1]) == (key, SUPER_CATEGORY)
    assert len(set(found)) == len(found) == 2 ** level(key)
    assert all(contains(category, key) for category in found)
    assert [level(c) for c in found] == sorted((level(c) for c in found), reverse=True)


@given(ATTRIBUTES, MODELS, st.sampled_from(sorted(VALUES)))
def test_one_more_attribute_never_gives_a_more_general_match(
    attributes: dict[str, str], models: list[Available], extra: str
) -> None:
    more = {extra: VALUES[extra][0], **attributes}
    before = candidates(category_key(attributes), models, {})
    after = candidates(category_key(more), models, {})
    assert [level(m.category) for m in before[:1]] <= [level(m.category) for m in after[:1]]


@given(KEYS, MODELS, st.dictionaries(KEYS, st.integers(0, 9)), st.integers())
def test_matching_does_not_depend_on_the_order_of_insertion(
    key: CategoryKey, models: list[Available], sizes: dict[CategoryKey, int], seed: int
) -> None:
    shuffled = random.Random(seed).sample(models, len(models))
    assert candidates(key, shuffled, sizes) == candidates(key, models, sizes)


@given(KEYS, MODELS)
def test_the_super_model_matches_every_plvn(key: CategoryKey, models: list[Available]) -> None:
    others = [model for model in models if model.category != SUPER_CATEGORY]
    matching = candidates(key, [Available(SUPER_CATEGORY, 1, 1.0), *others], {})
    assert matching[-1].category == SUPER_CATEGORY
    assert all(contains(model.category, key) for model in matching)


def test_of_equally_general_models_the_smaller_category_matches() -> None:
    day, city = CategoryKey("tod=day"), CategoryKey("city=berlin")
    models = [Available(day, 1, 1.0), Available(city, 9, 9.0)]
    key = CategoryKey("city=berlin|tod=day")
    assert candidates(key, models, {day: 3, city: 5})[0].category == day
    assert candidates(key, models, {day: 4, city: 4})[0].category == city


def test_an_unknown_value_matches_only_what_does_not_ask_for_it() -> None:
    models = [Available(SUPER_CATEGORY, 1, 1.0), Available(CategoryKey("city=berlin"), 1, 1.0)]
    assert candidates(CategoryKey("city=oslo"), models, {}) == models[:1]


def test_a_category_is_unknown_once() -> None:
    lattice = Lattice()
    assert lattice.place(PlvnId("p1"), CategoryKey("city=berlin|tod=day")) is False
    assert lattice.place(PlvnId("p2"), CategoryKey("city=berlin")) is True


def test_a_moved_plvn_leaves_the_lists_of_its_old_category() -> None:
    lattice = Lattice()
    lattice.place(PlvnId("p1"), CategoryKey("city=berlin|tod=day"))
    lattice.place(PlvnId("p1"), CategoryKey("city=berlin|tod=night"))
    assert {c: plvns for c, plvns in lattice.members.items() if plvns} == {
        SUPER_CATEGORY: {"p1"},
        "city=berlin": {"p1"},
        "tod=night": {"p1"},
        "city=berlin|tod=night": {"p1"},
    }


def test_a_key_that_is_refused_leaves_the_plvn_where_it_was() -> None:
    lattice = Lattice()
    lattice.place(PlvnId("p1"), CategoryKey("city=berlin"))
    with pytest.raises(InvalidCategoryError, match="sorted by attribute"):
        lattice.place(PlvnId("p1"), CategoryKey("road"))
    assert lattice.keys == {"p1": "city=berlin"}


def test_of_several_names_for_one_list_only_the_most_specific_is_trained() -> None:
    lattice = Lattice()
    for number in range(4):
        lattice.place(PlvnId(f"a{number}"), CategoryKey("city=berlin|road=highway"))
    for number in range(3):
        lattice.place(PlvnId(f"b{number}"), CategoryKey("city=oslo|road=highway"))
    assert lattice.trainable(n_min=3, max_level=3) == [
        "",
        "road=highway",
        "city=berlin|road=highway",
        "city=oslo|road=highway",
    ]
    assert lattice.trainable(n_min=4, max_level=1) == ["", "city=berlin", "road=highway"]


def test_without_plvns_nothing_is_trained() -> None:
    assert Lattice().trainable(n_min=1, max_level=3) == []


@given(st.lists(st.tuples(st.sampled_from("abcdef").map(PlvnId), KEYS), max_size=20))
def test_members_of_a_category_are_those_that_it_contains(
    moves: list[tuple[PlvnId, CategoryKey]],
) -> None:
    lattice = Lattice()
    for plvn, key in moves:
        lattice.place(plvn, key)
    for category, plvns in lattice.members.items():
        assert plvns == {p for p, key in lattice.keys.items() if contains(category, key)}
