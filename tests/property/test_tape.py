"""Whatever a file holds, reading it as a tape gives messages or says why not."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from twintier.broker.tape import MAGIC, TapeError, TapeFrame, TapeHeader, TapeWriter, read_frames

FRAMES = st.builds(
    TapeFrame,
    offset_ns=st.integers(0, 2**63),
    topic=st.text(max_size=40),
    payload=st.binary(max_size=200),
    qos=st.sampled_from([0, 1]),
    retain=st.booleans(),
)


def read(folder: str, content: bytes) -> list[TapeFrame] | None:
    path = Path(folder) / "read"
    path.write_bytes(content)
    try:
        return list(read_frames(path))
    except TapeError:
        return None


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_give_messages_or_an_error_of_ours(content: bytes, magic: bool) -> None:  # noqa: FBT001
    with tempfile.TemporaryDirectory() as folder:
        read(folder, (MAGIC if magic else b"") + content)


@examples(50)
@given(st.lists(FRAMES, max_size=5), st.data())
def test_a_tape_that_ends_anywhere_gives_the_messages_before(
    frames: list[TapeFrame], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tape"
        with TapeWriter(path, TapeHeader("live", 1)) as tape:
            begun = path.stat().st_size
            for frame in frames:
                tape.write(frame)
        content = path.read_bytes()
        assert read(folder, content) == frames
        cut = data.draw(st.integers(begun, len(content)))
        kept = read(folder, content[:cut])
        assert kept is not None
        assert kept == frames[: len(kept)]
