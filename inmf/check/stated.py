"""Checks of what an INMF must state: spec, fields, observation, rule; and of its world."""

import re
from copy import copy
from dataclasses import replace

import numpy as np

from twintier.inmf.check.findings import NotStatedError, require
from twintier.inmf.check.subject import (
    LARGEST_OBSERVATION,
    Subject,
    play_world,
    random_actions,
    random_policy,
    require_actions,
    traffic_of,
)
from twintier.inmf.contract import ACTION, LOG_PROB, REWARD, SAMPLE, Row
from twintier.inmf.spec import Field

NAME = re.compile(r"[a-z][a-z0-9_]*")


def spec_is_whole(subject: Subject) -> str:
    """Sizes and discounting can be used."""
    spec = subject.inmf.spec
    sizes = (spec.observation_dim, spec.action_dim, spec.slots, spec.slot_s)
    require(min(sizes) > 0, f"observation, action, slots and slot_s {sizes} must be above 0")
    require(0.0 <= spec.gamma < 1.0, f"gamma {spec.gamma} must be in [0, 1)")
    require(0.0 <= spec.gae_lambda <= 1.0, f"gae_lambda {spec.gae_lambda} must be in [0, 1]")
    require(spec.reward_floor >= 0.0, f"reward_floor {spec.reward_floor} must not be below 0")
    return f"{spec.inmf}, {spec.observation_dim} numbers, {spec.actions}, {spec.slots} slots"


def fields_are_sound(subject: Subject) -> str:
    """Names are unique and not the platform's; units, shapes and limits are stated."""
    inmf = subject.inmf
    fields = (*inmf.measured, *inmf.remembered, *inmf.outcome)
    names = [each.name for each in fields]
    require(len(set(names)) == len(names), f"a name occurs twice among {names}")
    taken = {ACTION, REWARD, SAMPLE, LOG_PROB} & set(names)
    require(not taken, f"{sorted(taken)} are columns of the platform")
    for each in fields:
        require(NAME.fullmatch(each.name) is not None, f"{each.name!r} is no plain name")
        require(bool(each.unit), f"{each.name} has no unit; use `1` for a plain number")
        require(each.low < each.high, f"limits of {each.name} are {each.low} to {each.high}")
        require(all(size > 0 for size in each.shape), f"{each.name} has the shape {each.shape}")
    require(bool(inmf.measured), "nothing is measured")
    return f"{len(fields)} fields"


def schema_follows_fields(subject: Subject) -> str:
    """The schema id is repeatable and changes with any field."""
    inmf = subject.inmf
    first, *rest = inmf.measured
    for changed in (
        replace(first, unit=first.unit + "x"),
        replace(first, low=first.low - 1.0),
        replace(first, shape=(*first.shape, 2)),
        replace(first, nullable=not first.nullable),
    ):
        other = copy(inmf)
        vars(other).pop("schema_id", None)  # it is kept once it was asked for
        other.measured = (changed, *rest)
        require(other.schema_id != inmf.schema_id, f"{changed} does not change the schema id")
    require(copy(inmf).schema_id == inmf.schema_id, "the schema id is not repeatable")
    return inmf.schema_id


