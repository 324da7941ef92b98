"""Exact search equals a brute-force search, whatever the data and the batching."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.neighbors import NearestNeighbors

from stream_ad.detector.index import GROUP, ExactIndex, _select


def brute(points: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    apart = np.sqrt(((queries[:, None] - points[None]) ** 2).sum(axis=2))
    numbers = np.lexsort((np.broadcast_to(np.arange(len(points)), apart.shape), apart))[:, :k]
    return np.take_along_axis(apart, numbers, axis=1), numbers


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 300, 1500])
@pytest.mark.parametrize("dimensions", [1, 8, 32])
def test_equals_brute_force(n: int, dimensions: int) -> None:
    rng = np.random.default_rng(n)
    points, queries = rng.normal(size=(n, dimensions)), rng.normal(size=(50, dimensions))
    distances, numbers = ExactIndex(points).search(queries, 10)
    wanted, which = brute(points, queries, 10)
    np.testing.assert_allclose(distances, wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(numbers, which)


@pytest.mark.parametrize(("n", "k"), [(600, 20), (4000, 20), (9000, 10)])
def test_equals_scikit_learn(n: int, k: int) -> None:
    rng = np.random.default_rng(0)
    points, queries = rng.normal(size=(n, 12)), rng.normal(size=(200, 12))
    peer = NearestNeighbors(algorithm="brute").fit(points)
    distances, numbers = ExactIndex(points).search(queries, k)
    wanted, which = peer.kneighbors(queries, k)
    np.testing.assert_allclose(distances, wanted, atol=1e-9)
    np.testing.assert_array_equal(numbers, which)


def test_the_largest_of_these_banks_selects_groups_by_topk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    widths = []
    topk = torch.Tensor.topk

    def recorded(values: torch.Tensor, *args: Any, **options: Any) -> object:
        widths.append(values.shape[1])
        return topk(values, *args, **options)

    monkeypatch.setattr(torch.Tensor, "topk", recorded)
    for n in (4000, 9000):
        ExactIndex(np.random.default_rng(0).normal(size=(n, 2))).search(np.zeros((3, 2)), 10)
    assert widths == [9000 // GROUP]


@pytest.mark.parametrize("offset", [0, 1e4, 1e8])
@pytest.mark.parametrize("apart", [1, 1e-6])
def test_rounding_of_the_rough_product_never_shows(offset: float, apart: float) -> None:
    rng = np.random.default_rng(1)
    clusters = rng.normal(size=(5, 4)) * 1000 + offset
    points = clusters[rng.integers(5, size=2000)] + apart * rng.normal(size=(2000, 4))
    queries = points[::40] + 0.1 * apart
    distances, numbers = ExactIndex(points).search(queries, 8)
    middle = points.mean(axis=0)
    wanted, which = brute(points - middle, queries - middle, 8)
    np.testing.assert_allclose(distances, wanted, rtol=1e-9)
    np.testing.assert_array_equal(numbers, which)


@settings(max_examples=40)
@given(st.integers(1, 700), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_equal_distances_are_ordered_by_number(n: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 4, size=(n, 2)).astype(float)  # many duplicates and ties
    queries = rng.integers(0, 4, size=(9, 2)).astype(float)
    middle = points.mean(axis=0)
    _, numbers = ExactIndex(points).search(queries, k)
    np.testing.assert_array_equal(numbers, brute(points - middle, queries - middle, k)[1])


@settings(max_examples=25)
@given(st.permutations(range(30)), st.integers(1, 30))
def test_the_same_bits_for_any_batch(order: list[int], size: int) -> None:
    rng = np.random.default_rng(3)
    index, queries = ExactIndex(rng.normal(size=(400, 6))), rng.normal(size=(30, 6))
    whole, numbers = index.search(queries, 7)
    rows = np.array(order)[:size]
    part, found = index.search(queries[rows], 7)
    assert part.tobytes() == whole[rows].tobytes()
    assert found.tobytes() == numbers[rows].tobytes()


def test_more_neighbours_than_points_gives_all_points() -> None:
    distances, numbers = ExactIndex(np.arange(3.0)[:, None]).search(np.array([[0.4]]), 99)
    np.testing.assert_allclose(distances, [[0.4, 0.6, 1.6]])
    np.testing.assert_array_equal(numbers, [[0, 1, 2]])


def test_candidates_are_ordered_and_measured_with_the_bits_of_a_search() -> None:
    rng = np.random.default_rng(6)
    index, queries = ExactIndex(rng.normal(size=(900, 5))), rng.normal(size=(600, 5))
    distances, numbers = index.search(queries, 12)
    found = index.nearest_of(queries, rng.permuted(numbers, axis=1), 7)
    assert found[0].tobytes() == np.ascontiguousarray(distances[:, :7]).tobytes()
    np.testing.assert_array_equal(found[1], numbers[:, :7])


def test_no_queries_give_no_rows() -> None:
    distances, numbers = ExactIndex(np.ones((4, 2))).search(np.empty((0, 2)), 3)
    assert distances.shape == numbers.shape == (0, 3)


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(8, 256)),
        elements=st.floats(width=32, allow_nan=False),
    ),
    st.integers(1, 8),
)
@example(np.array([[np.inf, -1, -0.0, 0.0, 1e-45, -1e-45, 3e38, -3e38]], np.float32), 3)
@example(np.full((1, 8), np.inf, np.float32), 8)
def test_the_smallest_of_few_are_selected_whatever_their_signs(values: np.ndarray, m: int) -> None:
    places = _select(torch.from_numpy(values), m).numpy()
    assert all(len(set(row)) == m for row in places.tolist())
    finite = np.nan_to_num(values)  # an infinite one counts as the largest that is finite
    picked = np.sort(np.take_along_axis(finite, places, axis=1), axis=1)
    np.testing.assert_array_equal(picked, np.sort(finite, axis=1)[:, :m])
