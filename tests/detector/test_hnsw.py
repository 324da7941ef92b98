"""The graph: the law of bits holds for it as well, and none of its traps is left open."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_ad.detector.hnsw import Effort, HnswIndex
from stream_ad.detector.index import ExactIndex
from stream_ad.errors import MissingDependency

EFFORT = Effort(links=16, build=100, search=64)


def made(points: np.ndarray, seed: int = 0, effort: Effort = EFFORT) -> HnswIndex:
    return HnswIndex(ExactIndex(points), points, effort, seed)


def same(one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    return all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2_000, 6))


@pytest.fixture(scope="module")
def index(points: np.ndarray) -> HnswIndex:
    return made(points)


def test_what_it_finds_is_measured_and_ordered_as_by_exact_search(
    points: np.ndarray, index: HnswIndex
) -> None:
    queries = np.random.default_rng(1).normal(size=(300, 6))
    distances, numbers = index.search(queries, 10)
    wanted, which = ExactIndex(points).search(queries, 10)
    assert (numbers == which).mean() > 0.98
    agree = (numbers == which).all(axis=1)
    assert agree.mean() > 0.95
    assert distances[agree].tobytes() == wanted[agree].tobytes()
    assert (np.diff(distances, axis=1) >= 0).all()


@settings(max_examples=25)
@given(st.permutations(range(30)), st.integers(1, 30))
def test_the_same_bits_for_any_batch(order: list[int], size: int) -> None:
    rng = np.random.default_rng(3)
    points = rng.normal(size=(400, 6))
    points[:7] += 1e3  # searched beside the graph, if they cannot be reached
    index, queries = made(points), rng.normal(size=(30, 6))
    queries[4:7] = [[1e3], [1e18], [1e40]]
    index.look_again(points)
    whole, numbers = index.search(queries, 7)
    rows = np.array(order)[:size]
    assert same(index.search(queries[rows], 7), (whole[rows], numbers[rows]))


def test_the_same_points_and_seed_give_the_same_answers(
    points: np.ndarray, index: HnswIndex
) -> None:
    queries = np.random.default_rng(2).normal(size=(200, 6))
    hasty = Effort(4, 10, 12)  # so bad that another graph gives other answers
    assert same(index.search(queries, 5), made(points).search(queries, 5))
    one, again, other = (made(points, seed, hasty).search(queries, 5) for seed in (0, 0, 1))
    assert same(one, again)
    assert not same(one, other)


def test_more_neighbours_than_points_gives_all_points() -> None:
    distances, numbers = made(np.arange(3.0)[:, None]).search(np.array([[0.4]]), 99)
    np.testing.assert_allclose(distances, [[0.4, 0.6, 1.6]])
    np.testing.assert_array_equal(numbers, [[0, 1, 2]])


def test_no_queries_give_no_rows(index: HnswIndex) -> None:
    distances, numbers = index.search(np.empty((0, 6)), 3)
    assert distances.shape == numbers.shape == (0, 3)


def test_a_query_that_is_no_number_has_no_distances(index: HnswIndex) -> None:
    queries = np.zeros((3, 6))
    queries[1, 2] = np.nan
    distances, _ = index.search(queries, 4)
    assert np.isnan(distances[1]).all()
    assert same(index.search(queries[[0, 2]], 4), index.search(np.zeros((2, 6)), 4))


@pytest.mark.parametrize("size", [1e19, 1e100])
def test_a_query_beyond_float32_is_searched_exactly(
    points: np.ndarray, index: HnswIndex, size: float
) -> None:
    queries = size * np.eye(6)
    assert same(index.search(queries, 4), ExactIndex(points).search(queries, 4))


@pytest.mark.parametrize("size", [1e-40, 1e-10, 1e10, 1e30])
def test_the_unit_of_the_points_does_not_matter(points: np.ndarray, size: float) -> None:
    queries = points[:50] * 1.01
    _, numbers = made(points * size).search(queries * size, 5)
    _, wanted = made(points).search(queries, 5)
    assert (numbers == wanted).mean() > 0.99


def lost(index: HnswIndex, points: np.ndarray) -> int:
    return int((index.search(points, 1)[1][:, 0] != np.arange(len(points))).sum())


def test_points_that_the_graph_cannot_reach_are_found_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """States so far apart that a graph of few links falls to pieces: none of them is lost."""
    monkeypatch.setattr("stream_ad.detector.hnsw.STRAYS", 0.5)
    rng = np.random.default_rng(0)
    points = 100 * rng.normal(size=(40, 16))[rng.integers(40, size=3_000)]
    points += 0.1 * rng.normal(size=points.shape)
    graphs = (made(points, seed, Effort(8, 20, 64)) for seed in range(20))
    index = next(graph for graph in graphs if lost(graph, points))
    assert index.look_again(points)
    assert index.strays > 0
    every = np.arange(len(points))
    np.testing.assert_array_equal(index.search(points, 1)[1][:, 0], every)
    _, numbers = index.search(points, 12)
    assert all(len(set(row)) == 12 for row in numbers.tolist())


def test_too_many_that_it_cannot_reach_are_said() -> None:
    points = np.repeat(np.random.default_rng(0).normal(size=(20, 3)), 100, axis=0)
    assert not made(points).look_again(points)


def test_where_the_graph_has_too_few_candidates_search_is_exact(
    points: np.ndarray, index: HnswIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library raises for the whole batch; the other rows keep their bits."""
    queries = np.random.default_rng(5).normal(size=(9, 6))
    before, wanted = index.search(queries, 4), ExactIndex(points).search(queries, 4)

    class Torn:
        def __init__(self, graph: Any) -> None:
            self.graph = graph

        def knn_query(self, rows: np.ndarray, **options: Any) -> Any:
            if (rows == poor).all(axis=1).any():
                raise RuntimeError("Cannot return the results in a contiguous 2D array")
            return self.graph.knn_query(rows, **options)

    poor = index._scaled(queries)[6].astype(np.float32)
    monkeypatch.setattr(index, "_graph", Torn(index._graph))
    distances, numbers = index.search(queries, 4)
    others = np.arange(9) != 6
    assert same((distances[others], numbers[others]), (before[0][others], before[1][others]))
    assert same((distances[6:7], numbers[6:7]), (wanted[0][6:7], wanted[1][6:7]))


def test_without_the_package_the_error_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hnswlib", None)
    with pytest.raises(MissingDependency, match=r"detector\.index.*exact"):
        made(np.eye(3))
