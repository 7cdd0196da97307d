import os
from pathlib import Path

import pytest

from twintier.plvn_agent.sources.sumo import child as sumo_child
from twintier.plvn_agent.sources.sumo.child import ChildSettings, send, serve
from twintier.plvn_agent.sources.sumo.clusters import DiscSettings
from twintier.plvn_agent.sources.sumo.crossing import CrossingSettings
from twintier.plvn_agent.sources.sumo.frames import (
    LENGTH,
    ChildFailed,
    DiscSeen,
    Frame,
    RsusPlaced,
    SlotSeen,
    pack,
    unpack,
)

SETTINGS = ChildSettings(
    arguments=["-n", "日本.net.xml"],
    seed=7,
    automated_share=0.3,
    parent=os.getpid(),
    crossing=CrossingSettings(
        rsus=2, warmup_s=60, road=None, sensor_range_m=40.0, disc=DiscSettings(radius_m=250.0)
    ),
)
DISC = DiscSeen(
    members=3,
    speed_share=None,
    human_driven=2,
    pairs=((4, 12.5), None, None),
    vehicles=(("00ff", 44.5, 11.3, None),),
)


@pytest.mark.parametrize(
    "frame",
    [
        RsusPlaced(((44.5, 11.3), (44.6, 11.4)), 612.5, "local"),
        SlotSeen(17, (DISC, DISC)),
        ChildFailed("é"),
    ],
    ids=["placed", "slot", "failed"],
)
def test_a_frame_comes_back_as_it_was(frame: Frame) -> None:
    packed = pack(frame)
    assert LENGTH.unpack(packed[:4]) == (len(packed) - 4,)
    assert unpack(packed[4:]) == frame


def test_settings_come_back_as_they_were(tmp_path: Path) -> None:
    SETTINGS.dump(tmp_path / "settings.json")
    assert ChildSettings.load(tmp_path / "settings.json") == SETTINGS


def test_missing_system_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise ImportError("libX11.so.6: cannot open shared object file")

    monkeypatch.setattr(sumo_child, "Traffic", fail)
    read, write = os.pipe()
    serve(SETTINGS, write)
    os.close(write)
    with os.fdopen(read, "rb") as frames:
        frame = unpack(frames.read()[4:])
    assert frame == ChildFailed(
        "SUMO cannot run on this machine: libX11.so.6 is missing; "
        "run: apt-get install -y libgl1 libx11-6 libxext6 libxrender1 libatomic1 libexpat1"
    )


def test_a_parent_that_closed_its_end_is_noticed() -> None:
    read, write = os.pipe()
    os.close(read)
    with pytest.raises(BrokenPipeError, match="Broken pipe"):
        send(write, pack(SlotSeen(0, (DISC,))))
    os.close(write)
