"""Which index scores is chosen by size, and trusted only after it was measured."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch

from stream_ad.detector import Detector, index_choice
from stream_ad.detector.bank import Bank
from stream_ad.detector.hnsw import HnswIndex
from stream_ad.detector.index import ExactIndex
from stream_ad.detector.index_choice import make_index
from stream_ad.errors import MissingDependency
from tests.detector.streams import few_steps, spec_of, waves, windows_of

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    few_steps(monkeypatch)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let banks of more than 50 latents count as large."""
    monkeypatch.setattr(index_choice, "LARGE", 50)


def normal(n: int = 3_000, dimensions: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dimensions))


def duplicated(share: float) -> np.ndarray:
    points = normal(2_000)
    points[: int(share * 2_000)] = points[0]
    return np.random.default_rng(1).permutation(points)


def clustered(n: int = 2_000) -> np.ndarray:
    """Return points of 40 states that come one after the other, far from each other."""
    rng = np.random.default_rng(2)
    return 1e3 * rng.normal(size=(40, 8))[np.arange(n) * 40 // n] + rng.normal(size=(n, 8))


POINTS = {
    "normal": normal(2_000),
    "half equal": duplicated(0.5),
    "nine in ten equal": duplicated(0.9),
    "99 % equal": duplicated(0.99),
    "clusters": clustered(),
    "a line": np.linspace(0, 1, 2_000)[:, None],
}


@pytest.mark.parametrize(("name", "k"), [*((name, 10) for name in POINTS), ("99 % equal", 1)])
def test_recall_holds_whatever_the_points(name: str, k: int) -> None:
    """Against brute force, on other queries than those that the check asked."""
    points, rng = POINTS[name], np.random.default_rng(9)
    index, checked = make_index("hnsw", points, CPU, k=k, seed=0)
    rows = points[rng.integers(len(points), size=200)]
    queries = rows + 0.01 * points.std(axis=0) * rng.normal(size=rows.shape)
    apart = np.linalg.norm(queries[:, None] - points[None], axis=2)
    limit = np.sort(apart, axis=1)[:, k - 1 : k]
    assert (index.search(queries, k)[0] <= limit * (1 + 1e-9)).mean() >= 0.97
    assert (index.name == "hnsw") == (checked["recall"] >= 0.98 and "beside" in checked)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_bank_of_a_history_full_of_duplicates_is_searched_by_the_graph(share: float) -> None:
    z = duplicated(share).astype(np.float32)
    bank = Bank.build(z, np.zeros(2_000), np.full(2_000, "m", object), np.arange(2_000), 10_000)
    assert bank.count.max() == int(share * 2_000)
    index, checked = make_index("hnsw", bank.z, CPU, k=10, seed=0)
    assert index.name == "hnsw"
    assert checked["recall"] >= 0.98


def test_a_graph_that_finds_too_little_gives_way_to_exact_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(index_choice, "GRAPHS", ((2, 2),))
    monkeypatch.setattr(index_choice, "EFFORTS", (1,))
    points = normal(4_000, 16)
    index, checked = make_index("hnsw", points, CPU, k=10, seed=0)
    assert isinstance(index, ExactIndex)
    assert checked["why"] == "hnsw finds less than 98% of the neighbours"
    assert 0 < checked["recall"] < 0.98


def test_a_graph_that_cannot_reach_many_points_gives_way_to_exact_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(HnswIndex, "look_again", lambda *_: False)
    index, checked = make_index("hnsw", normal(), CPU, k=10, seed=0)
    assert isinstance(index, ExactIndex)
    assert checked["why"] == "hnsw cannot reach all latents"


def test_effort_is_raised_until_the_recall_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_choice, "GRAPHS", ((3, 10), (16, 100)))
    monkeypatch.setattr(index_choice, "EFFORTS", (1, 4))
    index, checked = make_index("hnsw", normal(4_000, 12), CPU, k=10, seed=0)
    assert index.name == "hnsw"
    assert (checked["links"], checked["candidates"]) == (16, 60)


def test_auto_is_exact_up_to_ten_thousand() -> None:
    for n, name in ((10_000, "exact"), (10_001, "hnsw")):
        assert make_index("auto", normal(n, 2), CPU, k=10, seed=0)[0].name == name


def test_auto_without_the_package_is_exact_and_says_so(
    small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hnswlib", None)
    index, checked = make_index("auto", normal(60), CPU, k=5, seed=0)
    assert index.name == "exact"
    assert "not installed" in checked["why"]


def test_auto_on_another_device_is_exact(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(index_choice, "ExactIndex", lambda _, device: seen.append(device))
    _, checked = make_index("auto", normal(60), torch.device("cuda"), k=5, seed=0)
    assert [device.type for device in seen] == ["cuda"]
    assert checked["why"] == "on cuda exact search is quick"


@pytest.mark.parametrize("n", [1, 2, 11, 40])
def test_few_points_are_searched_too(n: int) -> None:
    points = normal(n)
    found = make_index("hnsw", points, CPU, k=10, seed=0)[0].search(points, 10)
    for ours, theirs in zip(found, ExactIndex(points).search(points, 10), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def fitted(index: str) -> Detector:
    spec = spec_of()
    return Detector(epochs=1, index=index).fit_windows(windows_of(waves(600), spec), spec)


def test_the_card_says_which_index_scores_and_what_was_measured(
    small: None, tmp_path: Path
) -> None:
    fitted("auto").save(tmp_path / "m")
    card = orjson.loads((tmp_path / "m" / "card.json").read_bytes())
    assert card["index"] == "hnsw"
    assert card["index_check"]["recall"] >= 0.98
    assert fitted("exact").card["index_check"] == {"why": "asked for"}


@pytest.mark.parametrize("now", [10, 10_000], ids=["still large", "no longer large"])
def test_a_loaded_detector_searches_with_the_index_of_its_card(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: int
) -> None:
    mine, x = fitted("auto"), waves(300, seed=4)
    mine.save(tmp_path / "m")
    monkeypatch.setattr(index_choice, "LARGE", now)
    loaded = Detector.load(tmp_path / "m")
    assert isinstance(loaded._fitted().scorer.index, HnswIndex)
    assert loaded.score(x).raw.tobytes() == mine.score(x).raw.tobytes()
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again" / "card.json").read_bytes() == (
        tmp_path / "m" / "card.json"
    ).read_bytes()


def test_a_windows_score_is_its_own_in_any_batch(small: None) -> None:
    mine, x = fitted("hnsw"), waves(300, seed=4)
    whole = mine.score(x).raw
    alone = np.concatenate([mine.score(x[i : i + 1]).raw for i in range(20)])
    assert alone.tobytes() == whole[:20].tobytes()
    assert mine.score(x[::-1]).raw.tobytes() == whole[::-1].tobytes()


def test_without_the_package_neither_fit_nor_load_pretend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted("hnsw").save(tmp_path / "m")
    monkeypatch.setitem(sys.modules, "hnswlib", None)
    monkeypatch.setattr("stream_ad.detector.detector.learn", pytest.fail)  # says so at once
    attempts: list[Callable[[], Detector]]
    attempts = [lambda: fitted("hnsw"), lambda: Detector.load(tmp_path / "m")]
    for attempt in attempts:
        with pytest.raises(MissingDependency, match=r"detector\.index.*exact"):
            attempt()
