import numpy as np
import pytest

from twintier.learning.aggregate import Adam, MetaOptimizer, average_gradients
from twintier.learning.errors import NumericsError, SettingsError


def row(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(values, np.float32)


def test_the_mean_does_not_depend_on_the_order_of_arrival() -> None:
    rng = np.random.default_rng(0)
    rows = {f"p{number}": rng.normal(size=100).astype(np.float32) for number in range(9)}
    shuffled = {plvn: rows[plvn] for plvn in rng.permutation(sorted(rows))}
    assert average_gradients(rows)[0].tobytes() == average_gradients(shuffled)[0].tobytes()


def test_a_row_that_is_not_finite_is_refused_with_the_reason() -> None:
    mean, refused = average_gradients({"a": row(1, 2), "b": row(np.nan, 0), "c": row(3, 4)})
    assert mean.tolist() == [2.0, 3.0]
    assert refused == {"b": "a number is not finite"}


def test_a_row_of_another_length_is_refused() -> None:
    mean, refused = average_gradients({"a": row(1, 2), "b": row(1), "c": row(3, 4)})
    assert mean.tolist() == [2.0, 3.0]
    assert refused == {"b": "shape (1,), expected (2,)"}


def test_an_outlier_is_refused_with_its_norm() -> None:
    rows = {name: row(1, 0) for name in "abcd"} | {"e": row(1000, 0)}
    mean, refused = average_gradients(rows)
    assert mean.tolist() == [1.0, 0.0]
    assert refused == {"e": "norm 1e+03 above 50, 50 times the median"}


def test_three_rows_are_too_few_to_call_one_an_outlier() -> None:
    assert average_gradients({"a": row(1), "b": row(1), "c": row(1000)})[1] == {}


def test_no_trusted_row_gives_zeros() -> None:
    mean, refused = average_gradients({"a": row(np.inf, 0)})
    assert mean.tolist() == [0.0, 0.0]
    assert list(refused) == ["a"]


def test_no_row_at_all_is_an_error() -> None:
    with pytest.raises(SettingsError, match="at least one twin"):
        average_gradients({})


def test_the_first_adam_step_is_the_learning_rate_against_the_sign() -> None:
    new = Adam(0.1).step(row(1, 1, 1), row(5, -0.01, 0))
    np.testing.assert_allclose(new, [0.9, 1.1, 1.0], atol=1e-5)


def test_training_goes_on_after_a_restore_as_if_never_stopped() -> None:
    rng = np.random.default_rng(1)
    gradients = rng.normal(size=(6, 2, 5)).astype(np.float32)
    values, logs = row(*range(5)), row(*range(5))
    whole, half = MetaOptimizer(decay_steps=6), MetaOptimizer(decay_steps=6)
    expected = (values, logs)
    for gradient, by_step in gradients:
        expected = whole.step(*expected, gradient, by_step)
    result = (values, logs)
    for gradient, by_step in gradients[:3]:
        result = half.step(*result, gradient, by_step)
    resumed = MetaOptimizer(decay_steps=6)
    resumed.restore(half.state())
    for gradient, by_step in gradients[3:]:
        result = resumed.step(*result, gradient, by_step)
    assert [vector.tobytes() for vector in result] == [vector.tobytes() for vector in expected]


def test_a_gradient_that_is_not_finite_changes_nothing() -> None:
    optimizer = MetaOptimizer()
    first = optimizer.step(row(1), row(1), row(1), row(0))
    before = {name: array.tolist() for name, array in optimizer.state().items()}
    with pytest.raises(NumericsError, match="meta model stays"):
        optimizer.step(*first, row(np.nan), row(0))
    assert {name: array.tolist() for name, array in optimizer.state().items()} == before


def test_a_step_that_would_leave_the_finite_numbers_changes_nothing() -> None:
    optimizer = MetaOptimizer()
    first = optimizer.step(row(1), row(1), row(1), row(1))
    before = {name: array.tolist() for name, array in optimizer.state().items()}
    for huge in ((row(1e20), row(1)), (row(1), row(1e20))):  # their squares are not float32
        with pytest.raises(NumericsError, match="meta model stays"):
            optimizer.step(*first, *huge)
        assert {name: array.tolist() for name, array in optimizer.state().items()} == before


def test_step_sizes_without_a_gradient_stay() -> None:
    _, logs = MetaOptimizer().step(row(1), row(-1.5), row(1), row(0))
    assert logs.tolist() == [-1.5]
