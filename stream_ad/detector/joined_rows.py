"""How lines of evidence are joined where a window is a single row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream_ad.detector.ares import Floats
from stream_ad.detector.joined import Joined
from stream_ad.detector.small_banks import LINES

RANGES = 2  # how much the second line counts, beside the first


class JoinedRows(Joined):
    """`Joined` for windows of one slot: the two lines of `SmallBanks`, the second twice.

    Rows of a table have no course. Both lines are distances to the same kind of banks and
    differ in what a unit of a sensor is, so their mean is steadier than either; both are in
    `TailUnits`, as there. Ranges count twice: they rank better where kinds of normal are many,
    scaled values where a sensor's tail is the anomaly.

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
    >>> raw = joined.score(z[:3], np.ones(3), np.array([[0.5, 9], [9, 0.5], [0.5, 0.5]]))
    >>> bool(raw[0] > raw[1] > raw[2]), joined.channels
    (True, ('scaled', 'ranges'))
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
        """Return the weighted mean of the lines, each in its units."""
        units = self._in_units(evidence)
        return (units[:, 0] + RANGES * units[:, 1]) / (1 + RANGES)
