"""Which machines have moved without the others of their group, and therefore teach nothing.

Seasons and changes of product come to all machines of a group. What comes to one alone is wear,
a fault, or somebody who feeds it on purpose; learned, it would dull the detector for all others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_ad.alerting.drift import DAY_NS
from stream_ad.training.injected import finite_scores, usable
from stream_ad.training.moved import Account
from stream_ad.training.reference import FEWEST, GROUP, by_machine, days
from stream_ad.windows import Windows

if TYPE_CHECKING:
    from stream_ad.detector import Detector

PEERS = 3  # machines that make a middle

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Block(NamedTuple):
    """What a machine showed on a day, or on several where it showed little.

    Parameters
    ----------
    machine : str
    rows : int64 array
    first, last : int
        Starts of its first and of its last window in ns.
    moved : float
        How far its median had moved.
    """

    machine: str
    rows: Ints
    first: int
    last: int
    moved: float

    @property
    def days(self) -> range:
        """Return the days that it touches, counted from 1970."""
        return range(self.first // DAY_NS, self.last // DAY_NS + 1)

    @property
    def middle(self) -> int:
        """Return the day that it is judged on."""
        return (self.first + self.last) // 2 // DAY_NS


def alone(
    reference: Detector,
    windows: Windows,
    others: Windows,
    *,
    most: float,
    max_missing: float,
    account: Account,
    exempt: frozenset[str],
) -> Bools:
    """Return which windows (n,) are of days on which their machine had moved alone.

    So it has if the median of the day, counted under the reference from where the machine is
    counted, lies more than ``most`` beyond the median of the machines of that day, or beyond
    none at all if they are quieter than ever. Machines that the reference has not learned count
    for nothing: nobody knows where they were.

    Works badly where fewer than half of the machines share what comes to them: a change of
    product on three of ten is learned only once an operator calls it the new normal. Groups of
    fewer than three machines are not judged.

    Parameters
    ----------
    reference : Detector
    windows : Windows
        That nobody labelled, in any order.
    others : Windows
        Of incidents: what the machines showed besides, from which nobody wants to learn unasked.
        A change that alarms on all machines came to all of them.
    most : float
        In static scores: at 1 half of what a machine shows lies at the reference's alarm line.
    max_missing : float
        Windows with a larger share of missing cells are not scored.
    account : Account
    exempt : frozenset of str
        Machines, ``*`` for all, whose new normal an operator accepted.

    Raises
    ------
    ModelError
        When the reference gives no finite scores.
    """
    found = np.zeros(len(windows) + len(others), bool)
    if GROUP in exempt:
        return found[: len(windows)]
    known = account.normal.zero.keys() - exempt - {GROUP}
    seen = Windows.concat([windows, others])
    blocks = [*_blocks(reference, seen, max_missing, account, known)]
    moved: defaultdict[int, list[Block]] = defaultdict(list)
    for block in blocks:
        for day in block.days:
            moved[day].append(block)
    group = {
        day: max(0.0, float(np.median([block.moved for block in of])))
        for day, of in moved.items()
        if len({block.machine for block in of}) >= PEERS
    }
    for block in blocks:
        if block.moved - group.get(block.middle, np.inf) > most:
            found[block.rows] = True
    return found[: len(windows)]


def _blocks(
    reference: Detector, windows: Windows, max_missing: float, account: Account, known: set[str]
) -> Iterator[Block]:
    """Yield the days of known machines, of each the median of windows evenly spaced."""
    kept = np.flatnonzero(usable([reference], windows, max_missing))
    start, machines = windows.start[kept], by_machine(windows.machine[kept])
    days_of = {
        name: [of[block] for block in days(start[of])]
        for name, of in machines.items()
        if name in known
    }
    spaced = {name: [block[_evenly(len(block))] for block in of] for name, of in days_of.items()}
    some = [block for of in spaced.values() for block in of]
    if not some:
        return
    static = np.full(len(kept), np.nan)
    picked = np.concatenate(some)
    raw = finite_scores(reference, windows.take(kept[picked]), "reference")
    static[picked] = reference.line_.static_score(raw)
    for name, of in days_of.items():
        zero = account.zero(name)[0]
        for block, few in zip(of, spaced[name], strict=True):
            first, last = int(start[block].min()), int(start[block].max())
            yield Block(name, kept[block], first, last, float(np.median(static[few]) - zero))


def _evenly(count: int) -> Ints:
    return np.unique(np.linspace(0, count - 1, FEWEST).astype(np.int64))
