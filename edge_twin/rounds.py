"""Fig. 5(a), edge side: keys, seeds and messages of a round. Pure."""

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np

from twintier.edge_twin.keys import MetaRound
from twintier.learning.meta import MetaGradient
from twintier.protocol.ids import InmfId, PlvnId
from twintier.protocol.messages import (
    GradientRow,
    GradientsComputed,
    GradientsFailed,
    MetaRoundStarted,
)
from twintier.protocol.tensors import Tensors


def round_key(inmf: InmfId, started: MetaRoundStarted) -> MetaRound:
    """The key of a round's job; the same for a repeated message."""
    return MetaRound(inmf, started.job, started.iteration, started.settings.seed)


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
        yield GradientsComputed(
            job=started.job,
            iteration=started.iteration,
            rows=tuple(_row(plvn, rows[plvn]) for plvn in chosen),
            gradients=Tensors.pack(
                {
                    "gradient": np.stack([rows[p].gradient for p in chosen]),
                    "step_size_gradient": np.stack([rows[p].step_size_gradient for p in chosen]),
                }
            ),
        )


def failure_message(
    started: MetaRoundStarted, plvns: tuple[PlvnId, ...], reason: str
) -> GradientsFailed:
    """Which twins a round gets no gradients of, and why."""
    return GradientsFailed(
        job=started.job, iteration=started.iteration, plvns=plvns, reason=reason[:512]
    )


def _row(plvn: PlvnId, gradient: MetaGradient) -> GradientRow:
    return GradientRow(
        plvn=plvn,
        adaptation_loss=gradient.adaptation_loss,
        adaptation_reward_before=gradient.reward_before,
        adaptation_reward=gradient.reward_after,
        slots=gradient.slots,
    )
