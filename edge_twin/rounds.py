"""Fig. 5(a), edge side: rounds that are being computed, and their answers. No I/O."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from twintier.edge_twin.jobs import MetaTask, TaskFailure, TaskTwin
from twintier.edge_twin.keys import MetaRound
from twintier.edge_twin.logged import LoggedTask, LoggedTwin
from twintier.edge_twin.settings import EdgeSettings
from twintier.edge_twin.twin import Twin
from twintier.inmf.registry import inmf_of
from twintier.learning.meta import MetaGradient
from twintier.protocol.address import Address
from twintier.protocol.ids import EdgeId, InmfId, PlvnId
from twintier.protocol.messages import (
    GradientRow,
    GradientsComputed,
    GradientsFailed,
    MetaProgressReported,
    MetaRoundStarted,
)
from twintier.protocol.tensors import Tensors
from twintier.runtime.effects import Count, Effect, Publish, StartJob

META_PRIORITY = 10
"""After adaptations: a PLVN that waits is dearer than a round."""


@dataclass(slots=True)
class Rounds:
    """Rounds of meta training that this server computes its part of."""

    edge: EdgeId
    settings: EdgeSettings
    open: dict[MetaRound, MetaRoundStarted] = field(default_factory=dict)

    def start(
        self, started: MetaRoundStarted, inmf: InmfId, twins: Mapping[PlvnId, Twin]
    ) -> list[Effect]:
        """Begin with the twins that are here; say at once of whom nothing will come."""
        hosted = [p for p in started.plvns if p in twins and inmf in twins[p].managed]
        if hosted and started.schema_id != inmf_of(inmf).schema_id:
            hosted = []
        absent = tuple(p for p in started.plvns if p not in hosted)
        effects: list[Effect] = []
        if absent:
            effects.append(self._failed(started, inmf, absent, "not hosted here or other schema"))
        if not hosted:
            return effects
        key = MetaRound(inmf, started.job, started.iteration, started.settings.seed)
        if key in self.open:  # repeated by the broker or the cloud twin: it is being computed
            return [*effects, Count("rounds_repeated")]
        self.open[key] = started
        task = self._task(started, inmf, [twins[p] for p in hosted])
        return [
            *effects,
            self._progress(started, inmf, len(hosted), stage="received"),
            StartJob(key, task, META_PRIORITY),
        ]

    def done(
        self, key: MetaRound, result: Mapping[str, MetaGradient | TaskFailure]
    ) -> list[Effect]:
        """Answer with the rows of gradients, and with why there are not more."""
        started = self.open.pop(key, None)
        if started is None:
            return [Count("rounds_outdated")]
        rows = {PlvnId(p): row for p, row in result.items() if isinstance(row, MetaGradient)}
        to = Address(edge=self.edge, inmf=key.inmf)
        effects: list[Effect] = [
            Publish(message, to, ttl_s=started.deadline_s)
            for message in gradient_messages(started, rows, self.settings.rows_per_message)
        ]
        failures = {PlvnId(p): f for p, f in result.items() if isinstance(f, TaskFailure)}
        if failures:
            reason = next(iter(failures.values())).reason
            effects.append(self._failed(started, key.inmf, tuple(sorted(failures)), reason))
        return [*effects, self._progress(started, key.inmf, len(rows), stage="emulated")]

    def failed(self, key: MetaRound, reason: str) -> list[Effect]:
        """The job has failed: nothing will come of any twin."""
        started = self.open.pop(key, None)
        return [] if started is None else [self._failed(started, key.inmf, started.plvns, reason)]

    def _task(
        self, started: MetaRoundStarted, inmf: InmfId, twins: Sequence[Twin]
    ) -> MetaTask | LoggedTask:
        settings = started.settings
        learning = replace(
            self.settings.meta,
            algorithm=settings.algorithm,
            inner_steps=settings.inner_steps,
            episodes=settings.episodes,
        )
        parameters = started.model.floats("init")
        log_step_sizes = started.model.floats("log_step_sizes")
        emulated = [twin.task(inmf, seed_of(settings.seed, twin.plvn)) for twin in twins]
        tasks = [task for task in emulated if isinstance(task, TaskTwin)]
        if len(tasks) == len(twins):
            prior = "prior" in started.model.unpack()
            return MetaTask(
                inmf,
                tuple(tasks),
                parameters,
                log_step_sizes,
                learning,
                self.settings.prior_share,
                started.model.floats("prior") if prior else None,
                self.settings.device,
            )
        logged = tuple(
            LoggedTwin(twin.plvn, twin.managed[inmf].mirror.trajectories.newest(2**31))
            for twin in twins
        )
        return LoggedTask(inmf, logged, parameters, log_step_sizes, learning)

    def _progress(
        self, started: MetaRoundStarted, inmf: InmfId, plvns: int, *, stage: str
    ) -> Publish:
        progress = MetaProgressReported(
            job=started.job,
            iteration=started.iteration,
            plvns=plvns,
            stage="received" if stage == "received" else "emulated",
        )
        return Publish(progress, Address(edge=self.edge, inmf=inmf))

    def _failed(
        self, started: MetaRoundStarted, inmf: InmfId, plvns: tuple[PlvnId, ...], reason: str
    ) -> Publish:
        failed = GradientsFailed(
            job=started.job, iteration=started.iteration, plvns=plvns, reason=reason[:512]
        )
        return Publish(failed, Address(edge=self.edge, inmf=inmf), ttl_s=started.deadline_s)


def seed_of(seed: int, plvn: PlvnId) -> int:
    """A twin's own seed in a round, the same wherever it is computed."""
    digest = hashlib.blake2b(f"{seed}/{plvn}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def gradient_messages(
    started: MetaRoundStarted, rows: Mapping[PlvnId, MetaGradient], rows_per_message: int
) -> Iterator[GradientsComputed]:
    """The rows in PLVN-id order, packed into messages below the chunk size."""
    ordered = sorted(rows)
    for begin in range(0, len(ordered), rows_per_message):
        chosen = ordered[begin : begin + rows_per_message]
        arrays = {
            "gradient": np.stack([rows[p].gradient for p in chosen]),
            "step_size_gradient": np.stack([rows[p].step_size_gradient for p in chosen]),
        }
        priors = [rows[p].prior_gradient for p in chosen]
        of_prior = [vector for vector in priors if vector is not None]
        if len(of_prior) == len(chosen):
            arrays["prior_gradient"] = np.stack(of_prior)
        yield GradientsComputed(
            job=started.job,
            iteration=started.iteration,
            rows=tuple(_row(plvn, rows[plvn]) for plvn in chosen),
            gradients=Tensors.pack(arrays),
        )


def _row(plvn: PlvnId, gradient: MetaGradient) -> GradientRow:
    return GradientRow(
        plvn=plvn,
        adaptation_loss=gradient.adaptation_loss,
        adaptation_reward_before=gradient.reward_before,
        adaptation_reward=gradient.reward_after,
        slots=gradient.slots,
    )
