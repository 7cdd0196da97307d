"""A folder has one holder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from twintier.launch.lock import locked
from twintier.runtime.storage.store import StoreError


def test_the_second_holder_is_refused_with_the_number_of_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    expected = re.escape(f"{folder} is in use by process {os.getpid()}; end that one")
    with locked(folder), pytest.raises(StoreError, match=expected), locked(folder):
        pass
    with locked(folder):
        pass


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from twintier.launch.lock import locked\n"
        "with locked(Path(sys.argv[1])):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert ended.returncode == -9
    with locked(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(StoreError, match=r"file cannot be written: .*; name another one"),
        locked(tmp_path / "file"),
    ):
        pass
