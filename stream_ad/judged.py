"""What became of the windows of a batch, column by column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stream_ad.alerting import Findings
from stream_ad.description import Describe
from stream_ad.windows import Windows


class Judged:
    """Closed windows, column by column; scores are read where ``scored``.

    Parameters
    ----------
    windows : Windows
        n of them.
    version : int64 array (n,)
        Index of the version in effect; -1 before any.
    muted : bool array (n,)
        Windows that are scored and count for nothing else.
    """

    def __init__(
        self, windows: Windows, version: NDArray[np.int64], muted: NDArray[np.bool_]
    ) -> None:
        n = len(windows)
        self.windows, self.version, self.muted = windows, version, muted
        self.missing, self.scored = np.ones(n), np.zeros(n, bool)
        self.raw, self.static_score, self.p = np.zeros(n), np.zeros(n), np.ones(n)
        self.offset, self.drifted = np.zeros(n), np.zeros(n, bool)
        self.findings: list[Findings | None] = [None] * n
        self.describe: dict[int, Describe] = {}  # windows that may describe an incident

    def mask(self, rows: NDArray[np.int64], clean: NDArray[np.float32]) -> None:
        """Put masked values in the place of those that came."""
        values = self.windows.values.copy()  # those that came are not ours
        values[rows] = clean
        self.windows = replace(self.windows, values=values)

    @property
    def score(self) -> NDArray[np.float64]:
        """The scores (n,) under the lines as they stood."""
        return self.static_score - self.offset

    def rows(self) -> Iterator[tuple[str, int, int, bool, bool, bool, float, float, float, float]]:
        """Yield machine, start, version; scored, muted, drifted; raw, static score, score, p."""
        return zip(
            self.windows.machine,
            self.windows.start.tolist(),
            self.version.tolist(),
            self.scored.tolist(),
            self.muted.tolist(),
            self.drifted.tolist(),
            self.raw.tolist(),
            self.static_score.tolist(),
            self.score.tolist(),
            self.p.tolist(),
            strict=True,
        )
