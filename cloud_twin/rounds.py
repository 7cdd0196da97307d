"""The rounds of Fig. 5(a): out to edge servers, back as rows, at most to a deadline. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass

from twintier.cloud_twin.keys import RoundDeadline, RoundPause
from twintier.cloud_twin.librarian import tensors_of
from twintier.cloud_twin.meta_training import Training
from twintier.cloud_twin.planner import Planner
from twintier.cloud_twin.registry import Registry
from twintier.cloud_twin.round_states import RoundEvent
from twintier.cloud_twin.settings import CloudSettings
from twintier.protocol.address import Address
from twintier.protocol.ids import EdgeId, PlvnId
from twintier.protocol.messages import GradientsComputed, GradientsFailed, MetaRoundStarted
from twintier.protocol.values import Fence
from twintier.runtime.effects import Count, Effect, Publish, Save, StartTimer


@dataclass(frozen=True, slots=True)
class Closed:
    """How a round has ended."""

    effects: list[Effect]
    advanced: Training | None = None
    """The training, if an iteration was made."""


class Rounds:
    """Opens and closes the rounds of all trainings."""

    def __init__(self, settings: CloudSettings, registry: Registry, planner: Planner) -> None:
        self.settings = settings
        self.registry = registry
        self.planner = planner
        self.asked: dict[str, dict[PlvnId, tuple[EdgeId, Fence]]] = {}
        """By training, who hosted each sampled twin when its round began."""

    def start(self, job: str, now: float) -> list[Effect]:
        """Send the meta model to the sampled twins; a pause where there are none."""
        training = self.planner.trainings.get(job)
        if training is None:
            return []
        members = self.planner.lattice.members.get(training.category, set())
        hosted = self.registry.hosted(members, training.inmf, now)
        if not hosted or training.empty_rounds >= self.settings.round_attempts:
            training.empty_rounds = 0
            training.on(RoundEvent.PAUSED)
            return [StartTimer(RoundPause(job), self.settings.pause_s), Count("rounds_paused")]
        sampled = training.sample(hosted)
        records = {plvn: self.registry.plvns[plvn] for plvn in sampled}
        self.asked = {j: asked for j, asked in self.asked.items() if j in self.planner.trainings}
        self.asked[job] = {plvn: (each.edge, each.fence) for plvn, each in records.items()}
        deadline = StartTimer(RoundDeadline(job), self.settings.round_deadline_s)
        return [*self._round_messages(training, sampled), deadline]

    def _round_messages(self, training: Training, sampled: Sequence[PlvnId]) -> list[Publish]:
        by_edge: dict[EdgeId, list[PlvnId]] = {}
        for plvn in sampled:
            by_edge.setdefault(self.registry.plvns[plvn].edge, []).append(plvn)
        tensors = tensors_of(training.model)
        deadline_s = self.settings.round_deadline_s
        return [
            Publish(
                MetaRoundStarted(
                    job=training.job,
                    category=training.category,
                    iteration=training.iteration,
                    deadline_s=deadline_s,
                    plvns=tuple(plvns),
                    schema_id=self.planner.blueprints[training.inmf].schema_id,
                    model=tensors,
                    settings=training.round_settings(),
                ),
                Address(edge=edge, inmf=training.inmf),
                ttl_s=deadline_s,
            )
            for edge, plvns in sorted(by_edge.items())
        ]

    def take(self, message: GradientsComputed, edge: EdgeId) -> tuple[list[Effect], bool]:
        """Count the rows of an edge server's twins; also whether the round has all its answers."""
        training = self.planner.trainings.get(message.job)
        if training is None:
            return [Count("gradients.late", len(message.rows))], False
        asked = self.asked.get(message.job, {})
        owned = {p for p, (owner, _) in asked.items() if owner == edge}
        owned = {p for p in owned if self.registry.is_owner(p, edge, asked[p][1])}
        outcomes = training.add(message, owned)
        counts = [Count(f"gradients.{outcome}", n) for outcome, n in outcomes.items()]
        return [*counts], training.complete()

    def skip_gone(self, now: float) -> tuple[list[Effect], list[str]]:
        """Note twins whose edge server is gone or has begun anew; also which rounds that ends."""
        effects: list[Effect] = []
        ended: list[str] = []
        for job, training in self.planner.trainings.items():
            asked = self.asked.get(job, {})
            open_ = training.expected - training.rows.keys() - training.failed.keys()
            gone = sorted(p for p in open_ if p in asked and not self._is_there(p, asked[p], now))
            if not gone or not training.is_open:
                continue
            training.fail(training.iteration, gone, "its edge server is gone")
            effects.append(Count("gradients.gone", len(gone)))
            ended += [job] if training.complete() else []
        return effects, ended

    def _is_there(self, plvn: PlvnId, asked: tuple[EdgeId, Fence], now: float) -> bool:
        edge, fence = asked
        confirmed = self.registry.confirmed.get(plvn) == fence
        owner = self.registry.is_owner(plvn, edge, fence)
        return confirmed and owner and self.registry.is_online(edge, now)

    def miss(self, message: GradientsFailed, edge: EdgeId) -> tuple[list[Effect], bool]:
        """Note an edge server's twins that cannot contribute; also whether that ends the round."""
        training = self.planner.trainings.get(message.job)
        if training is None:
            return [Count("gradients.late", len(message.plvns))], False
        asked = self.asked.get(message.job, {})
        own = [p for p in message.plvns if asked.get(p, (edge, 0))[0] == edge]
        training.fail(message.iteration, own, message.reason)
        return [Count("gradients.failed", len(message.plvns))], training.complete()

    def close(self, job: str, now: float) -> Closed:
        """End the round of a training; one without any gradient is repeated at once."""
        training = self.planner.trainings.get(job)
        if training is None or not training.is_open:
            return Closed([])
        missing = len(training.expected - training.rows.keys() - training.failed.keys())
        before = training.iteration
        refused = training.close()
        counts: list[Effect] = [Count("gradients.missing", missing)] if missing else []
        counts += [Count("gradients.refused", len(refused))] if refused else []
        if training.iteration == before:
            return Closed([*counts, Count("rounds_empty"), *self.start(job, now)])
        counts.append(Count("iterations"))
        if training.iteration % self.settings.checkpoint_iterations == 0:
            finished = training.finished()
            counts += [] if finished else [Save(self.planner.checkpoint(training))]
        return Closed(counts, training)
