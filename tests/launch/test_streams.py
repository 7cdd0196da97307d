"""What becomes of results and of screens that cannot be written."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from twintier.launch.files import UnwritableError, check_writable
from twintier.launch.streams import Output, OutputError, Screen


class Full(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


class Gone(io.StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError


def test_a_result_that_cannot_be_written_ends_the_command() -> None:
    expected = "takes nothing: No space left on device; send it to another file"
    with pytest.raises(OutputError, match=expected):
        Output(Full()).write("x")
    with pytest.raises(OutputError, match=expected):
        Output(Full()).flush()
    with pytest.raises(BrokenPipeError):
        Output(Gone()).write("x")


def test_a_screen_that_fails_costs_the_screen() -> None:
    for stream in (Full(), Gone()):
        shown = Screen(stream)
        assert shown.write("line") == 4
        shown.flush()


def test_a_character_that_a_stream_lacks_is_written_as_its_number() -> None:
    written = io.BytesIO()
    stream = Output(io.TextIOWrapper(written, encoding="ascii"))
    stream.write("a…")
    stream.flush()
    assert written.getvalue() == rb"a\u2026"


@pytest.mark.parametrize(
    ("redirection", "reason"),
    [("> /dev/full", "No space left on device"), (">&-", "Bad file descriptor")],
)
@pytest.mark.parametrize("command", ["exit-code", "exit-code --help"])
def test_a_command_whose_output_is_lost_ends_with_the_reason(
    command: str, redirection: str, reason: str
) -> None:
    line = f"{sys.executable} -m twintier {command} {redirection}"
    ended = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)  # noqa: S602
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"twintier: standard output takes nothing: {reason}\n")


def test_a_file_for_results_is_looked_at_before_the_work(tmp_path: Path) -> None:
    check_writable(None)
    check_writable(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(UnwritableError, match="is no folder; name another file"):
        check_writable(tmp_path / "none" / "x")
    with pytest.raises(UnwritableError, match="it is a folder; name another file"):
        check_writable(tmp_path)
