"""Arrays on the wire: one raw little-endian blob with dtype, names, shapes and a checksum."""

import hashlib
import math
from collections.abc import Mapping
from typing import Annotated, Literal
from zlib import crc32

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationInfo, field_validator

from twintier.protocol.ids import ModelId
from twintier.protocol.values import Name, Value

MAX_ELEMENTS = 64 * 1024 * 1024
MAX_ARRAYS = 32
Dtype = Literal["<f4", "<f8", "|u1", "<i8"]
_ITEM_BYTES = {"<f4": 4, "<f8": 8, "|u1": 1, "<i8": 8}
_OTHERS = {"dtype", "shapes", "crc32"}
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
    """Named arrays of one dtype in one blob; finite, little-endian, C order.

    The checksum finds bytes that changed by accident. Against changes on purpose, orders to a PLVN
    are signed, and agents hold a model to its id.
    """

    dtype: Dtype
    shapes: Annotated[tuple[Shape, ...], Field(min_length=1, max_length=MAX_ARRAYS)]
    crc32: Annotated[int, Field(ge=0, lt=2**32)]
    """CRC-32 of the blob, as of zlib, gzip and PNG."""
    blob: bytes

    @field_validator("blob")
    @classmethod
    def _check(cls, blob: bytes, info: ValidationInfo) -> bytes:
        """Of the field, not of the model, whose checks run again where it becomes part of one."""
        if not info.data.keys() >= _OTHERS:
            return blob  # another field is wrong already
        dtype = info.data["dtype"]
        size = sum(shape.size for shape in info.data["shapes"])
        if len(blob) != size * _ITEM_BYTES[dtype]:
            raise ValueError(f"blob of {len(blob)} bytes does not hold {size} elements of {dtype}")
        if crc32(blob) != info.data["crc32"]:
            raise ValueError("blob does not have its crc32; send it again")
        if not _is_finite(np.frombuffer(blob, dtype)):
            raise ValueError("blob holds NaN or infinity; send finite numbers only")
        return blob

    @classmethod
    def pack(cls, arrays: Mapping[str, npt.NDArray[np.generic]], dtype: Dtype = "<f4") -> "Tensors":
        """Pack arrays, converted to `dtype`.

        Raises:
            pydantic.ValidationError: if a number is not finite or a name or shape is out of bounds.
        """
        ordered = [np.asarray(array, dtype, order="C") for array in arrays.values()]
        blob = b"".join([array.tobytes() for array in ordered])
        shapes = tuple(Shape(name=n, shape=a.shape) for n, a in zip(arrays, ordered, strict=True))
        sound = 0 < len(shapes) <= MAX_ARRAYS and all(_is_finite(array) for array in ordered)
        make = cls.model_construct if sound else cls  # a sound blob is not summed twice
        return make(dtype=dtype, shapes=shapes, crc32=crc32(blob), blob=blob)

    def unpack(self) -> dict[str, npt.NDArray[np.generic]]:
        """The arrays by name: read-only views of the blob in its dtype, each in its stated shape.

        Sizes were checked when the blob was made or decoded, so nothing is raised here.
        """
        flat, start = np.frombuffer(self.blob, self.dtype), 0
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


def _is_finite(array: npt.NDArray[np.generic]) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def blob_digest(blob: bytes) -> str:
    """blake2b-256 of the bytes, hexadecimal."""
    return hashlib.blake2b(blob, digest_size=32).hexdigest()


def model_id(schema_id: str, parameters: Floats) -> ModelId:
    """Id of a model everywhere: blake2b-256 over schema id and canonical parameter bytes.

    Args:
        schema_id: of the INMF that the model is for.
        parameters: of any shape; taken in C order as little-endian float32.
    """
    canonical = np.ascontiguousarray(parameters, dtype="<f4").tobytes()
    return ModelId(blob_digest(schema_id.encode() + b"\0" + canonical))
