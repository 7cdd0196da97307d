import numpy as np
import pytest
import torch

from twintier.learning.encoder import (
    EncoderBatch,
    EncoderPolicy,
    EncoderSettings,
    train_encoder,
    value_error,
)
from twintier.learning.errors import NumericsError

SETTINGS = EncoderSettings(observation_dim=1, transition_dim=2, choices=2, longest=8)


def policy(seed: int = 0) -> EncoderPolicy:
    return EncoderPolicy(SETTINGS, np.random.default_rng(seed))


def hidden_sign(rng: np.random.Generator) -> EncoderBatch:
    """Choice 1 pays the task's hidden sign, which noisy transitions tell; choice 0 pays nothing."""
    sign = rng.choice((-1.0, 1.0), size=(32, 1, 1))
    transitions = np.concatenate([sign + rng.normal(0.0, 0.5, (32, 8, 1)), np.ones((32, 8, 1))], -1)
    worth = np.broadcast_to(np.concatenate([np.zeros((32, 1, 1)), sign], -1), (32, 4, 2))
    return EncoderBatch(
        transitions.astype(np.float32),
        rng.normal(size=(32, 4, 1)).astype(np.float32),
        worth.astype(np.float32),
    )


def test_the_order_of_transitions_does_not_matter() -> None:
    known = np.random.default_rng(1).normal(size=(6, 2)).astype(np.float32)
    one = policy()
    torch.testing.assert_close(one.summary(known), one.summary(known[::-1].copy()))


def test_rows_beyond_the_count_say_nothing() -> None:
    known = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 6, 2)).astype(np.float32))
    counts = torch.tensor([4, 2])
    changed = known.clone()
    changed[0, 4:], changed[1, 2:] = 9.0, -9.0
    one = policy()
    torch.testing.assert_close(one.context(known, counts), one.context(changed, counts))


def test_without_transitions_the_context_is_nothing() -> None:
    context = policy().summary(np.zeros((0, 2), np.float32))
    assert context.shape == (1, SETTINGS.context_dim + 1)
    assert not context.any()


def test_values_are_in_their_scale_and_the_error_is_squared() -> None:
    batch = hidden_sign(np.random.default_rng(0))
    blind = EncoderBatch(batch.transitions[:, :0], batch.observations, 3.0 * batch.worth)
    one = policy()
    values = one(torch.from_numpy(blind.observations), torch.zeros(32, SETTINGS.context_dim + 1))
    expected = ((values - torch.from_numpy(batch.worth)) ** 2).mean()
    torch.testing.assert_close(value_error(one, blind, np.random.default_rng(1)), expected)


def _told(one: EncoderPolicy, sign: float) -> torch.Tensor:
    return one.summary(np.full((5, 2), (sign, 1.0), np.float32))


@pytest.mark.slow
def test_it_learns_to_act_by_what_transitions_tell() -> None:
    one = policy()
    train_encoder(one, hidden_sign, 60, np.random.default_rng(2))
    seen = np.zeros((3, 1), np.float32)
    assert one.choose(np.zeros((2, 3, 1), np.float32), _told(one, 1.0)).tolist() == [[1] * 3] * 2
    for sign, choice in ((1.0, 1), (-1.0, 0)):
        assert one.choose(seen, _told(one, sign)).tolist() == [choice] * 3


@pytest.mark.slow
def test_the_same_seed_gives_the_same_policy() -> None:
    losses = [train_encoder(policy(3), hidden_sign, 5, np.random.default_rng(4)) for _ in range(2)]
    assert losses[0] == losses[1]


def test_a_loss_that_is_not_finite_leaves_the_policy_as_it_was() -> None:
    one = policy()
    before = [parameter.clone() for parameter in one.parameters()]

    def broken(rng: np.random.Generator) -> EncoderBatch:
        batch = hidden_sign(rng)
        batch.worth[0, 0, 0] = np.nan
        return batch

    with pytest.raises(NumericsError, match="not finite in batch 0"):
        train_encoder(one, broken, 3, np.random.default_rng(0))
    for parameter, kept in zip(one.parameters(), before, strict=True):
        torch.testing.assert_close(parameter, kept)
