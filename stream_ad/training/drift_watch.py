"""Whether what is ordinary on a machine has moved: a reason to learn anew.

Page and Hinkley's test of river watches each machine, over medians of blocks of its static
scores. It was chosen by measurement: see docs/benchmarks/drift_trigger.md.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stream_ad.windows import Windows
from stream_ad.windows.spec import NS

BLOCK = 16  # windows; the median of so many does not mind a fault of a few
APART_NS = 225 * NS  # so that a block lasts an hour: what comes and goes faster is no drift
MOST = 256  # medians that are remembered, and at most twice as many
DELTA, THRESHOLD = 0.1, 4.0  # of the test, in units of static_score


class ChangeTest(Protocol):
    """What is needed of a drift detector of river."""

    @property
    def drift_detected(self) -> bool:
        """Whether the last value completed a drift."""
        ...

    def update(self, x: float) -> Any:
        """Take in the next value."""
        ...


class DriftWatch:
    """Watches the static scores of all machines of a group, each for itself.

    Parameters
    ----------
    record : dict
        What is known so far, as JSON values: changed in place, for a checkpoint. The tests of
        river are built anew from it.

    Attributes
    ----------
    record : dict
        ``version``: whose scores these are; ``machines``: to each its ``last`` window counted,
        the ``block`` begun and the ``medians`` since it last drifted.

    Notes
    -----
    Quieter than normal is no drift. What a machine does depends on its own windows alone, not on
    batches nor on other machines. Works badly for what moves slower than the memory of a few
    hundred hours can tell, and for a rhythm that the history did not show.

    References
    ----------
    E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954.

    Examples
    --------
    >>> from stream_ad.windows import Windows
    >>> n, hour = 600, 3600 * NS
    >>> windows = Windows(np.full(n, "m", object), np.arange(n) * hour // 16,
    ...                   np.zeros((n, 1, 1), np.float32), np.arange(n))
    >>> watch = DriftWatch({})
    >>> watch.update(windows, np.repeat([0.0, 0.5], [300, 300]))
    'what is ordinary on m has moved from 0.00 to 0.50'
    """

    def __init__(self, record: dict[str, Any]) -> None:
        record.setdefault("version", None)
        record.setdefault("machines", {})
        self.record = record
        self._tests: dict[str, ChangeTest] = {}

    def begin(self, version: int) -> None:
        """Go on with the scores of another version, which has another normal."""
        if self.record["version"] != version:
            self.record |= {"version": version, "machines": {}}
            self._tests = {}

    def update(self, windows: Windows, static_score: NDArray[np.float64]) -> str | None:
        """Take in scored windows, those of a machine in order of start.

        Parameters
        ----------
        windows : Windows
        static_score : float64 array (n,)
            What is not finite is passed over.

        Returns
        -------
        str or None
            Says what moved, if something did: of several machines, of the first.
        """
        said = None
        rows = zip(windows.machine, windows.start.tolist(), static_score.tolist(), strict=True)
        finite = np.isfinite(static_score)
        for (machine, start, score), there in zip(rows, finite.tolist(), strict=True):
            if there:
                told = self._count(machine, start, score)
                said = said or told
        return said

    def _count(self, machine: str, start: int, score: float) -> str | None:
        empty: dict[str, Any] = {"last": None, "block": [], "medians": []}
        own = self.record["machines"].setdefault(machine, empty)
        if own["last"] is not None and start - own["last"] < APART_NS:
            return None
        own["last"] = start
        own["block"].append(score)
        if len(own["block"]) < BLOCK:
            return None
        median = max(0.0, float(np.median(own["block"])))
        own["block"] = []
        return self._test(machine, own, median)

    def _test(self, machine: str, own: dict[str, Any], median: float) -> str | None:
        test = self._tests.get(machine)
        if test is None:
            test = self._tests[machine] = change_test(own["medians"])
        test.update(median)
        own["medians"].append(median)
        said = None
        if test.drift_detected:
            before, after = _ends(own["medians"])
            said = f"what is ordinary on {machine} has moved from {before:.2f} to {after:.2f}"
            own["medians"] = []
            del self._tests[machine]
        elif len(own["medians"]) == 2 * MOST:
            own["medians"] = own["medians"][MOST:]
            del self._tests[machine]
        return said


def change_test(values: list[float]) -> ChangeTest:
    """Return a test that has seen some values; only a rise counts."""
    from river.drift import PageHinkley

    test: ChangeTest = PageHinkley(min_instances=8, delta=DELTA, threshold=THRESHOLD, mode="up")
    for value in values:
        test.update(value)
    return test


def _ends(medians: list[float]) -> tuple[float, float]:
    """Return what was ordinary in the first half and at the end."""
    return float(np.median(medians[: (len(medians) + 1) // 2])), float(np.median(medians[-4:]))
