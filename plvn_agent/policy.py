"""What acts in one PLVN under one INMF, as a plain function from measured fields to an action.

The newest individual model or the INMF's classical baseline, with what both remember from slot to
slot. The agent asks it slot by slot; a bulk source takes it along, even into a child process, and
gives it back. An INMF's own code runs here, so this is where its errors stop.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from twintier.inmf.contract import ACTION, LOG_PROB, REWARD, SAMPLE, Inmf, Row, Rule
from twintier.inmf.episodes import Actions
from twintier.inmf.schema import action_field, result_fields
from twintier.inmf.spec import Observation
from twintier.plvn_agent.guard import Guard
from twintier.protocol.columns import check_row
from twintier.protocol.messages.telemetry import PolicyKind

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


class Actor(Protocol):
    """A model ready to act; `inmf.actor.Actor` is one."""

    def act(self, observation: Observation) -> Actions:
        """Greedy actions (..., action_dim) of (..., observation_dim)."""
        ...

    def sample(
        self, observation: Observation, rng: np.random.Generator
    ) -> tuple[Actions, Floats, Floats]:
        """Actions and samples (..., action_dim), and log-probabilities of the samples (...)."""
        ...


@dataclass(frozen=True, slots=True)
class Model:
    """An actor and how it acts."""

    actor: Actor
    rng: np.random.Generator | None = None
    """Where actions are sampled; greedy without it."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A slot that waits for its outcome."""

    row: Row
    """Measured and remembered fields."""
    policy: PolicyKind
    version: int
    action: Actions
    sampled: Row = field(default_factory=dict)
    """`sample` and `log_prob`, if the action was sampled."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A slot with all its columns, and what has decided it."""

    policy: PolicyKind
    version: int
    """Of the order in force."""
    row: Row
    """As `inmf.schema.trajectory_fields` has it, with samples where there are some."""
    tripped: bool = False
    """Whether the guard lets the baseline act from the next slot on."""


class NoActionError(Exception):
    """Neither the model nor the baseline of an INMF can act in a slot; the cause says why."""


