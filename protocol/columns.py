"""Columns of slots as arrays on the wire: one array a field, one row a slot.

Inside, a null is NaN; on the wire it is a number that stands for nothing, marked in an array
`NAME/null` beside it. A nullable field that is null in all slots is left out. Which fields there
are is stated by an INMF; this module only holds arrays to them.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from twintier.protocol.tensors import Tensors

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
FLAG = "flag"
"""Unit of a field that is 0 or 1."""
NULL = "/null"


class ColumnField(Protocol):
    """What is said of one column; `inmf.spec.Field` is one."""

    @property
    def name(self) -> str:
        """Of the column."""
        ...

    @property
    def unit(self) -> str:
        """SI, `1`, or `flag`."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one slot."""
        ...

    @property
    def low(self) -> float:
        """Least value."""
        ...

    @property
    def high(self) -> float:
        """Largest value."""
        ...

    @property
    def nullable(self) -> bool:
        """Whether a slot may lack it."""
        ...


class ColumnsError(ValueError):
    """Columns are not what their fields say."""


def pack(columns: Mapping[str, Array], fields: Sequence[ColumnField]) -> Tensors:
    """The columns of these fields as float32 on the wire; others are left out.

    Args:
        columns: (slots, *shape) by field name, at least one slot; NaN where a slot lacks a nullable
            field.
        fields: at least one.

    Raises:
        ColumnsError: if a field is missing, has another shape or number of slots, or is out of its
            limits, there is no slot, or there are more columns than travel in one message.
    """
    count = _slots(columns, fields)
    arrays: dict[str, npt.NDArray[np.float32]] = {}
    for field in fields:
        column = _column(columns, field, count)
        null = _null(column, field)
        if field.nullable and null.all() and (arrays or field is not fields[-1]):
            continue  # but one array is always there, for it says how many slots there are
        arrays[field.name] = _within(column, field, null)
        if null.any():
            arrays[field.name + NULL] = null.astype(np.float32)
    try:
        return Tensors.pack(arrays)
    except ValidationError as error:  # too many, or with names that are too long
        raise ColumnsError(f"{len(arrays)} columns cannot travel: {error}") from error


def unpack(tensors: Tensors, fields: Sequence[ColumnField]) -> dict[str, Array]:
    """Columns (slots, *shape) float64 of an upload, by field; NaN where a slot has a null.

    Raises:
        ColumnsError: as `pack` does; arrays of no field are ignored.
    """
    arrays = {name: np.asarray(array, np.float64) for name, array in tensors.unpack().items()}
    count = _slots(arrays, fields)
    columns: dict[str, Array] = {}
    for field in fields:
        column = _column(arrays, field, count)
        mask = arrays.get(field.name + NULL)
        if mask is not None:
            if mask.shape != column.shape:
                raise ColumnsError(f"{field.name}{NULL} {mask.shape} must be {column.shape}")
            column = np.where(mask > 0.5, np.nan, column)
        _within(column, field, _null(column, field))
        columns[field.name] = column
    return columns


def check_row(row: Mapping[str, Array], fields: Sequence[ColumnField]) -> dict[str, Array]:
    """The fields of one slot, (*shape) float64 each, held to their limits.

    Raises:
        ColumnsError: as `pack` does.
    """
    if not isinstance(row, Mapping):
        raise ColumnsError(f"a slot must map fields to numbers; this is {str(row)[:80]!r}")
    _require(row, fields)
    checked: dict[str, Array] = {}
    for field in fields:
        value = _numbers(row.get(field.name, np.nan), field)
        low, high = _limits(field)
        sound = value.shape == field.shape and all(low <= x <= high for x in value.ravel().tolist())
        if sound:
            checked[field.name] = value
        else:  # a null, or an error that has words
            column = _column({field.name: value[None]} if field.name in row else {}, field, 1)
            _within(column, field, _null(column, field))
            checked[field.name] = column[0]
    return checked


def _numbers(value: object, field: ColumnField) -> Array:
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise ColumnsError(f"{field.name} is {str(value)[:80]!r}; send numbers") from error


def _require(arrays: Mapping[str, Array], fields: Sequence[ColumnField]) -> None:
    missing = [each.name for each in fields if each.name not in arrays and not each.nullable]
    if missing:
        raise ColumnsError(f"slots lack {missing}; send all of {[each.name for each in fields]}")


def _slots(arrays: Mapping[str, Array], fields: Sequence[ColumnField]) -> int:
    """How many slots there are; every field that may not be absent is there."""
    _require(arrays, fields)
    present = [arrays[each.name] for each in fields if each.name in arrays]
    counts = [array.shape[0] for array in present if array.ndim]
    if not counts or counts[0] == 0:
        raise ColumnsError("there is no slot; send at least one")
    return int(counts[0])


def _column(arrays: Mapping[str, Array], field: ColumnField, count: int) -> Array:
    """The column of a field, NaN where it is left out."""
    expected = (count, *field.shape)
    if field.name not in arrays:
        return np.full(expected, np.nan)
    column = np.asarray(arrays[field.name], np.float64)
    if column.shape != expected:
        raise ColumnsError(
            f"{field.name} {column.shape} must be {expected}: {count} slots as the first field has,"
            f" each of shape {field.shape}"
        )
    return column


def _null(column: Array, field: ColumnField) -> Mask:
    """Where a column is null, (slots, *shape)."""
    null = np.isnan(column)
    if null.any() and not field.nullable:
        raise ColumnsError(f"{field.name} is null in a slot; its INMF does not allow that")
    return null


def _limits(field: ColumnField) -> tuple[float, float]:
    return (0.0, 1.0) if field.unit == FLAG else (field.low, field.high)


def _within(column: Array, field: ColumnField, null: Mask) -> npt.NDArray[np.float32]:
    """The column as float32, 0 where it is null, after its limits were checked.

    Limits are rounded as the numbers are, so that a number at its limit stays within.
    """
    low, high = _limits(field)
    with np.errstate(over="ignore"):
        rounded = np.where(null, 0.0, column).astype(np.float32)
    outside = ((rounded < np.float32(low)) | (rounded > np.float32(high))) & ~null
    if outside.any():
        value = float(column[outside][0])
        raise ColumnsError(
            f"{field.name} is {value} {field.unit}, not within {low} and {high}; "
            "send null where it is unknown, or widen the limits of the field"
        )
    return rounded