def observations_are_pure(subject: Subject) -> str:
    """Finite, float32, bounded; row by row as together; rows stay as they are."""
    inmf, rows = subject.inmf, dict(subject.seen)
    before = {name: values.copy() for name, values in rows.items()}
    seen = inmf.observe(rows)
    count = len(next(iter(rows.values())))
    shape = (count, inmf.spec.observation_dim)
    require(seen.shape == shape, f"observations {seen.shape} must be {shape}")
    require(seen.dtype == np.float32, f"observations are {seen.dtype}, not float32")
    require(bool(np.isfinite(seen).all()), "an observation holds NaN or infinity")
    largest = float(np.abs(seen).max())
    require(largest <= LARGEST_OBSERVATION, f"an observation holds {largest:.3g}; scale to about 2")
    unchanged = all(np.array_equal(before[name], rows[name], equal_nan=True) for name in rows)
    require(unchanged, "observe changes the rows that it is given")
    for index in (0, count // 2, count - 1):
        one = inmf.observe({name: values[index : index + 1] for name, values in rows.items()})
        require(np.allclose(one[0], seen[index], atol=1e-6), f"row {index} alone differs")
    return f"largest number {largest:.2f}"


def nullable_fields_are_masked(subject: Subject) -> str:
    """A missing number leaves the observation finite, and the network can tell that it is missing.

    Raises:
        NotStatedError: if no field is nullable.
    """
    inmf = subject.inmf
    nullable = [each for each in (*inmf.measured, *inmf.remembered) if each.nullable]
    if not nullable:
        raise NotStatedError("every slot must have every field")
    for each in nullable:
        missing, zero = dict(subject.seen), dict(subject.seen)
        missing[each.name] = np.full_like(missing[each.name], np.nan)
        zero[each.name] = np.zeros_like(missing[each.name])
        seen = inmf.observe(missing)
        require(bool(np.isfinite(seen).all()), f"{each.name} missing makes an observation NaN")
        told = not np.array_equal(seen, inmf.observe(zero)) or _has_mask(inmf.measured, each)
        require(told, f"{each.name} missing looks like 0; let a mask stand beside it")
    return ", ".join(each.name for each in nullable)


def _has_mask(fields: tuple[Field, ...], of: Field) -> bool:
    return any(each.unit == "flag" and each.shape in {(), of.shape} for each in fields)


def memory_has_its_fields(subject: Subject) -> str:
    """What is remembered are the fields that are declared, before and after a slot."""
    inmf = subject.inmf
    memories = [inmf.first_memory()]
    if inmf.remembered:
        row, outcome = subject.slots[0]
        memories.append(inmf.remember(row, outcome))
    for memory in memories:
        _require_fields(memory, inmf.remembered, "memory")
    return f"{len(inmf.remembered)} fields"


def _require_fields(row: Row, fields: tuple[Field, ...], where: str) -> None:
    names = {each.name for each in fields}
    require(set(row) == names, f"{where} holds {sorted(row)}, declared are {sorted(names)}")
    for each in fields:
        values = np.asarray(row[each.name], float)
        require(values.shape == each.shape, f"{each.name} {values.shape} must be {each.shape}")
        missing = np.isnan(values)
        require(each.nullable or not missing.any(), f"{each.name} is missing and not nullable")
        inside = (values >= each.low) & (values <= each.high) | missing
        require(bool(inside.all()), f"{each.name} {values} lies outside {each.low} to {each.high}")


def rule_is_a_value(subject: Subject) -> str:
    """The rule decides in the action space, and the same in the same state."""
    inmf = subject.inmf
    rows = subject.seen
    count = min(len(next(iter(rows.values()))), 50)
    for index in range(count):
        row = {name: values[index] for name, values in rows.items()}
        rule = inmf.rule()
        _, action = rule.decide(row)
        _, again = rule.decide(row)
        require_actions(inmf, action, (inmf.spec.action_dim,))
        require(np.array_equal(action, again), "the rule decides otherwise the second time")
    return f"{count} slots"


def admissible_actions_stay(subject: Subject) -> str:
    """What is admissible lies in the action space and is left alone."""
    inmf, rng = subject.inmf, subject.rng()
    rows = subject.seen
    for index in range(min(len(next(iter(rows.values()))), 50)):
        row = {name: values[index] for name, values in rows.items()}
        once = inmf.admissible(row, random_actions(inmf, (), rng))
        require_actions(inmf, once, (inmf.spec.action_dim,))
        require(np.array_equal(inmf.admissible(row, once), once), f"{once} is changed again")
    return "in the action space"


def attributes_are_finite(subject: Subject) -> str:
    """What an INMF adds to the network's attributes is a number with a unit, or nothing.

    Raises:
        NotStatedError: if it adds nothing.
    """
    inmf = subject.inmf
    found = inmf.attributes({each.name: subject.seen[each.name] for each in inmf.measured})
    pairs = ((found.workload, found.workload_unit), (found.resources, found.resources_unit))
    for value, unit in pairs:
        if value is not None:
            require(bool(np.isfinite(value)), f"an attribute is {value}")
            require(bool(unit), f"an attribute of {value} has no unit")
    if all(value is None for value, _ in pairs):
        raise NotStatedError("categories rest on the network's own attributes")
    return f"workload {found.workload}, resources {found.resources}"


def world_gives_declared_fields(subject: Subject) -> str:
    """A slot has the declared fields within their limits, the action carried out, a reward."""
    inmf = subject.inmf
    for row, outcome in subject.slots:
        measured = {name: row[name] for name in row if name not in inmf.first_memory()}
        _require_fields(measured, inmf.measured, "a measured slot")
        plain = {name: outcome[name] for name in outcome if name not in {ACTION, REWARD}}
        _require_fields(plain, inmf.outcome, "an outcome")
        require_actions(inmf, outcome[ACTION], (inmf.spec.action_dim,))
        require(bool(np.isfinite(outcome[REWARD])), f"a reward is {outcome[REWARD]}")
    truth = subject.world().truth(traffic_of(0, inmf.spec.slot_s, subject.rng()))
    require(bool(truth), "the world has no words for what holds")
    return truth


def world_follows_its_seed(subject: Subject) -> str:
    """The same seed and actions give the same slots."""
    inmf = subject.inmf
    first, second = (
        play_world(inmf, subject.world(), 30, subject.rng(), random_policy(inmf, subject.rng()))
        for _ in range(2)
    )
    for (row, outcome), (other_row, other_outcome) in zip(first, second, strict=True):
        one, other = {**row, **outcome}, {**other_row, **other_outcome}
        same = all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)
        require(same, "two worlds of one seed differ")
    return "30 slots"
