"""Hypothesis strategies for every message, derived from the models' own bounds."""

import types
import typing
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin

import annotated_types as at
import numpy as np
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from twintier.protocol.ids import LEVEL_PATTERN, check_level
from twintier.protocol.messages.base import Message
from twintier.protocol.tensors import Tensors

LEVELS = st.from_regex(LEVEL_PATTERN, fullmatch=True).map(lambda s: s[:64])
TEXT = st.text(st.characters(codec="utf-8"), max_size=80)
ARRAYS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=6),
    ),
    min_size=1,
    max_size=3,
)


def tensors() -> st.SearchStrategy[Tensors]:
    """Blobs of up to three one-dimensional arrays."""
    return ARRAYS.map(
        lambda parts: Tensors.pack(
            {f"a{i}": np.asarray(values, np.float32) for i, (_, values) in enumerate(parts)}
        )
    )


def messages(message: type[Message]) -> st.SearchStrategy[Message]:
    """Valid messages of a class."""
    return _model(message)


def _model(model: type[Any]) -> st.SearchStrategy[Any]:
    if model is Tensors:
        return tensors()
    fields = {
        name: _of(info.annotation, info.metadata) for name, info in model.model_fields.items()
    }
    return st.builds(model, **fields)


def _of(kind: Any, metadata: list[Any]) -> st.SearchStrategy[Any]:  # noqa: ANN401  # any type
    origin = get_origin(kind)
    if origin is Annotated:
        inner, *extra = get_args(kind)
        return _of(inner, metadata + _flat(extra))
    if isinstance(kind, NewType):
        return _of(kind.__supertype__, metadata)
    if origin is Literal:
        return st.sampled_from(get_args(kind))
    if origin in (Union, types.UnionType):
        return st.one_of([_of(part, metadata) for part in get_args(kind)])
    if origin is tuple:
        low, high = _bounds(metadata)
        item = get_args(kind)[0]
        return st.lists(_of(item, []), min_size=low, max_size=min(high, low + 3)).map(tuple)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _model(kind)
    return _scalar(kind, metadata)


def _scalar(kind: Any, metadata: list[Any]) -> st.SearchStrategy[Any]:  # noqa: ANN401
    if kind is type(None):
        return st.none()
    if kind is bool:
        return st.booleans()
    if kind is int:
        low, high, open_end = _range(metadata)
        return st.integers(int(low), int(high) - open_end)
    if kind is float:
        low, high, open_end = _range(metadata)
        return st.floats(low, high, allow_nan=False, exclude_max=open_end)
    low, high = _bounds(metadata)
    if kind is bytes:
        return st.binary(min_size=low, max_size=min(high, low + 64))
    assert kind is str, kind
    if any(getattr(m, "func", None) is check_level for m in metadata):
        return LEVELS
    pattern = next((m.pattern for m in metadata if getattr(m, "pattern", None)), None)
    if pattern is not None:
        return st.from_regex(pattern, fullmatch=True)
    return st.text(st.characters(codec="utf-8"), min_size=low, max_size=min(high, low + 20))


def _flat(metadata: typing.Sequence[Any]) -> list[Any]:
    flat: list[Any] = []
    for item in metadata:
        flat += item.metadata if isinstance(item, FieldInfo) else [item]
    return flat


def _range(metadata: list[Any]) -> tuple[float, float, bool]:
    """Bounds as they are written, for a float does not hold every int; whether the last is out."""
    low: float = -1e15
    high: float = 1e15
    open_end = False
    for item in metadata:
        match item:
            case at.Ge(ge=value):
                low = value  # type: ignore[assignment]
            case at.Le(le=value):
                high = value  # type: ignore[assignment]
            case at.Lt(lt=value):
                high, open_end = value, True  # type: ignore[assignment]
            case _:
                pass
    return low, high, open_end


def _bounds(metadata: list[Any]) -> tuple[int, int]:
    low, high = 0, 10_000
    for item in metadata:
        match item:
            case at.MinLen(min_length=value):
                low = value
            case at.MaxLen(max_length=value):
                high = value
            case _:
                pass
    return low, high
