"""Columns of slots on the wire: what comes back, and what is refused with which words."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twintier.protocol.columns import ColumnsError, check_row, pack, unpack
from twintier.protocol.tensors import Tensors

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Column:
    name: str
    unit: str = "Hz"
    shape: tuple[int, ...] = ()
    low: float = 0.0
    high: float = 0.1
    nullable: bool = False


FREE = Column("free_hz")
LOAD = Column("load", "1", (2,), 0.0, 40.0, nullable=True)
THERE = Column("there", "flag", (2,))
FIELDS = (FREE, LOAD, THERE)
NAN = float("nan")


def columns(slots: int = 3) -> dict[str, Array]:
    return {
        "free_hz": np.full(slots, 0.1),
        "load": np.full((slots, 2), 4.0),
        "there": np.ones((slots, 2)),
        "unasked": np.zeros(1),
    }


def test_columns_come_back_without_those_of_no_field() -> None:
    packed = pack(columns(), FIELDS)
    assert packed.dtype == "<f4"
    assert [(each.name, each.shape) for each in packed.shapes] == [
        ("free_hz", (3,)),
        ("load", (3, 2)),
        ("there", (3, 2)),
    ]
    found = unpack(packed, FIELDS)
    assert found["free_hz"].tolist() == [float(np.float32(0.1))] * 3
    assert found["load"].tolist() == [[4.0, 4.0]] * 3


def test_a_null_is_marked_beside_its_number() -> None:
    given_columns = columns()
    given_columns["load"][1, 0] = NAN
    packed = pack(given_columns, FIELDS)
    assert packed.floats("load")[1].tolist() == [0.0, 4.0]
    assert packed.floats("load/null").tolist() == [[0, 0], [1, 0], [0, 0]]
    assert np.isnan(unpack(packed, FIELDS)["load"]).tolist() == [
        [False, False],
        [True, False],
        [False, False],
    ]


def test_a_field_that_is_null_in_all_slots_is_left_out() -> None:
    for given_columns in (columns() | {"load": np.full((3, 2), NAN)}, columns()):
        if not np.isnan(given_columns["load"]).any():
            del given_columns["load"]
        packed = pack(given_columns, FIELDS)
        assert [each.name for each in packed.shapes] == ["free_hz", "there"]
        assert np.isnan(unpack(packed, FIELDS)["load"]).all()


def test_nulls_alone_still_say_how_many_slots_there_are() -> None:
    packed = pack({"load": np.full((3, 2), NAN)}, (LOAD,))
    assert np.isnan(unpack(packed, (LOAD,))["load"]).tolist() == [[True, True]] * 3


@given(st.lists(st.one_of(st.just(NAN), st.floats(0.0, 40.0)), min_size=1, max_size=20))
def test_any_numbers_within_limits_come_back(values: list[float]) -> None:
    column = np.array(values)
    field = Column("load", "1", (), 0.0, 40.0, nullable=True)
    found = unpack(pack({"load": column}, (field,)), (field,))["load"]
    assert np.array_equal(found, column.astype(np.float32).astype(float), equal_nan=True)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"free_hz": np.array([0.1, 0.2, 0.1])}, r"free_hz is 0.2.* Hz, not within 0.0 and 0.1"),
        ({"free_hz": np.array([0.1, np.inf, 0.1])}, "free_hz is inf Hz, not within"),
        ({"free_hz": np.array([0.1, NAN, 0.1])}, "free_hz is null in a slot; its INMF does not"),
        ({"free_hz": np.zeros((3, 1))}, r"free_hz \(3, 1\) must be \(3,\)"),
        ({"there": np.full((3, 2), 2.0)}, "there is 2.0 flag, not within 0.0 and 1.0"),
        ({"load": np.zeros((2, 2))}, r"load \(2, 2\) must be \(3, 2\): 3 slots as the first"),
        ({"free_hz": np.zeros(0)}, "there is no slot; send at least one"),
    ],
)
def test_what_its_fields_do_not_say_is_refused_on_both_sides(
    changed: dict[str, Array], message: str
) -> None:
    wrong = columns() | changed
    with pytest.raises(ColumnsError, match=message):
        pack(wrong, FIELDS)
    finite = {name: np.nan_to_num(array, posinf=9.0, nan=9.0) for name, array in wrong.items()}
    with pytest.raises(ColumnsError, match=message.split(" ", maxsplit=1)[0]):
        unpack(Tensors.pack(finite), FIELDS)


def test_a_missing_field_is_named() -> None:
    lacking = columns()
    del lacking["free_hz"]
    message = r"slots lack \['free_hz'\]; send all of \['free_hz', 'load', 'there'\]"
    with pytest.raises(ColumnsError, match=message):
        pack(lacking, FIELDS)
    with pytest.raises(ColumnsError, match=message):
        unpack(Tensors.pack(lacking), FIELDS)
    with pytest.raises(ColumnsError, match=message):
        check_row({name: array[0] for name, array in lacking.items()}, FIELDS)


def test_marks_of_nulls_must_fit() -> None:
    arrays = columns() | {"load/null": np.zeros(3)}
    with pytest.raises(ColumnsError, match=r"load/null \(3,\) must be \(3, 2\)"):
        unpack(Tensors.pack(arrays), FIELDS)
    unasked = columns() | {"free_hz/null": np.array([0.0, 1.0, 0.0])}
    with pytest.raises(ColumnsError, match="free_hz is null in a slot"):
        unpack(Tensors.pack(unasked), FIELDS)


def test_a_row_is_held_to_its_fields() -> None:
    row = check_row({"free_hz": np.array(0.05), "there": np.array([True, False])}, FIELDS)
    assert row["free_hz"] == 0.05
    assert row["there"].tolist() == [1.0, 0.0]
    assert np.isnan(row["load"]).tolist() == [True, True]
    with pytest.raises(ColumnsError, match=r"free_hz is 0.5 Hz, not within"):
        check_row({"free_hz": np.array(0.5), "there": np.ones(2)}, FIELDS)
    assert check_row({}, ()) == {}


def test_more_columns_than_a_message_holds_are_refused() -> None:
    fields = [Column(f"field{number}") for number in range(40)]
    many = {field.name: np.zeros(2) for field in fields}
    with pytest.raises(ColumnsError, match="40 columns cannot travel"):
        pack(many, fields)
