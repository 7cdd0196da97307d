import math
from zlib import crc32

import msgpack
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pydantic import ValidationError

from tests.support.wire import GOLDEN, address, envelope, sample
from twintier.protocol.catalogue import row_of
from twintier.protocol.codec import decode, encode
from twintier.protocol.errors import RemoteProtocolError
from twintier.protocol.messages import TrajectoriesReported
from twintier.protocol.tensors import MAX_ARRAYS, Dtype, Shape, Tensors
from twintier.protocol.topics import topic_for

BLOB = np.asarray([0.5, -1.25, 3.0], "<f4").tobytes()
ROW = row_of(TrajectoriesReported)
TOPIC = topic_for(TrajectoriesReported, address(ROW))


def tensors(**changed: object) -> Tensors:
    fields = {
        "dtype": "<f4",
        "shapes": (Shape(name="x", shape=(3,)),),
        "crc32": crc32(BLOB),
        "blob": BLOB,
    }
    return Tensors.model_validate({**fields, **changed})


@pytest.mark.parametrize("dtype", ["<f4", "<f8", "|u1", "<i8"])
@given(data=st.data())
def test_arrays_come_back_as_they_were(dtype: Dtype, data: st.DataObject) -> None:
    finite = {"allow_nan": False, "allow_infinity": False}
    values = st.floats(width=32, **finite) if dtype.startswith("<f") else st.integers(0, 255)
    shapes = array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
    each = arrays(np.dtype(dtype), shapes, elements=values)
    names = st.text(min_size=1, max_size=9)
    named = data.draw(st.dictionaries(names, each, min_size=1, max_size=8))
    packed = Tensors.pack(named, dtype)
    assert Tensors.model_validate(packed.model_dump(), strict=True) == packed
    back = packed.unpack()
    assert list(back) == list(named)
    for name, array in named.items():
        np.testing.assert_array_equal(back[name], array, strict=True)
        assert not back[name].flags.writeable


def test_a_strided_array_is_packed_in_its_order() -> None:
    whole: npt.NDArray[np.float64] = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(Tensors.pack({"x": whole.T[::2]}).floats("x"), whole.T[::2])


def test_the_checksum_is_the_one_that_every_language_has() -> None:
    digits = np.frombuffer(b"123456789", np.uint8)
    assert Tensors.pack({"x": digits}, "|u1").crc32 == 0xCBF43926  # the check value of CRC-32


@pytest.mark.parametrize("at", range(len(BLOB)))
def test_a_changed_byte_is_found(at: int) -> None:
    changed = bytearray(BLOB)
    changed[at] ^= 1
    with pytest.raises(ValidationError, match="does not have its crc32; send it again"):
        tensors(blob=bytes(changed))


def test_a_blob_that_its_shapes_do_not_describe_is_refused() -> None:
    with pytest.raises(ValidationError, match="of 12 bytes does not hold 4 elements of <f4"):
        tensors(shapes=(Shape(name="x", shape=(2, 2)),))
    with pytest.raises(ValidationError, match="of 12 bytes does not hold 3 elements of <f8"):
        tensors(dtype="<f8")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_neither_sent_nor_taken(value: float) -> None:
    with pytest.raises(ValidationError, match="NaN or infinity; send finite numbers only"):
        Tensors.pack({"x": np.zeros(2), "y": np.asarray([1.0, value])})
    blob = np.asarray([0, value, 0], "<f4").tobytes()
    with pytest.raises(ValidationError, match="NaN or infinity"):
        tensors(blob=blob, crc32=crc32(blob))


def test_a_number_that_grows_infinite_where_it_is_converted_is_not_sent() -> None:
    with pytest.raises(ValidationError, match="NaN or infinity"), np.errstate(over="ignore"):
        Tensors.pack({"x": np.asarray([1e300])})


def test_there_are_one_to_thirty_two_arrays() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        Tensors.pack({})
    many = {str(number): np.zeros(1) for number in range(MAX_ARRAYS)}
    assert len(Tensors.pack(many).unpack()) == MAX_ARRAYS
    with pytest.raises(ValidationError, match="at most 32 items"):
        Tensors.pack({**many, "one more": np.zeros(1)})


@pytest.mark.parametrize(
    ("changed", "finding"),
    [
        ({"dtype": ">f4"}, "dtype: Input should be"),
        ({"crc32": -1}, "crc32: Input should be greater than or equal to 0"),
        ({"crc32": 2**32}, "crc32: Input should be less than 4294967296"),
        ({"crc32": None}, "crc32: Input should be a valid integer"),
        ({"shapes": None}, "shapes: Input should be a valid tuple"),
        ({"blob": "text"}, "blob: Input should be a valid bytes"),
        ({"blob": BLOB[:-1]}, "blob: Value error, blob of 11 bytes does not hold 3 elements"),
        ({"blob": bytes(12)}, "blob: Value error, blob does not have its crc32"),
    ],
)
def test_a_message_with_wrong_arrays_is_refused_with_the_reason(
    changed: dict[str, object], finding: str
) -> None:
    fields = msgpack.unpackb(encode(envelope(ROW), sample(TrajectoriesReported)))
    fields["body"]["slots"] |= {"shapes": [{"name": "x", "shape": [3]}], "crc32": crc32(BLOB)}
    fields["body"]["slots"] |= {"blob": BLOB} | changed
    with pytest.raises(RemoteProtocolError) as refused:
        decode(msgpack.packb(fields), TOPIC)
    assert refused.value.code == "invalid_body"
    assert f"{ROW.name}: slots.{finding}" in refused.value.reason


def test_arrays_of_the_version_before_are_held_to_their_digest() -> None:
    old = msgpack.unpackb((GOLDEN / "trajectories-reported.v1.msgpack").read_bytes())
    old["body"]["slots"]["blob"] = bytes(len(old["body"]["slots"]["blob"]))
    with pytest.raises(RemoteProtocolError) as refused:
        decode(msgpack.packb(old), TOPIC)
    assert refused.value.code == "invalid_body"
    assert refused.value.reason.startswith("trajectories-reported.v1: slots: blob does not have")
