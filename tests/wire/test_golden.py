"""The bytes of every message stay what they are; a change is a new version.

A file is written once, for a new message or version, and never edited:
`python -m tests.wire.write_golden`.
"""

import pytest

from protocol.catalogue import Row
from protocol.codec import decode, encode
from protocol.topics import topic_for
from tests.support.wire import GOLDEN, address, envelope, rows, sample


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
def test_golden_bytes_are_understood_and_still_written(row: Row) -> None:
    golden = (GOLDEN / f"{row.name}.msgpack").read_bytes()
    decoded = decode(golden, topic_for(row.message, address(row)))
    assert decoded.message == sample(row.message)
    assert decoded.envelope == envelope(row)
    assert encode(envelope(row), sample(row.message)) == golden


def test_every_golden_file_belongs_to_a_version_that_is_understood() -> None:
    names = {path.stem for path in GOLDEN.glob("*.msgpack")}
    assert names == {row.name for row in rows()}
