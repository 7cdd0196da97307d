"""The table of an individual model's life: every transition is taken, and no other can be."""

from collections.abc import Callable

import pytest

from tests.edge_twin.managing import (
    INMF,
    META,
    SETTINGS,
    Loop,
    in_force,
    on_probation,
    result,
    trajectories,
    waiting,
)
from twintier.edge_twin import adaptation, isolation
from twintier.edge_twin.adaptation import ManagedInmf
from twintier.edge_twin.cache import CachedModel
from twintier.edge_twin.cusum import RewardWatch
from twintier.edge_twin.isolation import guarded
from twintier.edge_twin.life_cycle import (
    TRANSITIONS,
    Happening,
    IllegalTransitionError,
    InForce,
    Probation,
    State,
    Waiting,
    follows,
)
from twintier.edge_twin.life_cycle import Testing as UnderTest
from twintier.runtime.effects import Effect

Taken = tuple[str, Happening, str]


def restored() -> Loop:
    model = in_force().managed.model
    assert model is not None
    loop = waiting()
    loop.managed.restore(model)
    return loop


def restored_on_probation(*, good: bool) -> Loop:
    model = on_probation().managed.model
    assert model is not None
    loop = restored() if good else waiting()
    loop.managed.restore(model)
    return loop


def training() -> Loop:
    """A candidate has acted, and the next one is made."""
    loop = exchanging()
    loop.upload(2)
    return loop


def exchanging() -> Loop:
    loop = waiting()
    loop.upload(2)
    loop.done(result(1.0))
    return loop


def given_up() -> Loop:
    loop = waiting()
    loop.upload(2)
    for _ in range(SETTINGS.max_exchanges + 1):
        loop.done(result(1.0, reward_after=0.1))
        loop.upload(2)
    return loop


def failed(loop: Loop) -> Loop:
    """The running job has failed."""
    loop.managed.on_failure(loop.managed.trainer.attempt)
    return loop


def refused(loop: Loop) -> Loop:
    loop.managed.on_refused(loop.managed.orders.version, "no engine")
    return loop


def broken(loop: Loop) -> Loop:
    """The INMF's own code has raised."""

    def call() -> list[Effect]:
        raise ZeroDivisionError

    guarded(loop.managed, call)
    return loop


def rolled_back() -> Loop:
    loop = on_probation()
    loop.managed.state = Probation(1, -999.0, 0.0, 15)
    loop.upload()
    return loop


def under_test(loop: Loop) -> Loop:
    """Rewards that no calibration explains have made the watch alarm."""
    loop.upload(2, reward_j=30.0)
    assert isinstance(loop.state(), UnderTest)
    return loop


def answered(loop: Loop, *, changed: bool) -> Loop:
    under_test(loop).tested(changed=changed)
    return loop


def without_calibration(loop: Loop) -> Loop:
    """Watched by rewards alone, which fall far below their reference."""
    loop.managed.watching.watch = RewardWatch(50.0, 1.0, 30)
    loop.upload(2, reward_j=1.0)
    return loop


def stopped_by_guard() -> Loop:
    """The PLVN's baseline acts in place of a candidate that samples."""
    loop = waiting()
    loop.upload(2)
    stopped = trajectories(loop.slot, loop.managed.orders.version)
    loop.managed.on_trajectories(stopped.model_copy(update={"policy": "baseline"}), 45.0)
    return loop


def moved(loop: Loop) -> Loop:
    """The PLVN has another category with another meta model."""
    loop.managed.trained_category = "city=berlin"
    loop.managed.meta_model = CachedModel("city=oslo", 1, META.init, META.init)
    loop.managed.on_category("city=oslo", 5.0)
    return loop


HISTORIES: tuple[Callable[[], Loop], ...] = (
    restored,
    lambda: restored_on_probation(good=True),
    lambda: restored_on_probation(good=False),
    given_up,
    rolled_back,
    lambda: failed(training()),
    lambda: failed(under_test(in_force())),
    lambda: failed(under_test(on_probation())),
    lambda: answered(in_force(), changed=False),
    lambda: answered(in_force(), changed=True),
    lambda: answered(on_probation(), changed=False),
    lambda: without_calibration(in_force()),
    lambda: without_calibration(on_probation()),
    lambda: moved(in_force()),
    lambda: moved(on_probation()),
    *(
        lambda make=make, end=end: end(make())
        for end in (refused, broken)
        for make in (
            waiting,
            training,
            exchanging,
            on_probation,
            in_force,
            lambda: under_test(in_force()),
        )
    ),
)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> set[Taken]:
    """Every transition that the code asks for while a test runs."""
    seen: set[Taken] = set()

    def watched(state: State, happening: Happening, then: State) -> State:
        seen.add((type(state).__name__, happening, type(then).__name__))
        return follows(state, happening, then)

    monkeypatch.setattr(adaptation, "follows", watched)
    monkeypatch.setattr(isolation, "follows", watched)
    return seen


def test_every_transition_of_the_table_is_taken_by_some_history(
    taken: set[Taken], monkeypatch: pytest.MonkeyPatch
) -> None:
    for history in HISTORIES:
        history()
    monkeypatch.setattr(ManagedInmf, "emulator", lambda _: None)
    monkeypatch.setattr(type(INMF), "is_emulated", False)
    stopped_by_guard()
    assert taken == {
        (state.__name__, happening, then.__name__)
        for state, moves in TRANSITIONS.items()
        for happening, following in moves.items()
        for then in following
    }


@pytest.mark.parametrize(
    ("state", "happening", "then", "said"),
    [
        (InForce(), "block", InForce(), "InForce does not follow InForce on 'block'"),
        (Waiting(0, 1), "begun", InForce(), "InForce does not follow Waiting on 'begun'"),
    ],
)
def test_another_transition_is_a_fault(
    state: State, happening: Happening, then: State, said: str
) -> None:
    with pytest.raises(IllegalTransitionError, match=said):
        follows(state, happening, then)
