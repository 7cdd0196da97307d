"""Arrays on the wire: one raw little-endian blob with dtype, names, shapes and a digest."""

import hashlib
import math
from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, PrivateAttr, model_validator

from protocol.ids import ModelId
from protocol.values import Digest, Name, Value

MAX_ELEMENTS = 64 * 1024 * 1024
MAX_ARRAYS = 32
Dtype = Literal["<f4", "<f8", "|u1", "<i8"]
Floats = npt.NDArray[np.float32]


class Shape(Value):
    """Name and shape of one array of a blob."""

    name: Name
    shape: Annotated[tuple[Annotated[int, Field(ge=0, le=MAX_ELEMENTS)], ...], Field(max_length=4)]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


class Tensors(Value):
    """Named arrays of one dtype in one blob; finite, little-endian, C order."""

    dtype: Dtype
    shapes: Annotated[tuple[Shape, ...], Field(min_length=1, max_length=MAX_ARRAYS)]
    digest: Digest
    blob: bytes
    _checked: bool = PrivateAttr(default=False)
    """Hashing a blob costs more than all the rest, so it is done once."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self._checked:
            return self
        size = sum(shape.size for shape in self.shapes)
        if len(self.blob) != size * np.dtype(self.dtype).itemsize:
            raise ValueError(
                f"blob of {len(self.blob)} bytes does not hold {size} elements of {self.dtype}"
            )
        if blob_digest(self.blob) != self.digest:
            raise ValueError("blob does not have its digest; send it again")
        if self.dtype.startswith("<f") and not np.isfinite(self._flat()).all():
            raise ValueError("blob holds NaN or infinity; send finite numbers only")
        self._checked = True
        return self

    @classmethod
    def pack(cls, arrays: Mapping[str, npt.NDArray[np.generic]], dtype: Dtype = "<f4") -> "Tensors":
        """Pack arrays, converted to `dtype`.

        Raises:
            pydantic.ValidationError: if a number is not finite or a name or shape is out of bounds.
        """
        ordered = {name: np.ascontiguousarray(array, dtype=dtype) for name, array in arrays.items()}
        blob = b"".join([array.tobytes() for array in ordered.values()])
        shapes = tuple(Shape(name=n, shape=a.shape) for n, a in ordered.items())
        digest = blob_digest(blob)
        finite = all(np.isfinite(array).all() for array in ordered.values())
        if finite and 0 < len(shapes) <= MAX_ARRAYS:  # checked here, so not hashed again
            packed = cls.model_construct(dtype=dtype, shapes=shapes, digest=digest, blob=blob)
            packed._checked = True  # noqa: SLF001  # our own
            return packed
        return cls(dtype=dtype, shapes=shapes, digest=digest, blob=blob)

    def unpack(self) -> dict[str, npt.NDArray[np.generic]]:
        """The arrays by name; read-only views of the blob."""
        flat, start = self._flat(), 0
        arrays: dict[str, npt.NDArray[np.generic]] = {}
        for shape in self.shapes:
            arrays[shape.name] = flat[start : start + shape.size].reshape(shape.shape)
            start += shape.size
        return arrays

    def floats(self, name: str) -> Floats:
        """One array as float32.

        Raises:
            KeyError: if the blob has no array of that name.
        """
        return np.asarray(self.unpack()[name], dtype=np.float32)

    def _flat(self) -> npt.NDArray[np.generic]:
        return np.frombuffer(self.blob, dtype=self.dtype)


def blob_digest(blob: bytes) -> str:
    """blake2b-256 of the bytes, hexadecimal."""
    return hashlib.blake2b(blob, digest_size=32).hexdigest()


def model_id(schema_id: str, parameters: Floats) -> ModelId:
    """Id of a model everywhere: blake2b-256 over schema id and canonical parameter bytes."""
    canonical = np.ascontiguousarray(parameters, dtype="<f4").tobytes()
    return ModelId(blob_digest(schema_id.encode() + b"\0" + canonical))
