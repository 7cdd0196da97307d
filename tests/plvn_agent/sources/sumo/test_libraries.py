"""A machine on which SUMO cannot run says why before anything starts, and what mends it."""

from pathlib import Path

import pytest

from twintier.plvn_agent.source import SourceError
from twintier.plvn_agent.sources.registry import SourceOptions
from twintier.plvn_agent.sources.sumo import libraries
from twintier.plvn_agent.sources.sumo.libraries import explain, sumo_problem

MENDS = "run: apt-get install -y libgl1 libx11-6 libxext6 libxrender1 libatomic1 libexpat1"
LOADER = "error while loading shared libraries: {}: cannot open shared object file: No such file"


def install(monkeypatch: pytest.MonkeyPatch, home: Path, program: str, module: str = "") -> None:
    """A SUMO whose program is this shell script, and whose library is this module."""
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "duarouter").write_text(f"#!/bin/sh\n{program}\n")
    (home / "bin" / "duarouter").chmod(0o755)
    (home / "libsumo.py").write_text(module)
    monkeypatch.setenv("PYTHONPATH", str(home))
    monkeypatch.setattr(libraries, "sumo_home", lambda: home)


def test_a_missing_library_of_a_program_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = LOADER.format("libGL.so.1")
    install(monkeypatch, tmp_path, f'echo "$0: {said}" >&2; exit 127')
    problem = f"SUMO cannot run on this machine: libGL.so.1 is missing; {MENDS}"
    assert sumo_problem() == problem


def test_a_missing_library_of_libsumo_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reason = "libX11.so.6: cannot open shared object file: No such file or directory"
    install(monkeypatch, tmp_path, "exit 0", f"raise ImportError({reason!r})")
    problem = f"SUMO cannot run on this machine: libX11.so.6 is missing; {MENDS}"
    assert sumo_problem() == problem


def test_a_sumo_that_runs_has_no_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path, "exit 0")
    assert sumo_problem() is None


def test_a_program_that_ends_without_a_word_is_a_problem_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, tmp_path, "exit 3")
    program = tmp_path / "bin" / "duarouter"
    assert sumo_problem() == (
        f"SUMO cannot run on this machine: {program} ended with exit code 3; try `sumo --version`"
    )


def test_a_sumo_that_is_not_installed_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise SourceError("SUMO is not installed; install it")

    monkeypatch.setattr(libraries, "sumo_home", missing)
    assert sumo_problem() == "SUMO is not installed; install it"


def test_other_words_are_passed_on() -> None:
    assert explain("Traceback:\nIllegal instruction\n") == (
        "SUMO cannot run on this machine: Illegal instruction; try `sumo --version`"
    )


def test_a_source_that_cannot_run_is_not_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from twintier.launch.sources import make_source  # noqa: PLC0415

    install(monkeypatch, tmp_path, f'echo "{LOADER.format("libGL.so.1")}" >&2; exit 127')
    with pytest.raises(SourceError, match=r"libGL\.so\.1 is missing; run: apt-get install"):
        make_source(SourceOptions("sumo", network="berlin"))
