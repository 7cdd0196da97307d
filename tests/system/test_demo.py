"""The demo as its user starts it, with real processes."""

import json
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


def test_twins_stay_on_the_server_of_their_city_when_the_demo_ends(tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    command = [sys.executable, "-m", "twintier", "demo", "--source", "builtin", "--plvns", "4"]
    command += ["--planning-s", "5", "--duration", "3", "--broker", "mosquitto"]
    command += ["--state", str(tmp_path / "state"), "--summary", str(summary)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert run.returncode == ExitCode.NOT_ADAPTED, run.stderr
    found = json.loads(summary.read_text(encoding="utf-8"))
    places = {(plvn["city"], plvn["edge_server"]) for plvn in found["plvns"]}
    assert places == {("toronto", "edge-1"), ("vancouver", "edge-2")}
    assert found["messages"]["lost"] == 0
