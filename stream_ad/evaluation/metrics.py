"""How well row scores rank, and how well row alarms decide.

Rows without a label (NaN) are left out everywhere. Rows without a score (NaN, no window had
ended yet) stay in: they take the lowest rank and never alarm, so an anomaly that nothing
scored counts as missed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream_ad.errors import InputError
from stream_ad.evaluation.rows import row_labels, row_scores


def auc_roc(label: ArrayLike, score: ArrayLike) -> float | None:
    """Area under the ROC curve: how often an anomalous row outranks a normal one.

    Works badly when anomalies are rare: false alarms that swamp a technician barely show.
    Read :func:`auc_pr` beside it.

    Parameters
    ----------
    label : (n,) array of 0, 1 or NaN
        1 = anomalous, NaN = unlabelled.
    score : (n,) float array
        Higher = more anomalous; ties count one half; NaN ranks lowest.

    Returns
    -------
    float in [0, 1], or None
        None when only one class is present.

    Raises
    ------
    InputError
        A label other than 0, 1, NaN; lengths that differ.

    Examples
    --------
    >>> auc_roc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    curve = _counts_above(label, score)
    if curve is None:
        return None
    hits, false = curve
    twice = np.sum(np.diff(false) * (hits[1:] + hits[:-1]))
    return float(twice / (2 * hits[-1] * false[-1]))


def auc_pr(label: ArrayLike, score: ArrayLike) -> float | None:
    """Average precision: the area under the precision-recall curve, by steps.

    Each distinct score is one threshold, and recall gained there counts with the precision
    there; nothing is interpolated, which would flatter tied scores. A score that says nothing
    gets the share of anomalous rows, so figures of recordings with other shares do not compare.

    Parameters
    ----------
    label : (n,) array of 0, 1 or NaN
        1 = anomalous, NaN = unlabelled.
    score : (n,) float array
        Higher = more anomalous; NaN ranks lowest.

    Returns
    -------
    float in (0, 1], or None
        None when only one class is present.

    Raises
    ------
    InputError
        A label other than 0, 1, NaN; lengths that differ.

    Examples
    --------
    >>> round(auc_pr([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    curve = _counts_above(label, score)
    if curve is None:
        return None
    hits, false = curve
    precision = hits[1:] / (hits[1:] + false[1:])
    return float(np.sum(np.diff(hits) * precision) / hits[-1])


def _counts_above(
    label: ArrayLike, score: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Anomalous and normal rows at or above each distinct score, from none to all."""
    y = row_labels(label)
    x = row_scores(score, len(y))
    y, x = y[~np.isnan(y)], x[~np.isnan(y)]
    positive = int(y.sum())
    if positive in (0, len(y)):
        return None
    order = np.argsort(-x)
    y, x = y[order].astype(np.int64), x[order]
    last = np.append(np.flatnonzero(x[1:] != x[:-1]), len(x) - 1)
    hits = np.concatenate([[0], np.cumsum(y)[last]])
    return hits, np.concatenate([[0], last + 1]) - hits


@dataclass(frozen=True)
class AtLine:
    """What the alarms did, by row; None where the rows cannot say.

    Parameters
    ----------
    f1 : float or None
        Harmonic mean of precision and recall; None without anomalous rows.
    precision : float or None
        Share of the rows in alarm that are anomalous; None without alarms.
    recall : float or None
        Share of the anomalous rows that are in alarm; None without anomalous rows.
    false_alarm_rate : float or None
        Share of the normal rows that are in alarm; None without normal rows.
    missed_alarm_rate : float or None
        Share of the anomalous rows that are not in alarm; None without anomalous rows.
    """

    f1: float | None
    precision: float | None
    recall: float | None
    false_alarm_rate: float | None
    missed_alarm_rate: float | None

    def to_dict(self) -> dict[str, float | None]:
        """Return the figures as JSON values."""
        return asdict(self)


def at_line(label: ArrayLike, alarm: ArrayLike) -> AtLine:
    """Judge the alarms row by row, as they were raised, without moving them to fit the labels.

    Works badly where one long event holds most anomalous rows: it decides every figure. The
    event metrics count each event once.

    Parameters
    ----------
    label : (n,) array of 0, 1 or NaN
        1 = anomalous, NaN = unlabelled.
    alarm : (n,) bool array
        Whether the row is in alarm.

    Raises
    ------
    InputError
        A label other than 0, 1, NaN; lengths that differ.

    Examples
    --------
    >>> at_line([0, 0, 1, 1], [False, True, True, True]).to_dict()["false_alarm_rate"]
    0.5
    """
    y = row_labels(label)
    raised = np.asarray(alarm, dtype=np.bool_)
    if raised.shape != y.shape:
        raise InputError(f"alarms have shape {raised.shape}: allowed is {y.shape}, one per label")
    hits = int(np.sum(raised & (y == 1)))
    false = int(np.sum(raised & (y == 0)))
    positive, negative = int(np.sum(y == 1)), int(np.sum(y == 0))
    return AtLine(
        f1=_share(2 * hits, positive + hits + false) if positive else None,
        precision=_share(hits, hits + false),
        recall=_share(hits, positive),
        false_alarm_rate=_share(false, negative),
        missed_alarm_rate=_share(positive - hits, positive),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
