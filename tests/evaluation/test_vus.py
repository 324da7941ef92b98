"""VUS-PR against a slow reading of its definition and against sums by hand."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stream_ad.errors import ConfigError, InputError
from stream_ad.evaluation import default_buffer, vus_pr

NAN = float("nan")
HALF = sqrt(0.5)


def anomalies_of(label: Sequence[int]) -> list[tuple[int, int]]:
    found, start = [], None
    for i, value in enumerate([*label, 0]):
        if value and start is None:
            start = i
        if not value and start is not None:
            found.append((start, i - 1))
            start = None
    return found


def slow_vus_pr(machines: list[tuple[list[int], list[float]]], max_buffer: int) -> float:
    """Follow the definition machine by machine, row by row, threshold by threshold."""
    pooled = sorted((s for _, scores in machines for s in scores), reverse=True)
    thresholds = [pooled[int(rank)] for rank in np.linspace(0, len(pooled) - 1, 250)]
    areas = []
    for length in range(max_buffer + 1):
        reach = length // 2
        area, recall_before = 0.0, 0.0
        for threshold in thresholds:
            hits = anomalous = near = predicted = 0.0
            buffered: list[bool] = []
            for label, score in machines:
                runs = anomalies_of(label)
                called = [s >= threshold for s in score]
                for i, y in enumerate(label):
                    gaps = [max(a - i, i - b) for a, b in runs]
                    decay = sum(sqrt(1 - d / length) for d in gaps if 1 <= d <= reach)
                    soft = 1.0 if y else min(decay, 1.0)
                    anomalous += y
                    predicted += called[i]
                    hits += soft * called[i]
                    near += soft * called[i] * (not y)
                end_before = None
                for a, b in runs:
                    seen = any(called[max(a - reach, 0) : b + reach + 1])
                    if end_before is not None and a - reach <= end_before + reach:
                        buffered[-1] = buffered[-1] or seen
                    else:
                        buffered.append(seen)
                    end_before = b
            existence = sum(buffered) / len(buffered)
            recall = min(hits / (anomalous + near / 2), 1.0) * existence
            area += (recall - recall_before) * hits / predicted
            recall_before = recall
        areas.append(area)
    return sum(areas) / len(areas)


rows = st.lists(st.tuples(st.sampled_from([0, 0, 0, 1]), st.integers(0, 6)), max_size=25)


@settings(max_examples=60, deadline=None)
@given(st.lists(rows, min_size=1, max_size=3), st.integers(0, 12))
def test_vus_pr_equals_its_definition(table: list[list[tuple[int, int]]], buffer: int) -> None:
    flat = [(m, label, score) for m, part in enumerate(table) for label, score in part]
    assume(len({label for _, label, _ in flat}) == 2)
    sequence, label, score = (list(column) for column in zip(*flat, strict=True))
    expected = slow_vus_pr(
        [([y for y, _ in part], [float(s) for _, s in part]) for part in table], buffer
    )
    assert vus_pr(label, score, buffer, sequence) == pytest.approx(expected, abs=1e-12)


def test_vus_pr_equals_its_definition_with_more_rows_than_thresholds() -> None:
    rng = np.random.default_rng(5)
    label = np.zeros(400, dtype=int)
    for start in (20, 33, 150, 390):
        label[start : start + 10] = 1
    score = rng.normal(size=400) + label
    expected = slow_vus_pr([(label.tolist(), score.tolist())], 11)
    assert vus_pr(label, score, 11) == pytest.approx(expected, abs=1e-12)


def test_a_constant_score_earns_the_mean_soft_label() -> None:
    expected = (1 / 5 + 1 / 5 + (1 + 2 * HALF) / 5) / 3
    assert vus_pr([0, 0, 1, 0, 0], [7.0] * 5, 2) == pytest.approx(expected)


def test_an_alarm_one_row_late_earns_what_the_hand_calculation_says() -> None:
    without_buffer = 1 / 4
    recall = HALF / (1 + HALF / 2)
    with_buffer = recall * HALF + (1 - recall) * (1 + 2 * HALF) / 4
    expected = (2 * without_buffer + with_buffer) / 3
    assert vus_pr([0, 0, 1, 0], [0, 0, 0, 1], 2) == pytest.approx(expected)


@pytest.mark.parametrize("buffer", [0, 1, 7, 100])
def test_marking_exactly_the_labelled_rows_is_perfect(buffer: int) -> None:
    label = [0] * 9 + [1] * 4 + [0] * 3 + [1] + [0] * 9
    assert vus_pr(label, label, buffer) == pytest.approx(1.0)


def test_the_nearer_the_false_alarm_the_higher_the_figure() -> None:
    label = np.zeros(60)
    label[30:34] = 1
    figures = []
    for distance in (1, 3, 6, 20):
        score = np.zeros(60)
        score[30 - distance] = 1.0
        figures.append(vus_pr(label, score, 16))
    assert figures == sorted(figures, reverse=True)  # type: ignore[type-var]
    assert len(set(figures)) == 4


def test_buffers_do_not_cross_machines() -> None:
    label, score = [0, 0, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0]
    joined = vus_pr(label, score, 4)
    apart = vus_pr(label, score, 4, list("aaabbb"))
    assert joined is not None
    assert apart is not None
    assert apart < joined
    assert apart == pytest.approx(slow_vus_pr([([0, 0, 1], [0, 0, 0]), ([0] * 3, [1, 0, 0])], 4))


def test_machines_may_interleave() -> None:
    rng = np.random.default_rng(8)
    machine = np.repeat(["a", "b"], 50)
    label = np.tile(np.r_[np.zeros(20), np.ones(10), np.zeros(20)], 2)
    score = rng.normal(size=100)
    woven = np.arange(100).reshape(2, 50).T.ravel()
    assert vus_pr(label[woven], score[woven], 9, machine[woven]) == vus_pr(label, score, 9, machine)


def test_rows_without_a_score_rank_lowest() -> None:
    label = [0, 1, 1, 0, 0, 0]
    assert vus_pr(label, [NAN, NAN, 4, 1, 2, NAN], 4) == vus_pr(label, [-9, -9, 4, 1, 2, -9], 4)


def test_unlabelled_rows_count_nowhere_but_keep_their_place() -> None:
    label = [0.0, 1.0, NAN, 0.0, 0.0]
    low, high = ([1, 2, unlabelled, 3, 0] for unlabelled in (-9, 9))
    assert vus_pr(label, low, 2) == vus_pr(label, high, 2)
    assert vus_pr(label, low, 2) != vus_pr([0, 1, 0, 0], [1, 2, 3, 0], 2)


@pytest.mark.parametrize("label", [[0, 0], [1, 1], [], [NAN, 0]])
def test_vus_pr_is_undefined_with_one_class(label: list[float]) -> None:
    assert vus_pr(label, np.zeros(len(label)), 2) is None


def test_the_default_buffer_is_the_median_event_in_rows() -> None:
    assert default_buffer([1, 0, 1, 1, 0, 0, 1, 1, 1, 1]) == 2
    assert default_buffer([1, 1, 1, 1], list("aabb")) == 2
    assert default_buffer([0, 0, NAN]) == 0
    assert default_buffer(np.ones(5000)) == 100
    label, score = [0, 1, 1, 1, 0, 0, 0, 0], [0, 0, 1, 2, 1, 3, 0, 0]
    assert vus_pr(label, score) == vus_pr(label, score, 3)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ConfigError, match="max_buffer = -1"):
        vus_pr([0, 1], [0, 1], -1)
    with pytest.raises(InputError, match="one per label"):
        vus_pr([0, 1], [0, 1, 2])
    with pytest.raises(InputError, match="label = 3"):
        vus_pr([0, 3], [0, 1])
