"""A simulated PLVN's packets and instances; none of this is the emulator's code.

Vehicles switch between sending and silence, packets come as a Poisson stream of those that send,
what vehicles perceive adds to it, and traffic lights bunch them. With `strength` come two things
that no emulator of ours knows: bursts with a heavy tail, and instances that serve less the busier
they are. Nothing random depends on what is ordered.
"""

import numpy as np

from twintier.inmf.contract import ACTION, REWARD, Row, Site
from twintier.inmf.episodes import Actions
from twintier.inmf.traffic import Traffic, WorldSeed
from twintier.inmf.vnf_scaling.calibration import REWARD_NOISE
from twintier.inmf.vnf_scaling.conditions import Condition, ConditionSchedule
from twintier.inmf.vnf_scaling.physics import (
    DELAY_LIMIT_S,
    HOLD,
    LEAST_INSTANCES,
    LOG,
    MOST_BACKLOG_S,
    MOST_DELAY_S,
    MOST_INSTANCES,
    STEPS,
)
from twintier.inmf.vnf_scaling.slots import MOST_LOAD

USUAL_VEHICLES, MOST_VEHICLES = 16, 24
"""Vehicles where a source counts none, and those that one RSU serves at most (assumed)."""
SENDING_SHARE = 0.5
WAKE = 0.08
"""Probability of a silent vehicle to begin sending, per slot and activity; it falls silent so that
`SENDING_SHARE` send at full activity (assumed)."""
VEHICLE_LOAD = 0.5
"""Load of a vehicle that sends, in instances: 5 kpkt/s."""
OBJECT_LOAD = 0.05
"""Load of one perceived object."""
PACKET_BLOCK = 0.05
"""Packets come in blocks of this load, so that their number is Poisson with visible noise."""
CITY_LOADS = {"toronto": 1.1, "vancouver": 0.9}
LIGHTS_PERIOD_S = (60.0, 120.0)
LIGHTS_DEPTH = {"highway": 0.1}
"""Share by which lights bunch vehicles; ramp meters only on a highway."""
USUAL_DEPTH = 0.25
BURST_ENTRY, BURST_EXIT = 0.03, 0.25
BURST_LOAD, BURST_TAIL = 1.0, 1.6
"""Scale and exponent of the Pareto load of a burst at strength 1."""
SLOW_DOWN = 0.25
"""Share of capacity that is lost at full use, at strength 1."""
START_INSTANCES = 6.0


class Packets:
    """The load of one PLVN, slot by slot."""

    def __init__(self, site: Site, seed: WorldSeed, strength: float) -> None:
        """Draw what lasts: the lights' cycle, and who sends first."""
        self._rng = seed.generator("vnf-scaling packets")
        self._strength = strength
        self._scale = CITY_LOADS.get(site.city.lower(), 1.0)
        self._depth = LIGHTS_DEPTH.get(site.road.lower(), USUAL_DEPTH)
        self._period_s = float(self._rng.uniform(*LIGHTS_PERIOD_S))
        self._phase = float(self._rng.uniform(0.0, 2.0 * np.pi))
        self._sends = self._rng.random(MOST_VEHICLES) < SENDING_SHARE
        self._burst = 0.0

    def next(self, traffic: Traffic) -> float:
        """Load of the coming slot, in instances."""
        silence = WAKE * (1.0 - SENDING_SHARE) / SENDING_SHARE
        draws = self._rng.random(MOST_VEHICLES)
        wakes = draws < WAKE * traffic.activity
        self._sends = np.where(self._sends, draws >= silence, wakes)
        counted = traffic.vehicle_number
        vehicles = USUAL_VEHICLES if counted is None else min(counted, MOST_VEHICLES)
        angle = 2.0 * np.pi * traffic.sim_time_s / self._period_s + self._phase
        bunched = 1.0 + self._depth * np.sin(angle)
        objects = float(traffic.link_objects[traffic.link_present].sum())
        sending = VEHICLE_LOAD * self._sends[:vehicles].sum() * bunched + OBJECT_LOAD * objects
        packets = self._rng.poisson(self._scale * sending / PACKET_BLOCK) * PACKET_BLOCK
        return min(float(packets) + self._next_burst(), MOST_LOAD)

    def _next_burst(self) -> float:
        """Load of a burst; always the same draws, whatever the strength."""
        turn, size = self._rng.random(), float(self._rng.pareto(BURST_TAIL))
        if self._burst == 0.0 and turn < BURST_ENTRY:
            self._burst = BURST_LOAD * (1.0 + size)
        elif turn < BURST_EXIT:
            self._burst = 0.0
        return self._strength * self._burst


