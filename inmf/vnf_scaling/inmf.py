"""VNF resource scaling as the platform sees it."""

from collections.abc import Mapping

import numpy as np

from twintier.inmf.contract import Attributes, Bound, Calibration, Columns, Inmf, Row, Site
from twintier.inmf.episodes import Actions, EpisodeBatch
from twintier.inmf.spec import Field, Observation
from twintier.inmf.traffic import WorldSeed
from twintier.inmf.vnf_scaling import emulator
from twintier.inmf.vnf_scaling.bound import Clairvoyant
from twintier.inmf.vnf_scaling.calibration import VnfCalibration
from twintier.inmf.vnf_scaling.emulator import VnfEmulator
from twintier.inmf.vnf_scaling.episodes import VnfEpisodes
from twintier.inmf.vnf_scaling.physics import LEAST_INSTANCES, MOST_INSTANCES, STEPS
from twintier.inmf.vnf_scaling.rule import Provisioning, choice_for
from twintier.inmf.vnf_scaling.slots import MEASURED, OUTCOME, REMEMBERED, SPEC, Loads, observe
from twintier.inmf.vnf_scaling.world import VnfWorld


class VnfScaling(Inmf):
    """How many instances serve the packets of a PLVN, given a delay that an SLA limits."""

    spec = SPEC
    measured: tuple[Field, ...] = MEASURED
    remembered: tuple[Field, ...] = REMEMBERED
    outcome: tuple[Field, ...] = OUTCOME
    calibration: Calibration | None = VnfCalibration()
    teaches = True
    bound: Bound | None = Clairvoyant()

    def observe(self, rows: Columns) -> Observation:
        """(n, 15) of measured and remembered fields."""
        return observe(rows)

    def remember(self, row: Row, outcome: Row) -> Row:
        """Memory of loads with the one that was measured in this slot."""
        del outcome
        return Loads.of(row).followed_by(row["load"]).fields()

    def rule(self) -> Provisioning:
        """Mean load and a margin."""
        return Provisioning()

    def rule_actions(self, batch: EpisodeBatch) -> Actions:
        """The rule on emulated episodes, (episodes, slots, 1).

        Raises:
            TypeError: if the episodes are of another INMF.
        """
        if not isinstance(batch, VnfEpisodes):
            raise TypeError(f"the rule of vnf-scaling plays its own episodes, not {batch!r}")
        return self.rule().actions(batch)

    def admissible(self, row: Row, action: Actions) -> Actions:
        """The order without instances beyond the least and the most."""
        total = row["ordered"][..., 0]
        chosen = np.asarray(action, np.intp)[..., 0]
        target = np.clip(total + STEPS[chosen], LEAST_INSTANCES, MOST_INSTANCES)
        return choice_for(target, total)[..., None].astype(np.int64)

    def attributes(self, measured: Columns) -> Attributes:
        """Mean load, and mean of what runs beyond it; both in instances."""
        if not len(measured["load"]):
            return Attributes()
        spare = np.maximum(measured["running"] - measured["load"], 0.0)
        return Attributes(
            workload=float(measured["load"].mean()),
            workload_unit="1",
            resources=float(spare.mean()),
            resources_unit="1",
        )

    def emulator(self, site: Site) -> VnfEmulator:
        """What an expert expects at a site."""
        return emulator.expert(site)

    def emulator_of(self, values: Mapping[str, object]) -> VnfEmulator:
        """The emulator of `to_dict`.

        Raises:
            ValueError: if a value is missing or no finite number.
        """
        return emulator.emulator_of(values)

    def world(self, site: Site, seed: WorldSeed, *, strength: float = 0.0) -> VnfWorld:
        """A simulated PLVN."""
        return VnfWorld(site, seed, strength)
