"""Checks of emulated episodes: emulator, batch, bound, rule, replay, teacher, calibration."""

import json
import pickle

import numpy as np

from twintier.inmf.check.findings import NotStatedError, require
from twintier.inmf.check.subject import (
    EPISODES,
    LARGEST_OBSERVATION,
    Subject,
    play,
    random_actions,
    random_policy,
    require_actions,
)
from twintier.inmf.contract import Emulator
from twintier.inmf.episodes import EpisodeBatch, Scored
from twintier.inmf.spec import Discrete, MultiBinary

NEAR = 1e-6
AGREEMENT = 0.8
"""Share of slots in which the rule must do the same in a PLVN and in its emulation; less than all,
because a rule that learns plays emulated episodes with what it will have learned."""
OWN = 0.95
"""Share of a PLVN's own slots that a replay must know as such; less than all, because an episode
may begin in another state than the PLVN was in."""


def batch_has_its_shapes(subject: Subject) -> str:
    """Observations and rewards of a batch are finite and have the declared shapes."""
    inmf, batch = subject.inmf, subject.batch()
    require(batch.spec == inmf.spec, "the batch has another spec than the INMF")
    require(batch.episodes == EPISODES, f"{batch.episodes} episodes of {EPISODES} were drawn")
    memory = batch.first_memory()
    shape = (EPISODES, inmf.spec.observation_dim)
    actions = random_actions(inmf, (EPISODES, inmf.spec.slots), subject.rng())
    for slot in range(inmf.spec.slots):
        seen = batch.observe(slot, memory)
        require(seen.shape == shape, f"observations {seen.shape} must be {shape}")
        require(seen.dtype == np.float32, f"observations are {seen.dtype}, not float32")
        small = np.abs(seen) <= LARGEST_OBSERVATION
        require(bool(small.all()), f"slot {slot}: {seen[~small][:1]} is not finite or too large")
        memory = batch.remember(slot, memory, actions[:, slot])
    rewards = batch.rewards(actions)
    require(rewards.shape == actions.shape[:2], f"rewards {rewards.shape} of {actions.shape[:2]}")
    require(bool(np.isfinite(rewards).all()), "a reward is not finite")
    return f"mean reward of random play {rewards.mean():.3f} {inmf.spec.reward_unit}"


def same_seed_same_trace(subject: Subject) -> str:
    """What was played before changes nothing that is drawn."""
    inmf = subject.inmf
    fresh, played = subject.batch(), subject.batch()
    play(played, random_policy(inmf, np.random.default_rng(1)))
    actions = random_actions(inmf, (EPISODES, inmf.spec.slots), subject.rng())
    played.rewards(actions)
    same = np.array_equal(fresh.rewards(actions), played.rewards(actions))
    require(same, "rewards of the same seed and actions differ after other play")
    _require_same_sight(fresh, played)
    return "rewards and observations are equal"


def _require_same_sight(one: EpisodeBatch, other: EpisodeBatch) -> None:
    first, second = (each.observe(0, each.first_memory()) for each in (one, other))
    require(np.array_equal(first, second), "first observations of the same seed differ")
    if one.exogenous:
        require(np.array_equal(one.observe_all(), other.observe_all()), "observations differ")