class SlotPolicy:
    """Decides the slots of one (PLVN, INMF), each before its outcome is told."""

    def __init__(self, inmf: Inmf) -> None:
        """Begin with the baseline before its first slot."""
        self.inmf = inmf
        self.version = 0
        """Of the order in force; 0 before any."""
        self.model: Model | None = None
        """What the order in force asks for; None for the baseline."""
        self.errors = 0
        """Of the INMF's own code, since somebody last looked."""
        self._action = action_field(inmf.spec.actions)
        self._rule: Rule | None = None
        """What the baseline decides next; None until the INMF can begin."""
        self._memory: Row = {}
        self._begin()
        self._guard = Guard(inmf.spec)
        self._decided: Decided | None = None

    @property
    def acts(self) -> PolicyKind:
        """What decides the next slot."""
        return "baseline" if self.model is None or self._guard.tripped else "individual_model"

    def __eq__(self, other: object) -> bool:
        """Whether both act by the same order; what they remember is not compared."""
        if not isinstance(other, SlotPolicy):
            return NotImplemented
        mine, its = ((p.inmf.schema_id, p.version, p.acts) for p in (self, other))
        return mine == its

    __hash__ = None  # type: ignore[assignment]  # it changes with orders

    def obey(self, model: Model | None, version: int) -> None:
        """Act by this model from the next slot on; None: by the baseline."""
        self.model, self.version = model, version
        self._guard = self._guard.following()

    def fork(self) -> "SlotPolicy":
        """The same policy, to be lent: what it does changes nothing here."""
        lent = copy(self)
        lent._guard = self._guard.fork()  # noqa: SLF001  # of its own class
        return lent

    def __call__(self, measured: Row) -> Actions:
        """The action (action_dim,) in a slot.

        Raises:
            ColumnsError: if the measured fields are not what the INMF says.
            NoActionError: if the baseline fails too.
        """
        return self.decide(check_row(measured, self.inmf.measured))

    def decide(self, measured: Row) -> Actions:
        """The action (action_dim,) in a slot whose fields were checked.

        Raises:
            NoActionError: if the baseline fails too.
        """
        self._decided = None
        if self._rule is None:
            self._begin()
        self._decided = self._decide({**measured, **self._memory})
        return self._decided.action

    def after(self, outcome: Row) -> Finished:
        """Take in the outcome of the decided slot: `action` as carried out, `reward`, and others.

        Raises:
            ColumnsError: if it is not what the INMF says.
            RuntimeError: if no slot was decided.
        """
        decided, self._decided = self._decided, None
        if decided is None:
            raise RuntimeError("an outcome without a decision; ask for an action before")
        result = check_row(outcome, result_fields(self.inmf))
        self._remember(decided, result)
        of_rule = decided.policy == "baseline"
        tripped = False
        if of_rule or decided.sampled:  # greedy models are watched and replaced by the twin
            tripped = self._guard.add(float(result[REWARD]), of_rule=of_rule)
        row = {**decided.row, **result, **decided.sampled}
        return Finished(decided.policy, decided.version, row, tripped)

    def _decide(self, row: Row) -> Decided:
        model = self.model
        if model is not None and self.acts == "individual_model":
            try:
                return self._by_model(model, row)
            except Exception:  # noqa: BLE001  # an INMF's code may raise anything: baseline acts
                self.errors += 1
        if self._rule is None:
            raise NoActionError(f"{self.inmf.spec.inmf} cannot begin")
        try:
            self._rule, action = self._rule.decide(row)
            return Decided(row, "baseline", self.version, self._held(row, action))
        except Exception as error:
            self.errors += 1
            raise NoActionError(f"{type(error).__name__}: {error}") from error

    def _by_model(self, model: Model, row: Row) -> Decided:
        observation = self.inmf.observe({name: array[None] for name, array in row.items()})[0]
        if model.rng is None:
            action = self._held(row, model.actor.act(observation))
            return Decided(row, "individual_model", self.version, action)
        action, sample, log_prob = model.actor.sample(observation, model.rng)
        sampled = {SAMPLE: sample.astype(np.float64), LOG_PROB: np.asarray(log_prob, np.float64)}
        held = self._held(row, action)
        return Decided(row, "individual_model", self.version, held, sampled)

    def _held(self, row: Row, action: Actions) -> Actions:
        """The action as it is to be carried out, held to the INMF's actions.

        Raises:
            ColumnsError: if it is none of them.
        """
        admissible = self.inmf.admissible(row, action)
        check_row({ACTION: np.asarray(admissible, np.float64)}, (self._action,))
        return admissible

    def _begin(self) -> None:
        """Begin as before the first slot; where even that fails, no slot is decided."""
        self._rule = None
        try:
            self._memory, self._rule = self.inmf.first_memory(), self.inmf.rule()
        except Exception:  # noqa: BLE001  # an INMF's code may raise anything
            self.errors += 1

    def _remember(self, decided: Decided, result: Row) -> None:
        try:
            self._memory = self.inmf.remember(decided.row, result)
            if decided.policy == "baseline" and self._rule is not None:
                self._rule = self._rule.after(result)
        except Exception:  # noqa: BLE001  # as above: the INMF begins anew, others go on
            self.errors += 1
            self._begin()


@dataclass(frozen=True, slots=True)
class Driven:
    """Consecutive slots that a bulk source has driven."""

    policy: SlotPolicy
    """As it is after them, wherever it was."""
    slot_first: int
    finished: tuple[Finished, ...]


def drive(
    policy: SlotPolicy,
    slot_first: int,
    slots: int,
    measure: Callable[[], Row],
    act: Callable[[Actions], Row],
) -> Driven:
    """Drive so many slots: measure, ask the policy, act, tell the outcome.

    Args:
        policy: asked in each slot.
        slot_first: number of the first slot.
        slots: how many.
        measure: gives the measured fields of the next slot.
        act: carries out an action (action_dim,) in it; gives `action`, `reward` and outcomes.

    Raises:
        ColumnsError: if fields are not what the INMF says.
        NoActionError: if the baseline fails.
    """
    finished = tuple(policy.after(act(policy(measure()))) for _ in range(slots))
    return Driven(policy, slot_first, finished)
