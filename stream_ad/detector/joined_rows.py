"""How lines of evidence are joined where a window is a single row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream_ad.detector.ares import Floats
from stream_ad.detector.joined import Joined
from stream_ad.detector.small_banks import LINES


class JoinedRows(Joined):
    """`Joined` for windows of one slot: the larger of the two lines of `SmallBanks`.

    Rows of a table have no course; each line is blind where the other one sees: the coarse
    one between several kinds of normal, the fine one where anomalies were learned from. An
    average would halve what only one of them can tell. Both are in `TailUnits`, as there.

    Works badly where normal windows to calibrate with are few.

    Examples
    --------
    >>> from stream_ad.detector.bank import Bank
    >>> from stream_ad.detector.index import ExactIndex
    >>> rng = np.random.default_rng(0)
    >>> z = rng.normal(size=(99, 2)).astype(np.float32)
    >>> bank = Bank.build(z, np.ones(99), np.array(["m"] * 99, object), np.arange(99), most=99)
    >>> joined = JoinedRows(bank, ExactIndex(bank.z), k=3, alpha=0.5)
    >>> joined.calibrate(rng.random(size=(99, 2)))
    >>> raw = joined.score(z[:2], np.ones(2), np.array([[0.5, 9], [0.5, 0.5]]))
    >>> bool(raw[0] > 2 > raw[1]), joined.channels
    (True, ('coarse', 'fine'))
    """

    channels = LINES

    def evidence(
        self,
        z: NDArray[np.float32],  # noqa: ARG002 - the banks look at the rows themselves
        error: Floats,  # noqa: ARG002
        views: Floats | None = None,
    ) -> Floats:
        """Return the lines of the banks; see `Scorer.evidence`."""
        assert views is not None, "asked for by `needs_views`"
        return views

    def join(self, evidence: Floats) -> Floats:
        """Return the larger of the lines, each in its units."""
        raw: Floats = self._in_units(evidence).max(axis=1)
        return raw