def batch_equals_single_steps(subject: Subject) -> str:
    """Later actions do not change earlier rewards; one look at all slots equals one a slot."""
    inmf, batch = subject.inmf, subject.batch()
    slots = inmf.spec.slots
    actions = random_actions(inmf, (EPISODES, slots), subject.rng())
    whole = batch.rewards(actions)
    for cut in (1, slots // 2, slots - 1):
        other = random_actions(inmf, actions.shape[:2], np.random.default_rng(cut))
        mixed = np.concatenate([actions[:, :cut], other[:, cut:]], axis=1)
        early = batch.rewards(mixed)[:, :cut]
        require(np.allclose(early, whole[:, :cut], atol=NEAR), f"slots before {cut} differ")
    if batch.exogenous:
        together, memory = batch.observe_all(), batch.first_memory()
        for slot in range(slots):
            same = np.allclose(batch.observe(slot, memory), together[:, slot], atol=NEAR)
            require(same, f"slot {slot} differs from observe_all")
            memory = batch.remember(slot, memory, actions[:, slot])
    return f"cut at 3 of {slots} slots"


def episodes_are_apart(subject: Subject) -> str:
    """An episode's hidden parameters and actions concern it alone."""
    inmf, calibration = subject.inmf, subject.calibration()
    hidden = calibration.prior(EPISODES, subject.rng())
    apart = subject.emulator().draw(EPISODES, subject.rng(), hidden)
    alike = subject.emulator().draw(EPISODES, subject.rng(), hidden[:1])
    actions = random_actions(inmf, (EPISODES, inmf.spec.slots), subject.rng())
    first = apart.rewards(actions)[0]
    changed = random_actions(inmf, actions.shape[:2], np.random.default_rng(7))
    changed[0] = actions[0]
    for rewards in (alike.rewards(actions), apart.rewards(changed)):
        require(np.allclose(first, rewards[0], atol=NEAR), "the others change the first episode")
    return f"{EPISODES} episodes"


def nobody_beats_the_bound(subject: Subject) -> str:
    """Random play, networks and the rule stay below the bound.

    Raises:
        NotStatedError: if there is no bound.
    """
    inmf, batch = subject.inmf, subject.batch()
    if inmf.bound is None:
        raise NotStatedError("reports carry null")
    best = inmf.bound(batch)
    require(best.shape == (EPISODES,), f"bounds {best.shape} must be ({EPISODES},)")
    totals = {"the rule": batch.rewards(inmf.rule_actions(batch)).sum(axis=1)}
    for name, policy in subject.policies(inmf.spec.observation_dim).items():
        totals[name] = batch.rewards(play(batch, policy)).sum(axis=1)
    for name, total in totals.items():
        least = float((best - total).min())
        require(least >= -NEAR * max(1.0, float(np.abs(best).max())), f"{name} wins by {-least}")
    rule = float(totals["the rule"].mean())
    return f"{inmf.bound.kind}: {best.mean():.2f}, the rule {rule:.2f}, {len(totals)} players"


def rule_plays_episodes(subject: Subject) -> str:
    """The rule's actions on episodes lie in the action space and are repeatable."""
    inmf, batch = subject.inmf, subject.batch()
    actions = inmf.rule_actions(batch)
    require_actions(inmf, actions, (EPISODES, inmf.spec.slots, inmf.spec.action_dim))
    require(np.array_equal(actions, inmf.rule_actions(batch)), "the rule plays otherwise again")
    return f"mean reward {batch.rewards(actions).mean():.3f} {inmf.spec.reward_unit}"


def rule_is_one_rule(subject: Subject) -> str:
    """Slot by slot in a world and at once in its replay the rule does the same."""
    batch = subject.replay()
    done, _ = subject.done(batch)
    same = (np.asarray(subject.inmf.rule_actions(batch)) == done).all(axis=-1).mean()
    require(same >= AGREEMENT, f"the same action in {same:.1%} of the slots only")
    return f"the same action in {same:.1%} of the slots"


def emulator_survives_files(subject: Subject) -> str:
    """A file and a pickle give the emulator back."""
    for emulator in (subject.emulator(), _fitted(subject)):
        stored = json.loads(json.dumps(emulator.to_dict()))
        read = subject.inmf.emulator_of(stored)
        require(read is not None, "emulator_of gives no emulator of to_dict")
        assert read is not None
        for other in (read, pickle.loads(pickle.dumps(emulator))):  # noqa: S301 (our own bytes)
            _require_same_draw(subject, emulator, other)
    return "expert and fitted"


def _require_same_draw(subject: Subject, one: Emulator, other: Emulator) -> None:
    inmf = subject.inmf
    actions = random_actions(inmf, (EPISODES, inmf.spec.slots), subject.rng())
    first, second = (each.draw(EPISODES, subject.rng()).rewards(actions) for each in (one, other))
    require(np.allclose(first, second, atol=NEAR), "the emulator read back draws other episodes")


def _fitted(subject: Subject) -> Emulator:
    """Fitted to a world's slots; the expert's where there is no world."""
    emulator = subject.emulator()
    try:
        columns = subject.columns
    except NotStatedError:
        return emulator
    return emulator.fit({each.name: columns[each.name] for each in subject.inmf.measured})


def fit_stays_sane(subject: Subject) -> str:
    """A fit to few or many slots emulates episodes that a policy can be trained on."""
    inmf, columns = subject.inmf, subject.columns
    rewards = []
    for slots in (1, 10, len(columns[inmf.measured[0].name])):
        measured = {each.name: columns[each.name][:slots] for each in inmf.measured}
        batch = subject.emulator().fit(measured).draw(EPISODES, subject.rng())
        seen = batch.observe(0, batch.first_memory())
        small = np.abs(seen) <= LARGEST_OBSERVATION
        require(bool(small.all()), f"after a fit to {slots} slots an observation is {seen.max()}")
        earned = batch.rewards(inmf.rule_actions(batch))
        require(bool(np.isfinite(earned).all()), f"after a fit to {slots} slots rewards are not")
        rewards.append(f"{earned.mean():.3f}")
    return f"mean reward of the rule after fits to 1, 10 and all slots: {', '.join(rewards)}"


def replay_gives_what_was_measured(subject: Subject) -> str:
    """Who does what the PLVN did, gets what the PLVN got."""
    batch = subject.replay()
    done, earned = subject.done(batch)
    rewards, own = batch.measured(done)
    share = float(own.mean())
    require(share >= OWN, f"{share:.1%} of the PLVN's own slots are taken as measured")
    require(np.allclose(rewards[own], earned[own], atol=NEAR), "measured rewards are changed")
    slots = {name: values[:1] for name, values in subject.columns.items()}
    require(subject.emulator().replay(slots) is None, "one slot is replayed as an episode")
    return f"{share:.1%} of {rewards.size} slots"


def calibration_is_a_posterior(subject: Subject) -> str:
    """Weights, shapes and deviations of a fit are those of a posterior."""
    calibration, columns = subject.calibration(), subject.columns
    drawn = calibration.prior(5, subject.rng())
    found = subject.posterior
    hidden = (drawn.shape[1],)
    require(found.best.shape == hidden, f"best {found.best.shape} must be {hidden}")
    require(found.particles.shape[1:] == hidden, f"particles are {found.particles.shape}")
    require(abs(float(found.weights.sum()) - 1.0) < NEAR, "weights do not sum to 1")
    require(bool((found.weights >= 0).all()), "a weight is below 0")
    require(found.draw(7, subject.rng()).shape == (7, *hidden), "draws have another shape")
    reward = subject.columns["reward"]
    deviation = np.asarray(calibration.deviation(reward))
    require(bool((deviation > 0).all()), "a deviation is not above 0")
    misfits = calibration.misfits(columns, found.best)
    require(misfits.shape == reward.shape, f"misfits {misfits.shape} of {reward.shape}")
    require(calibration.informative(columns).shape == reward.shape, "informative slots differ")
    return f"residual {found.residual_sd:.3f} {subject.inmf.spec.reward_unit}"


def calibration_predicts_the_emulator(subject: Subject) -> str:
    """Predicted rewards are those of the emulator for the same states and actions."""
    calibration = subject.calibration()
    best = subject.posterior.best[None]
    batch = subject.replay()
    done, _ = subject.done(batch)
    emulated, (_, own) = batch.rewards(done), batch.measured(done)
    predicted = calibration.predict(subject.columns, best)[0][-emulated.size :]
    apart = float(np.abs(predicted.reshape(emulated.shape) - emulated)[own].max())
    require(apart < 1e-4, f"they differ by {apart}")
    return f"largest difference {apart:.1e}"


def teacher_scores_choices(subject: Subject) -> str:
    """Every choice has a worth in every slot.

    Raises:
        NotStatedError: if the INMF does not teach.
    """
    inmf, batch = subject.inmf, subject.batch()
    if not inmf.teaches:
        raise NotStatedError("policy gradients only")
    if not isinstance(batch, Scored):
        require(False, "teaches, but its episodes have no scores")  # noqa: FBT003
        return ""
    space = inmf.spec.actions
    if isinstance(space, MultiBinary):
        choices = 2**space.size
    else:
        require(isinstance(space, Discrete), f"no list of choices can be made of {space}")
        choices = space.choices if isinstance(space, Discrete) else 0
    scores = batch.scores(random_actions(inmf, (EPISODES, inmf.spec.slots), subject.rng()))
    shape = (EPISODES, inmf.spec.slots, choices)
    require(scores.shape == shape, f"scores {scores.shape} must be {shape}")
    require(bool(np.isfinite(scores).all()), "a score is not finite")
    return f"{choices} choices"
