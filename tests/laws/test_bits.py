"""The law of bits: a window's numbers do not depend on what was scored beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from stream_ad.detector import Detector
from stream_ad.detector.blocks import BLOCK
from stream_ad.detector.forward import forward
from stream_ad.detector.models import MODELS
from stream_ad.detector.networks import NETWORKS
from stream_ad.detector.scorers import SCORERS
from stream_ad.windows.batches import Windows
from tests.detector.streams import few_steps, spec_of, waves

MOST = 300  # every batch size up to here
ROWS = max(MOST, BLOCK + 44)
EDGES = {*range(1, 8), BLOCK - 1, BLOCK, BLOCK + 1, MOST, ROWS}
SHAPES = [(64, 8), (32, 38), (7, 3), (1, 5)]
KINDS = [("ae", network) for network in NETWORKS] + [(m, "dense") for m in MODELS if m != "ae"]
EVERY = [(*kind, scorer) for kind in KINDS for scorer in SCORERS if scorer != "error"]
DAY = 86_400 * 10**9

Judge = Callable[[NDArray[np.float32]], dict[str, NDArray[np.generic]]]


def numbers_of(detector: Detector) -> Judge:
    """Return everything that scoring and explaining say, one row per window."""

    def judge(x: NDArray[np.float32]) -> dict[str, NDArray[np.generic]]:
        parts = detector._fitted()
        s, e = detector.score(x), detector.explain(x)
        told = {
            name: getattr(e, name)
            for name in type(e).__slots__
            if name not in ("channels", "neighbour_machine")
        }
        z = forward(parts.model, parts.scaler, x).z
        if parts.views is not None:
            told |= dict(zip(("views", "parts"), parts.views(parts.scaler.scale(x)), strict=True))
        return told | {"raw": s.raw, "error": s.error, "sensor_error": s.sensor_error, "z": z}

    return judge


def some_sizes(seed: int) -> list[int]:
    """Return the sizes at which something could change, and a few others."""
    others = np.random.default_rng(seed).integers(8, MOST, size=6).tolist()
    return sorted(EDGES | set(others))


def batches(sizes: Iterable[int]) -> Iterator[NDArray[np.int64]]:
    """Yield row numbers in batches of these sizes, in order and out of order."""
    rng = np.random.default_rng(0)
    for size in sizes:
        first = int(rng.integers(ROWS - size + 1))
        yield np.arange(first, first + size)
        yield rng.permutation(ROWS)[:size]


def check_bits(judge: Judge, x: NDArray[np.float32], sizes: Iterable[int]) -> None:
    """Compare the bytes of every batch with those of the whole."""
    whole = judge(x)
    for rows in batches(sizes):
        for name, part in judge(x[rows]).items():
            assert part.tobytes() == whole[name][rows].tobytes(), f"{name} of {len(rows)} rows"


def stream(length: int, sensors: int) -> NDArray[np.float32]:
    x = waves(ROWS, length, sensors)
    rng = np.random.default_rng(1)
    x[rng.random(x.shape) < 0.05] = np.nan
    x[:, 0, 0] = 1.0  # no window without any value
    x[rng.random(x.shape) < 0.001] = 1e30
    return x


@pytest.mark.parametrize(("model", "network", "scorer"), EVERY)
@pytest.mark.parametrize(("length", "sensors"), SHAPES)
def test_any_batch_in_any_order_gives_the_same_bytes(
    model: str,
    network: str,
    scorer: str,
    length: int,
    sensors: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few_steps(monkeypatch)
    x = stream(length, sensors)
    judge = numbers_of(Detector(model, scorer, network=network, epochs=1).fit(x))
    check_bits(judge, x, some_sizes(seed=length))


@pytest.mark.parametrize(("model", "network", "scorer"), EVERY)
def test_every_batch_size_gives_the_same_bytes(
    model: str, network: str, scorer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_steps(monkeypatch)
    x = stream(8, 3)
    detector = Detector(model, scorer, network=network, epochs=1).fit(x)
    check_bits(lambda part: {"raw": detector.score(part).raw}, x, range(1, MOST + 1))


def test_a_course_of_the_day_changes_no_bytes() -> None:
    spec = spec_of(8, 3, period_s=600)
    start = np.arange(ROWS) * spec.window_ns
    noon = np.sin(2 * np.pi * (start[:, None] + np.arange(8) * spec.period_ns) / DAY)
    x = (waves(ROWS) + 5 * noon[..., None]).astype(np.float32)
    windows = Windows(np.full(ROWS, "m", object), start, x, np.arange(ROWS))
    detector = Detector("linear", "joined").fit_windows(windows, spec)
    assert detector._fitted().scaler.daily is not None
    whole, told = detector.score(x, start).raw, detector.explain(x, start)
    for rows in batches(some_sizes(seed=1)):
        assert detector.score(x[rows], start[rows]).raw.tobytes() == whole[rows].tobytes()
        part = detector.explain(x[rows], start[rows])
        for name in ("share", "expected_window", "evidence"):
            assert getattr(part, name).tobytes() == getattr(told, name)[rows].tobytes(), name


def test_a_thousand_points_in_the_bank_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search takes its short cut through groups only in larger banks."""
    few_steps(monkeypatch)
    x = waves(2000, 4, 2)
    detector = Detector(epochs=1).fit(x)
    assert len(detector._fitted().scorer.bank) > 1000
    check_bits(numbers_of(detector), x[:ROWS], some_sizes(seed=0))


def test_memory_layout_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    few_steps(monkeypatch)
    x = stream(16, 3)
    detector = Detector(epochs=1).fit(x)
    wanted = detector.score(x).raw.tobytes()
    assert detector.score(np.asfortranarray(x)).raw.tobytes() == wanted
    shifted = np.empty(x.size + 1, np.float32)[1:].reshape(x.shape)  # another alignment
    shifted[:] = x
    assert detector.score(shifted).raw.tobytes() == wanted
    threads = torch.get_num_threads()
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            assert detector.score(x).raw.tobytes() == wanted
    finally:
        torch.set_num_threads(threads)


def test_the_law_catches_batches_of_their_own_size() -> None:
    x = waves(ROWS, 64, 8)
    weights = torch.randn(512, 64, generator=torch.Generator().manual_seed(0))

    def naive(part: NDArray[np.float32]) -> dict[str, NDArray[np.generic]]:
        return {"z": (torch.from_numpy(part).flatten(1) @ weights).numpy()}

    with pytest.raises(AssertionError, match="z of"):
        check_bits(naive, x, EDGES)


def test_the_law_catches_a_score_relative_to_its_batch() -> None:
    def relative(part: NDArray[np.float32]) -> dict[str, NDArray[np.generic]]:
        level = part.mean(axis=(1, 2))
        return {"raw": level - level.mean()}

    with pytest.raises(AssertionError, match="raw of"):
        check_bits(relative, waves(ROWS), EDGES)
