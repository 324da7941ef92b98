"""Ranking and decisions against scikit-learn and against counting by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from stream_ad.errors import InputError
from stream_ad.evaluation import at_line, auc_pr, auc_roc

NAN = float("nan")
labelled_scores = st.lists(st.tuples(st.integers(0, 1), st.integers(-3, 3)), min_size=2)


@settings(deadline=None)
@given(labelled_scores)
def test_ranking_equals_scikit_learn_with_ties(rows: list[tuple[int, int]]) -> None:
    label, score = (np.array(column) for column in zip(*rows, strict=True))
    assume(0 < label.sum() < len(label))
    assert auc_roc(label, score) == pytest.approx(roc_auc_score(label, score), abs=1e-12)
    assert auc_pr(label, score) == pytest.approx(average_precision_score(label, score), abs=1e-12)


@settings(deadline=None)
@given(labelled_scores)
def test_auc_roc_is_the_share_of_pairs_in_order(rows: list[tuple[int, int]]) -> None:
    anomalous = [score for label, score in rows if label]
    normal = [score for label, score in rows if not label]
    assume(anomalous and normal)
    won = sum((a > b) + 0.5 * (a == b) for a in anomalous for b in normal)
    expected = won / (len(anomalous) * len(normal))
    assert auc_roc(*zip(*rows, strict=True)) == pytest.approx(expected)


@pytest.mark.parametrize("label", [[0, 0], [1, 1], [], [NAN, 1]])
def test_ranking_is_undefined_with_one_class(label: list[float]) -> None:
    assert auc_roc(label, np.zeros(len(label))) is None
    assert auc_pr(label, np.zeros(len(label))) is None


def test_infinite_and_missing_scores_keep_their_places() -> None:
    label = [1, 0, 0, 1, 0]
    score = [np.inf, 5.0, -7.0, NAN, NAN]
    stand_in = [9.0, 5.0, -7.0, -8.0, -8.0]
    assert auc_roc(label, score) == pytest.approx(roc_auc_score(label, stand_in))
    assert auc_pr(label, score) == pytest.approx(average_precision_score(label, stand_in))


def test_unlabelled_rows_do_not_count() -> None:
    label, score = [0, NAN, 1, NAN, 1], [0.3, 9.0, 0.2, -9.0, 0.8]
    assert auc_roc(label, score) == auc_roc([0, 1, 1], [0.3, 0.2, 0.8]) == 0.5
    assert auc_pr(label, score) == auc_pr([0, 1, 1], [0.3, 0.2, 0.8])
    alarm = [True, True, False, True, True]
    assert at_line(label, alarm) == at_line([0, 1, 1], [True, False, True])


def test_order_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    label, score = rng.integers(0, 2, 200), rng.integers(0, 9, 200)
    shuffle = rng.permutation(200)
    assert auc_roc(label, score) == auc_roc(label[shuffle], score[shuffle])
    assert auc_pr(label, score) == auc_pr(label[shuffle], score[shuffle])


def test_at_line_counts_by_hand() -> None:
    figures = at_line([1, 1, 1, 0, 0, 0, 0, 0], [1, 1, 0, 1, 0, 0, 0, 0])
    assert figures.to_dict() == pytest.approx(
        {
            "f1": 2 / 3,
            "precision": 2 / 3,
            "recall": 2 / 3,
            "false_alarm_rate": 1 / 5,
            "missed_alarm_rate": 1 / 3,
        }
    )


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.booleans()), min_size=1))
def test_at_line_equals_scikit_learn(rows: list[tuple[int, bool]]) -> None:
    label, alarm = (np.array(column) for column in zip(*rows, strict=True))
    figures = at_line(label, alarm)
    if label.any():
        assert figures.f1 == pytest.approx(f1_score(label, alarm, zero_division=0))
        assert figures.recall == pytest.approx(recall_score(label, alarm))
        assert figures.missed_alarm_rate == pytest.approx(1 - recall_score(label, alarm))
    if alarm.any():
        assert figures.precision == pytest.approx(precision_score(label, alarm))
    if not label.all():
        assert figures.false_alarm_rate == pytest.approx(np.mean(alarm[label == 0]))


def test_at_line_says_none_where_the_rows_cannot_tell() -> None:
    quiet = at_line([0, 0], [False, False])
    assert (quiet.f1, quiet.precision, quiet.recall, quiet.missed_alarm_rate) == (None,) * 4
    assert quiet.false_alarm_rate == 0.0
    missed = at_line([1, 1], [False, False])
    assert (missed.f1, missed.precision, missed.recall) == (0.0, None, 0.0)
    assert missed.false_alarm_rate is None
    assert json.loads(json.dumps(missed.to_dict()))["missed_alarm_rate"] == 1.0


@pytest.mark.parametrize(
    ("label", "values", "message"),
    [
        ([0, 2], [0, 1], "label = 2"),
        (["0", "pump"], [0, 1], "pump"),
        ([[0, 1]], [0, 1], "one label per row"),
        ([0, 1], [0, 1, 1], "one per label"),
    ],
)
def test_bad_labels_and_lengths_are_named(
    label: list[object], values: list[int], message: str
) -> None:
    for metric in (auc_roc, auc_pr, at_line):
        with pytest.raises(InputError, match=message):
            metric(label, values)  # type: ignore[arg-type]
