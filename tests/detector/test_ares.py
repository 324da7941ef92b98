"""ARES equals its equations, written out, and scikit-learn's local outlier factor."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.neighbors import LocalOutlierFactor

from stream_ad.detector.ares import Ares, ErrorScorer
from stream_ad.detector.bank import Bank
from stream_ad.detector.index import ExactIndex
from stream_ad.detector.scorers import SCORERS


def bank_of(z: NDArray[np.float32], error: NDArray[np.float64] | None = None) -> Bank:
    n = len(z)
    error = np.linspace(0, 1, n) if error is None else error
    return Bank.build(z, error, np.array(["m"] * n, object), np.arange(n), most=10**6)


def scorer_of(bank: Bank, k: int, alpha: float = 0.5, name: str = "ares"):  # type: ignore[no-untyped-def]
    return SCORERS[name](bank, ExactIndex(bank.z), k=k, alpha=alpha)


def by_the_equations(bank: Bank, z: np.ndarray, error: float, k: int, alpha: float) -> float:
    """Eqs. 1, 6, 8 for one window, with loops."""
    points = bank.z.astype(np.float64)

    def near(x: np.ndarray, out: int) -> list[tuple[float, int]]:
        all_of_them = [(float(np.sqrt(((x - p) ** 2).sum())), i) for i, p in enumerate(points)]
        return sorted(pair for pair in all_of_them if pair[1] != out)[:k]

    def density(neighbours: list[tuple[float, int]]) -> float:
        reached = [max(d, near(points[i], i)[-1][0]) for d, i in neighbours]
        return 1 / (sum(reached) / len(reached) + 1e-10)

    around = near(z.astype(np.float64), -1)
    rebuilt = error - float(np.median([bank.error[i] for _, i in around]))
    ratios = [density(near(points[i], i)) / density(around) for _, i in around]
    return rebuilt + alpha * sum(ratios) / len(ratios)


@pytest.mark.parametrize(("n", "k"), [(40, 5), (12, 10), (6, 10), (2, 10)])
def test_equals_the_equations(n: int, k: int) -> None:
    rng = np.random.default_rng(n)
    bank = bank_of(rng.normal(size=(n, 3)).astype(np.float32), rng.exponential(size=n))
    z, error = rng.normal(size=(7, 3)).astype(np.float32) * 2, rng.exponential(size=7)
    raw = scorer_of(bank, k, 0.7).score(z, error)
    used = min(k, n - 1)
    wanted = [by_the_equations(bank, z[i], error[i], used, 0.7) for i in range(7)]
    np.testing.assert_allclose(raw, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("k", [1, 10, 100])
def test_density_equals_novelty_lof_of_scikit_learn(k: int) -> None:
    rng = np.random.default_rng(k)
    z = rng.normal(size=(500, 8)).astype(np.float32)
    queries = np.concatenate([z[:20] + 0.01, rng.normal(size=(80, 8)) * 3]).astype(np.float32)
    peer = LocalOutlierFactor(n_neighbors=k, novelty=True).fit(z.astype(np.float64))
    bank = bank_of(z, np.zeros(500))
    raw = scorer_of(bank, k, alpha=1).score(queries, np.zeros(100))
    np.testing.assert_allclose(raw, -peer.score_samples(queries.astype(np.float64)), rtol=1e-6)


@pytest.mark.parametrize("k", [1, 7, 40])
def test_with_duplicates_the_density_is_lof_over_the_unique_latents(k: int) -> None:
    rng = np.random.default_rng(k)
    once = rng.normal(size=(60, 4)).astype(np.float32)
    z = rng.permutation(np.repeat(once, rng.integers(1, 9, size=60), axis=0))
    queries = np.concatenate([once[:10], once[:10] + 0.01, rng.normal(size=(20, 4)) * 3])
    peer = LocalOutlierFactor(n_neighbors=k, novelty=True).fit(once.astype(np.float64))
    wanted = -peer.score_samples(queries.astype(np.float32).astype(np.float64))
    raw = scorer_of(bank_of(z, np.zeros(len(z))), k, alpha=1).score(
        queries.astype(np.float32), np.zeros(40)
    )
    np.testing.assert_allclose(raw, wanted, rtol=1e-6)


def test_duplicates_count_once_and_never_divide_by_zero() -> None:
    z = np.repeat(np.random.default_rng(2).normal(size=(30, 3)), 50, axis=0).astype(np.float32)
    bank = bank_of(z, np.zeros(1500))
    once = bank_of(z[::50], np.zeros(30))
    queries = np.concatenate([z[:2], z[:2] + 1])
    raw = scorer_of(bank, 10).score(queries, np.zeros(4))
    np.testing.assert_array_equal(raw, scorer_of(once, 10).score(queries, np.zeros(4)))
    assert np.isfinite(raw).all()
    assert raw.max() < 100


def test_contributions_are_what_lies_above_the_ordinary() -> None:
    bank = bank_of(np.arange(6.0, dtype=np.float32)[:, None], np.full(6, 2.0))
    scorer = scorer_of(bank, 2, alpha=0.5)
    z, error = np.array([[2.5], [50]], np.float32), np.array([1.0, 5])
    evidence = scorer.evidence(z, error)
    raw, parts = scorer.join(evidence), scorer.contributions(evidence)
    assert Ares.channels == ("reconstruction", "density")
    np.testing.assert_array_equal(parts[0], [0, 0])  # rebuilt better and as dense as any
    assert parts[1, 0] == 3
    np.testing.assert_allclose(parts[1, 1], raw[1] - 3 - 0.5, rtol=1e-12)


def test_the_error_scorer_returns_the_error() -> None:
    bank = bank_of(np.array([[0.0], [1]], np.float32))
    scorer = scorer_of(bank, 10, name="error")
    z, error = np.zeros((3, 1), np.float32), np.array([0.5, 3, 0])
    raw, parts = scorer.score(z, error), scorer.contributions(scorer.evidence(z, error))
    assert ErrorScorer.channels == ("reconstruction",)
    np.testing.assert_array_equal(raw, error)
    np.testing.assert_array_equal(parts[:, 0], error)


@pytest.mark.parametrize("name", SCORERS)
def test_no_windows_give_no_scores(name: str) -> None:
    scorer = scorer_of(bank_of(np.array([[0.0], [1], [2]], np.float32)), 2, name=name)
    scorer.calibrate(np.ones((5, len(scorer.channels))))
    nothing = scorer.evidence(np.empty((0, 1), np.float32), np.empty(0), np.empty((0, 3)))
    assert scorer.join(nothing).shape == (0,)
    assert scorer.contributions(nothing).shape == (0, len(scorer.channels))
