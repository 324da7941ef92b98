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

    def score(
        self,
        values: NDArray[np.float32],
        start: NDArray[np.int64],
        machine: NDArray[np.object_] | None = None,
    ) -> Scores:
        """Return the scores of windows (n, T, C) of machines (n,) that begin at start (n,)."""
        ...

    def explain(
        self,
        X: NDArray[np.float32],
        start: NDArray[np.int64],
        machine: NDArray[np.object_] | None = None,
    ) -> Explanation:
        """Return what is unusual in windows (n, T, C) of machines (n,) that begin at start (n,)."""
        ...


@dataclass(frozen=True, slots=True)
class Version:
    """One detector and the first window end, in ns, that it scores.

    ``reference`` is an earlier version that drift is judged by as well: what a later one has
    learned as normal, bit by bit, is still far from that. ``promotion`` is the number of the
    promotion that made it score. ``accepted`` are the machines whose new normal an operator
    accepted with it, ``*`` all of them: there drift begins anew.

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
    promotion: int = 0
    accepted: frozenset[str] = frozenset()

    @property
    def key(self) -> int | str:
        """What tells it from every other version of any group: each group counts its own."""
        return self.number if self.model_id == "default" else f"{self.model_id}/{self.number}"

    def accepts(self, machine: str) -> bool:
        """Say whether an operator accepted with it what a machine had become."""
        return bool(self.accepted) and (machine in self.accepted or "*" in self.accepted)


@dataclass(frozen=True, slots=True)
class Removed:
    """A version that scored once and cannot be loaded any more: no window may need it.

    ``why`` says so, and what to do. The others are as of a `Version`.
    """

    model_id: str
    promotion: int
    effective_from: int
    why: str


class Timed(Protocol):
    """What takes effect at some time: a version, a promotion."""

    @property
    def effective_from(self) -> int:
        """First window end in ns."""
        ...


class OfGroup(Timed, Protocol):
    """What was promoted in a machine group."""

    @property
    def model_id(self) -> str:
        """The group."""
        ...

    @property
    def promotion(self) -> int:
        """Number of the promotion."""
        ...


def scoring(versions: Sequence[Timed]) -> list[int]:
    """Return the places of what scores something, ascending in ``effective_from``.

    One that is followed by another that takes effect no later never scores.

    Parameters
    ----------
    versions : sequence of Version or Promotion
        In the order of their promotion.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> versions = [Version(SimpleNamespace(), n, since) for n, since in ((1, 9), (2, 1), (3, 5))]
    >>> scoring(versions)
    [1, 2]
    """
    kept: list[int] = []
    for place in range(len(versions) - 1, -1, -1):
        since = versions[place].effective_from
        if not kept or since < versions[kept[-1]].effective_from:
            kept.append(place)
    return kept[::-1]


def active(versions: Sequence[Timed], end: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return, per window end, the place of the newest version in effect; -1 for none.

    Parameters
    ----------
    versions : sequence of Version
        In the order of their promotion.
    end : int64 array (n,)
        Window ends in ns.
    """
    places = scoring(versions)
    since = np.array([versions[place].effective_from for place in places], np.int64)
    found = np.searchsorted(since, end, side="right")
    return np.array([-1, *places], np.int64)[found]
