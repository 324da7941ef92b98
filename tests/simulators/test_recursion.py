import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.recursion import decay, recur, wander


@given(st.integers(0, 200), st.integers(0, 10**6))
def test_recursion_equals_the_plain_loop(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, keep, before = rng.normal(size=(n, 3)), rng.uniform(size=3), rng.normal(size=3)
    untouched = x.copy()
    expected, last = [], before
    for row in x:
        last = keep * last + row
        expected.append(last)
    assert recur(x, keep, before) == pytest.approx(np.array(expected).reshape(n, 3), abs=1e-10)
    assert np.array_equal(x, untouched)


def test_recursion_may_be_cut_anywhere() -> None:
    rng = np.random.default_rng(0)
    x, keep, before = rng.normal(size=(100, 2)), np.array([0.5, 0.99]), np.ones(2)
    first = recur(x[:37], keep, before)
    second = recur(x[37:], keep, first[-1])
    assert np.vstack([first, second]) == pytest.approx(recur(x, keep, before), abs=1e-12)


def test_after_one_time_constant_one_part_in_e_is_left() -> None:
    kept = decay(10.0, np.array([0.0, 100.0]))
    assert kept[0] == 0
    assert kept[1] ** 10 == pytest.approx(np.exp(-1))


def test_wandering_has_unit_variance_and_the_asked_memory() -> None:
    noise = wander(np.random.default_rng(0), 200_000, 2, 0.9)
    assert noise.std(axis=0) == pytest.approx(np.ones(2), abs=0.03)
    memory = (noise[1:] * noise[:-1]).mean(axis=0)
    assert memory == pytest.approx(np.full(2, 0.9), abs=0.05)
