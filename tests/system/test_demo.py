"""The demo as its user starts it, with real processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from twintier.broker.servers.mosquitto import find_mosquitto
from twintier.launch.exit_codes import ExitCode

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(200),
    pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed"),
]


def test_without_sumos_libraries_built_in_vehicles_show_all_through_a_pipe(tmp_path: Path) -> None:
    summary, reason = tmp_path / "summary.json", "libX11.so.6: cannot open shared object file"
    (tmp_path / "libsumo.py").write_text(f"raise ImportError({reason!r})", encoding="utf-8")
    command = [sys.executable, "-m", "twintier", "demo", "--plvns", "4"]
    command += ["--planning-s", "5", "--duration", "3", "--broker", "mosquitto"]
    command += ["--state", str(tmp_path / "state"), "--summary", str(summary)]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    run = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert run.returncode == ExitCode.NOT_ADAPTED, run.stderr
    found = json.loads(summary.read_text(encoding="utf-8"))
    places = {(plvn["city"], plvn["edge_server"]) for plvn in found["plvns"]}
    assert places == {("toronto", "edge-1"), ("vancouver", "edge-2")}
    assert found["messages"]["lost"] == 0
    assert (found["vehicles"]["source"], found["vehicles"]["stands_in_for"]) == ("builtin", "sumo")
    mends = "libX11.so.6 is missing; run: apt-get install -y libgl1 libx11-6"
    assert mends in found["vehicles"]["because"]
    assert mends in run.stderr.splitlines()[0]
    assert "training the " in run.stderr
    assert run.stderr.isascii()
