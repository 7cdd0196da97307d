"""What the case study looks at before it computes anything."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from twintier.broker.servers.process import free_port
from twintier.launch.case_study.run import CaseStudyError, run
from twintier.launch.cli.app import app


@pytest.mark.parametrize("url", ["mqtt://", "http://x", "mqtt://127.0.0.1:99999"])
def test_a_bus_that_is_no_url_is_refused_and_nothing_is_made(url: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["case-study", "--over-bus", url, "--out", str(out)])
    assert result.exit_code == 2
    assert "broker URL" in result.stderr
    assert not out.exists()


def test_a_bus_where_nobody_answers_is_refused_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twintier.launch.inspect.connecting.CONNECT_S", 0.2)
    out, url = tmp_path / "out", f"mqtt://127.0.0.1:{free_port()}"
    result = CliRunner().invoke(app, ["case-study", "--over-bus", url, "--out", str(out)])
    assert result.exit_code == 3
    assert f"no broker answers at {url}" in result.stderr
    assert not out.exists()


def test_a_folder_of_results_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    result = CliRunner().invoke(app, ["case-study", "--out", str(tmp_path / "out")])
    assert result.exit_code == 9
    assert "cannot be written" in result.stderr


def test_a_part_that_was_cut_off_is_named(tmp_path: Path) -> None:
    part = tmp_path / "parts" / "start-random-0.safetensors"
    part.parent.mkdir()
    part.write_bytes(b"cut")
    with pytest.raises(CaseStudyError, match=f"^{part} is damaged: .*; delete it"):
        run(out=tmp_path, seeds=1, quiet=True)


@pytest.mark.slow
def test_the_picture_is_drawn_whatever_a_notebook_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "module://of_a_notebook")
    CliRunner().invoke(app, ["case-study", "--over-bus", "mqtt://"])
    drawing = [sys.executable, "-c", "import twintier.launch.case_study.fig6"]
    assert subprocess.run(drawing, env=os.environ, check=False).returncode == 0
