"""All checks by name, and how they are run."""

from collections.abc import Callable, Mapping

from twintier.inmf.check import emulated, stated
from twintier.inmf.check.findings import BrokenRuleError, Finding, NotStatedError
from twintier.inmf.check.subject import Subject
from twintier.inmf.contract import Inmf

Check = Callable[[Subject], str]
"""Says what it found, or raises `BrokenRuleError` or `NotStatedError`."""
CHECKS: Mapping[str, Check] = {
    each.__name__.replace("_", " "): each
    for each in (
        stated.spec_is_whole,
        stated.fields_are_sound,
        stated.schema_follows_fields,
        stated.observations_are_pure,
        stated.nullable_fields_are_masked,
        stated.memory_has_its_fields,
        stated.rule_is_a_value,
        stated.admissible_actions_stay,
        stated.attributes_are_finite,
        stated.world_gives_declared_fields,
        stated.world_follows_its_seed,
        emulated.batch_has_its_shapes,
        emulated.same_seed_same_trace,
        emulated.batch_equals_single_steps,
        emulated.episodes_are_apart,
        emulated.nobody_beats_the_bound,
        emulated.rule_plays_episodes,
        emulated.rule_is_one_rule,
        emulated.emulator_survives_files,
        emulated.fit_stays_sane,
        emulated.replay_gives_what_was_measured,
        emulated.calibration_is_a_posterior,
        emulated.calibration_predicts_the_emulator,
        emulated.teacher_scores_choices,
    )
}


def check(inmf: Inmf, *, seed: int = 0) -> list[Finding]:
    """Hold an INMF to the contract; everything random follows from the seed."""
    subject = Subject(inmf, seed)
    return [run_check(name, subject) for name in CHECKS]


def run_check(name: str, subject: Subject) -> Finding:
    """One check by name, with what an earlier one has simulated."""
    try:
        return Finding(name, ok=True, what=CHECKS[name](subject))
    except NotStatedError as error:
        return Finding(name, ok=True, what=f"not stated: {error}")
    except BrokenRuleError as error:
        return Finding(name, ok=False, what=str(error))
    except Exception as error:  # noqa: BLE001 (whatever a package raises is a finding about it)
        return Finding(name, ok=False, what=f"{type(error).__name__}: {error}")
