"""The emulation model of one PLVN: its load. What is hidden is given with each draw."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np

from twintier.inmf.contract import Columns, Site
from twintier.inmf.spec import Array
from twintier.inmf.vnf_scaling.arrivals import LoadModel
from twintier.inmf.vnf_scaling.episodes import DRAWN, LoadTrace, VnfEpisodes
from twintier.inmf.vnf_scaling.replay import VnfReplay, replayed
from twintier.inmf.vnf_scaling.slots import SPEC

CITY_MEANS = {"toronto": 5.2, "vancouver": 4.3}
"""Mean load by city (assumed), in instances."""
USUAL_MEAN = 4.75
HIGHWAY_NOISE = 0.6
"""A highway's traffic is steadier than that of local roads, with less of a wave from lights."""
HIGHWAY_WAVE = 0.6
LOCAL_NOISE = 0.8
LOCAL_WAVE = 1.4


@dataclass(frozen=True, slots=True)
class VnfEmulator:
    """A load model, the expert's or fitted."""

    load: LoadModel

    def fit(self, measured: Columns) -> "VnfEmulator":
        """The load model tuned to measured loads, oldest first."""
        return VnfEmulator(self.load.fit(np.asarray(measured["load"], float)))

    def draw(
        self, episodes: int, rng: np.random.Generator, hidden: Array | None = None
    ) -> VnfEpisodes:
        """Emulated episodes, with hidden parameters (1 or episodes, 3)."""
        return VnfEpisodes(LoadTrace.of(self.load.draw(episodes, DRAWN, rng)), hidden)

    def replay(
        self, true: Columns, hidden: Array | None = None, slots: int | None = None
    ) -> VnfReplay | None:
        """The newest whole episodes of true slots, oldest first."""
        return replayed(true, hidden, slots or SPEC.slots)

    def to_dict(self) -> dict[str, object]:
        """Numbers of the load model."""
        return asdict(self.load)


def expert(site: Site) -> VnfEmulator:
    """What an expert expects of a city and a class of roads."""
    highway = site.road.lower() == "highway"
    return VnfEmulator(
        LoadModel(
            mean=CITY_MEANS.get(site.city.lower(), USUAL_MEAN),
            amplitude=HIGHWAY_WAVE if highway else LOCAL_WAVE,
            noise_sd=HIGHWAY_NOISE if highway else LOCAL_NOISE,
        )
    )


def emulator_of(values: Mapping[str, object]) -> VnfEmulator:
    """The emulator of `to_dict`.

    Raises:
        ValueError: if a value is missing or no finite number.
    """
    numbers = {}
    for name in (each.name for each in fields(LoadModel)):
        value = values.get(name)
        if not isinstance(value, int | float) or not np.isfinite(value):
            raise ValueError(f"{name} of a load model is {value!r}; it must be a finite number")
        numbers[name] = float(value)
    return VnfEmulator(LoadModel(**numbers))
