"""Logs of a demo that failed are kept, and their place is named."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from twintier.launch.demo import run
from twintier.launch.demo.settings import DemoOptions
from twintier.launch.exit_codes import ExitCode
from twintier.launch.settings.resolve import Given, Settings


def leaving(code: ExitCode) -> Callable[[DemoOptions, Path], int]:
    """A run that writes a log and a store, and ends so."""

    def run_in(_options: DemoOptions, state: Path) -> int:
        (state / "logs").mkdir()
        (state / "logs" / "edge-1.log").write_text("it broke")
        (state / "certs").mkdir()
        (state / "cloud.sqlite").write_text("")
        return code

    return run_in


@pytest.mark.parametrize("code", [ExitCode.OK, ExitCode.CHILD_DIED])
def test_logs_outlive_a_run_that_failed_and_nothing_else_does(
    code: ExitCode,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(run, "_run_in", leaving(code))
    assert run.run_demo(DemoOptions.of(Settings(Given()))) == code
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    said = capsys.readouterr().err
    if code == ExitCode.OK:
        assert (left, said, [*tmp_path.iterdir()]) == ([], "", [])
    else:
        (log,) = left
        assert log.read_text() == "it broke"
        assert said == f"twintier: logs are kept in {log.parent}\n"
