"""Which detector scores which window: the newest whose time has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from stream_ad.detector.explanation import Explanation
    from stream_ad.detector.line import AlarmLine
    from stream_ad.detector.scores import Scores


class Judge(Protocol):
    """What the pipeline needs of a detector; baselines offer the same."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the lines of evidence."""
        ...

    @property
    def known(self) -> NDArray[np.bool_]:
        """Sensors (C,) that had any value in the history."""
        ...

    @property
    def line_(self) -> AlarmLine:
        """The alarm line over the raw score."""
        ...

    def score(self, values: NDArray[np.float32], start: NDArray[np.int64]) -> Scores:
        """Return the scores of windows (n, T, C) that begin at start (n,)."""
        ...

    def explain(self, X: NDArray[np.float32], start: NDArray[np.int64]) -> Explanation:
        """Return what is unusual in windows (n, T, C) that begin at start (n,)."""
        ...


@dataclass(frozen=True, slots=True)
class Version:
    """One detector and the first window end, in ns, that it scores.

    ``reference`` is an earlier version that drift is judged by as well: what a later one has
    learned as normal, bit by bit, is still far from that.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> old, new = (Version(SimpleNamespace(), n, n * 100) for n in (1, 2))
    >>> active([old, new], np.array([99, 100, 250]))
    array([-1,  0,  1])
    """

    detector: Judge
    number: int
    effective_from: int
    model_id: str = "default"
    reference: Version | None = None


def active(versions: Sequence[Version], end: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return, per window end, the index of the newest version in effect; -1 for none.

    Parameters
    ----------
    versions : sequence of Version
        Ascending in ``effective_from``.
    end : int64 array (n,)
        Window ends in ns.
    """
    since = np.array([version.effective_from for version in versions], np.int64)
    return np.searchsorted(since, end, side="right").astype(np.int64) - 1
