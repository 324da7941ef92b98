"""What is ordinary on a machine has moved, or it has not: whatever the batches."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from river.drift import PageHinkley

from stream_ad.training.drift_watch import (
    APART_NS,
    BLOCK,
    DELTA,
    MOST,
    THRESHOLD,
    ChangeTest,
    DriftWatch,
)
from stream_ad.windows import Windows

Floats = NDArray[np.float64]


def windows_of(machine: list[str] | str, n: int, every_ns: int = APART_NS) -> Windows:
    """Return n windows of each machine, side by side."""
    names = [machine] if isinstance(machine, str) else machine
    start = np.arange(n).repeat(len(names)) * every_ns
    values = np.zeros((len(start), 1, 1), np.float32)
    return Windows(np.array(names * n, object), start, values, np.arange(len(start)))


def normal(n: int, seed: int = 0) -> Floats:
    return 0.3 * np.random.default_rng(seed).normal(size=n)


def updates(watch: DriftWatch, windows: Windows, score: Floats, cuts: range) -> list[str | None]:
    """Return what was said after each piece between two cuts."""
    pieces = (slice(first, last) for first, last in pairwise(cuts))
    return [watch.update(windows.take(piece), score[piece]) for piece in pieces]


def told(watch: DriftWatch, windows: Windows, score: Floats, batch: int = 50) -> list[int]:
    """Return after which batch something was said."""
    return [
        first // batch
        for first in range(0, len(score), batch)
        if watch.update(windows.take(slice(first, first + batch)), score[first : first + batch])
    ]


def test_what_stands_still_is_left_alone() -> None:
    n = 30 * 24 * BLOCK  # as many as 30 days have
    for seed in range(5):
        assert told(DriftWatch({}), windows_of("m", n), normal(n, seed)) == []


def test_a_rise_is_told_once_and_another_one_again() -> None:
    n = 200 * BLOCK
    score = normal(3 * n) + np.repeat([0.0, 0.8, 1.6], n)
    watch = DriftWatch({})
    whole = windows_of("m", 3 * n)
    said = [
        watch.update(whole.take(slice(i * n, i * n + n)), score[i * n : i * n + n])
        for i in range(3)
    ]
    assert said[0] is None
    assert said[1] is not None
    assert said[1].startswith("what is ordinary on m has moved from 0.0")
    assert said[2] is not None
    still = windows_of("m", n)
    later = Windows(still.machine, still.start + 3 * n * APART_NS, still.values, still.offset)
    assert watch.update(later, normal(n) + 1.6) is None


def test_the_moment_is_that_of_river() -> None:
    """Fed with the same medians, clipped at 0."""
    score = normal(400 * BLOCK) + np.repeat([0.0, 0.5], 200 * BLOCK)
    medians = np.maximum(0, np.median(score.reshape(-1, BLOCK), axis=1))
    test: ChangeTest = PageHinkley(min_instances=8, delta=DELTA, threshold=THRESHOLD, mode="up")
    expected = None
    for number, median in enumerate(medians.tolist()):
        test.update(median)
        if test.drift_detected:
            expected = number
            break
    assert expected is not None
    found = told(DriftWatch({}), windows_of("m", len(score)), score, batch=BLOCK)
    assert found[0] == expected


def test_a_fall_is_no_drift_nor_the_way_back() -> None:
    n = 100 * BLOCK
    score = normal(3 * n) + np.repeat([0.0, -2.0, 0.0], n)
    assert told(DriftWatch({}), windows_of("m", 3 * n), score) == []


def test_one_machine_of_twenty_is_heard() -> None:
    names = [f"m{i:02d}" for i in range(20)]
    n = 300 * BLOCK
    windows = windows_of(names, n)
    score = normal(len(windows))
    score[(windows.machine == "m07") & (windows.start > n // 2 * APART_NS)] += 0.8
    said = DriftWatch({}).update(windows, score)
    assert said is not None
    assert said.startswith("what is ordinary on m07 has moved")


def test_windows_that_follow_quickly_say_no_more_than_an_hour_does() -> None:
    """Seven windows in eight are passed over; the rest is as if they were not there."""
    n = 100 * BLOCK
    quick = windows_of("m", 8 * n, APART_NS // 8)
    score = normal(8 * n)
    score[::8] = normal(n, 1) + np.repeat([0.0, 0.8], n // 2)
    one, other = DriftWatch({}), DriftWatch({})
    assert told(one, quick, score, 8 * BLOCK) == told(other, windows_of("m", n), score[::8], BLOCK)
    assert one.record["machines"]["m"]["medians"] == other.record["machines"]["m"]["medians"]


def test_what_is_not_finite_is_passed_over() -> None:
    n = 40 * BLOCK
    score = normal(n) + np.repeat([0.0, 0.8], n // 2)
    holes = np.arange(n) % 7 == 3
    torn = np.where(holes, np.nan, score)
    whole, windows = DriftWatch({}), windows_of("m", n)
    told(whole, windows.take(~holes), score[~holes])
    watch = DriftWatch({})
    told(watch, windows, torn)
    assert watch.record == whole.record


def test_another_version_begins_anew() -> None:
    watch = DriftWatch({})
    watch.begin(1)
    told(watch, windows_of("m", 20 * BLOCK), normal(20 * BLOCK))
    kept = json.dumps(watch.record)
    watch.begin(1)
    assert json.dumps(watch.record) == kept
    watch.begin(2)
    assert watch.record == {"version": 2, "machines": {}}


def test_its_record_stays_small() -> None:
    n = (2 * MOST + 10) * BLOCK
    watch = DriftWatch({})
    told(watch, windows_of("m", n), normal(n), batch=1000)
    assert len(watch.record["machines"]["m"]["medians"]) == MOST + 10
    assert len(json.dumps(watch.record)) < 2 * MOST * 25


@pytest.mark.parametrize("batch", [1, 13, 999])
def test_batches_do_not_matter(batch: int) -> None:
    names, n = ["a", "b"], 60 * BLOCK
    windows = windows_of(names, n)
    score = normal(2 * n) + np.where(windows.start > n // 2 * APART_NS, 0.7, 0.0)
    whole, parts = DriftWatch({}), DriftWatch({})
    whole.update(windows, score)
    told(parts, windows, score, batch)
    assert parts.record == whole.record


@given(
    cuts=st.lists(st.integers(0, 150 * BLOCK), max_size=4).map(sorted),
    jumps=st.lists(st.tuples(st.integers(0, 150), st.floats(-1, 2)), max_size=3),
    seed=st.integers(0, 99),
)
@settings(max_examples=25)
def test_it_goes_on_from_its_record(
    cuts: list[int], jumps: list[tuple[int, float]], seed: int
) -> None:
    """Written down and read back at any window, it says the same of the same windows."""
    n = 150 * BLOCK
    windows, score = windows_of("m", n), normal(n, seed)
    for block, height in jumps:
        score[block * BLOCK :] += height
    whole = DriftWatch({})
    expected = [
        whole.update(windows.take(slice(a, a + BLOCK)), score[a : a + BLOCK])
        for a in range(0, n, BLOCK)
    ]
    record: dict[str, Any] = {}
    said: list[str | None] = []
    for first, last in zip([0, *cuts], [*cuts, n], strict=True):
        watch = DriftWatch(json.loads(json.dumps(record)))
        said += [
            watch.update(windows.take(slice(a, a + 1)), score[a : a + 1])
            for a in range(first, last)
        ]
        record = watch.record
    assert [one for one in said if one] == [one for one in expected if one]
    assert record == whole.record


def test_a_record_that_was_cut_goes_on_the_same() -> None:
    """Once the oldest medians are forgotten, whoever runs on has forgotten them as well."""
    n = (2 * MOST + 30) * BLOCK
    score = normal(n) + np.repeat([0.0, 0.6], [n - 20 * BLOCK, 20 * BLOCK])
    windows, cut = windows_of("m", n), (2 * MOST + 5) * BLOCK
    whole, first = DriftWatch({}), DriftWatch({})
    said = told(whole, windows, score, BLOCK)
    told(first, windows.take(slice(cut)), score[:cut], BLOCK)
    second = DriftWatch(json.loads(json.dumps(first.record)))
    again = told(second, windows.take(slice(cut, n)), score[cut:], BLOCK)
    assert said
    assert [cut // BLOCK + one for one in again] == said