class Orchestrator:
    """Carries out orders late: each runs when its time has come."""

    def __init__(self) -> None:
        """Begin with what a deployment begins with."""
        self.running = START_INSTANCES
        self.log = np.full(LOG, START_INSTANCES)
        self._slot = 0
        self._coming: list[tuple[int, float]] = []

    def order(self, choice: int, lag: int) -> int:
        """Take an order, let run what is due, and say which choice it really was."""
        before = float(self.log[0])
        total = min(max(before + float(STEPS[choice]), LEAST_INSTANCES), MOST_INSTANCES)
        self.log = np.concatenate([[total], self.log[:-1]])
        self._coming.append((self._slot + lag - 1, total))
        due = [place for place, (when, _) in enumerate(self._coming) if when <= self._slot]
        if due:
            # An order holds all older ones, also those that a slower orchestrator still owes.
            self.running = self._coming[due[-1]][1]
            self._coming = self._coming[due[-1] + 1 :]
        self._slot += 1
        return int(np.flatnonzero(total - before == STEPS)[0])


class VnfWorld:
    """One simulated PLVN under VNF scaling."""

    def __init__(self, site: Site, seed: WorldSeed, strength: float) -> None:
        """Set up packets, instances and what nobody sees."""
        self._packets = Packets(site, seed, strength)
        self._schedule = ConditionSchedule(site, seed)
        self._noise = seed.generator("vnf-scaling noise")
        self._strength = strength
        self._instances = Orchestrator()
        self._backlog_s = 0.0
        self._load: float | None = None
        self._traffic: Traffic | None = None

    def measure(self, traffic: Traffic) -> Row:
        """Measured fields of a slot; one that nobody acted in passes without an order."""
        if self._traffic is not None:
            self.act(np.array([HOLD]))
        if self._load is None:
            self._load = self._packets.next(traffic)
        self._traffic = traffic
        return {
            "load": np.array(self._load),
            "backlog_s": np.array(self._backlog_s),
            "running": np.array(self._instances.running),
            "ordered": self._instances.log.copy(),
        }

    def act(self, action: Actions) -> Row:
        """Outcome fields of the slot measured last, with the order that was possible."""
        traffic = self._traffic
        assert traffic is not None, "measure a slot before acting in it"
        self._traffic = None
        condition = self._schedule.condition_at(traffic.sim_time_s)
        choice = int(np.asarray(action).reshape(-1)[0])
        done = self._instances.order(choice, condition.lag_slots)
        self._load = self._packets.next(traffic)
        delay_s = self._serve(self._load)
        reward = self._worth(condition, delay_s, ordered=done != HOLD)
        return {
            "load_met": np.array(self._load),
            "delay_s": np.array(delay_s),
            "late": np.array(float(delay_s > DELAY_LIMIT_S)),
            ACTION: np.array([float(done)]),
            REWARD: np.array(reward),
        }

    def truth(self, traffic: Traffic) -> str:
        """The hidden condition in words."""
        event = self._schedule.event_at(traffic.sim_time_s)
        now = self._schedule.condition_at(traffic.sim_time_s)
        return (
            f"{event.name if event else 'normal'}: SLA weight {now.sla_weight:.2f}, "
            f"order cost {now.order_cost:.3f}, orders run after {now.lag_slots} slots"
        )

    def condition_at(self, sim_time_s: float) -> Condition:
        """The hidden condition, for tests and benchmarks."""
        return self._schedule.condition_at(sim_time_s)

    def _serve(self, load: float) -> float:
        """Delay at the end of the slot, s."""
        running = self._instances.running
        busy = min((self._backlog_s + load) / running, 1.0)
        served = running * (1.0 - self._strength * SLOW_DOWN * max(busy - 0.8, 0.0) / 0.2)
        self._backlog_s = min(max(self._backlog_s + load - served, 0.0), MOST_BACKLOG_S)
        return self._backlog_s / running

    def _worth(self, condition: Condition, delay_s: float, *, ordered: bool) -> float:
        """Measured reward, which the noise of the measurement is part of."""
        violated = 0.5 * (delay_s > DELAY_LIMIT_S) + 0.5 * min(delay_s, MOST_DELAY_S)
        kept = 1.0 - self._instances.running / MOST_INSTANCES
        paid = condition.order_cost if ordered else 0.0
        noise = float(self._noise.normal(0.0, REWARD_NOISE))
        return kept - condition.sla_weight * violated - paid + noise
