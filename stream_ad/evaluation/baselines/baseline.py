"""A baseline in the detector's place: the same pipeline scores it, alarms and all."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stream_ad.detector.explanation import Explanation, at_slot, farthest, shares
from stream_ad.detector.line import AlarmLine
from stream_ad.detector.scaling import Scaler
from stream_ad.detector.scores import Scores
from stream_ad.evaluation.baselines.linear import Pca

Floats = NDArray[np.float64]


class RowScorer(Protocol):
    """What a baseline is at heart: rows in, raw scores out; scoring changes nothing."""

    def score(self, X: NDArray[np.float32]) -> Floats:
        """Return raw scores (n,) of rows (n, d); higher = more anomalous."""
        ...


class Baseline:
    """A fitted baseline, a `stream_ad.versions.Judge`.

    A missing cell reads as the sensor's median. That a window scores the same bits in any
    batch is promised for the detector only, not here.

    Parameters
    ----------
    name : str
        Its one evidence channel is called so.
    scaler : Scaler
    scorer : RowScorer
        Over scaled, flattened windows of the known sensors.

    Attributes
    ----------
    line_ : AlarmLine
        Set by `fit_baseline`.
    """

    line_: AlarmLine

    def __init__(self, name: str, scaler: Scaler, scorer: RowScorer) -> None:
        self.channels = (name,)
        self.known = scaler.known
        self.scaler = scaler
        self._scorer = scorer

    def score(
        self,
        values: NDArray[np.float32],
        start: NDArray[np.int64] | None = None,  # noqa: ARG002 - it knows no hours
        machine: NDArray[np.object_] | None = None,  # noqa: ARG002 - nor machines
    ) -> Scores:
        """Score windows (n, T, C) in sensor units, NaN = missing; no part per sensor."""
        raw = self._scorer.score(rows_of(self.scaler, values))
        n, sensors = len(values), values.shape[2]
        return Scores(raw, raw, np.zeros((n, sensors)))

    def explain(
        self,
        X: NDArray[np.float32],
        start: NDArray[np.int64] | None = None,  # noqa: ARG002 - it knows no hours
        machine: NDArray[np.object_] | None = None,  # noqa: ARG002 - nor machines
    ) -> Explanation:
        """Say per sensor what PCA did not rebuild; the others have nothing to say.

        Their shares are 0 and their expected values NaN. None names neighbours.
        """
        n = len(X)
        scaled, rebuilt = self.scaler.scale(X), self._rebuilt(X)
        slot, seen = farthest(scaled, rebuilt)
        window = self.scaler.expected(rebuilt)
        return Explanation(
            share=shares(np.nansum((scaled - rebuilt).astype(np.float64) ** 2, axis=1)),
            expected=at_slot(window, slot, seen),
            actual=at_slot(X.astype(np.float64), slot, seen),
            expected_window=window,
            channels=self.channels,
            evidence=np.ones((n, 1)),
            neighbour_machine=np.empty((n, 0), object),
            neighbour_start=np.empty((n, 0), np.int64),
            neighbour_distance=np.empty((n, 0)),
        )

    def _rebuilt(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the reconstruction (n, T, C) in scaled units, NaN where there is none."""
        rebuilt = np.full_like(values, np.nan)
        if isinstance(self._scorer, Pca):
            rows = rows_of(self.scaler, values)
            cells = rebuilt[:, :, self.known].shape
            rebuilt[:, :, self.known] = (rows - self._scorer.residual(rows)).reshape(cells)
        return rebuilt


def rows_of(scaler: Scaler, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return windows (n, T, C) scaled, flattened and without gaps: missing = 0 = the median."""
    cells = scaler.scale(values)[:, :, scaler.known]
    return np.nan_to_num(cells).reshape(len(cells), cells.shape[1] * cells.shape[2])
