"""The normal past of a recording: the windows that a detector learns from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from stream_ad.alerting import Mute, QualityCheck
from stream_ad.config import Config
from stream_ad.errors import NotEnoughHistory
from stream_ad.machines import Machines
from stream_ad.transport.base import Source
from stream_ad.windows import Readings, Windows, WindowSpec

NOTHING = int(np.iinfo(np.int64).min)  # a cut before everything: no reading was accepted yet


MOST_TIMES = 1_000_000
MOST_BYTES = 1 << 29  # of windows kept, whatever buffer_windows allows


class Sized(Source, Protocol):
    """A source that knows about how many records it holds."""

    def rows(self) -> int:
        """Return that number."""
        ...


@dataclass(frozen=True, slots=True)
class History:
    """What was collected.

    Parameters
    ----------
    windows : Windows
        Those that end at or before ``until`` and are not muted, implausible cells masked; the
        newest ``training.buffer_windows`` of them.
    until : int
        The cut, in ns.
    muted : int
        Windows before the cut that were left out because they are muted.
    """

    windows: Windows
    until: int
    muted: int = 0


class Collector:
    """Keeps the newest windows of a stream within a bound.

    Parameters
    ----------
    limit : int
        Most windows kept.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._parts: list[Windows] = []

    def add(self, windows: Windows) -> None:
        """Take more windows; while parts are joined memory is up to four times the limit."""
        if not len(windows):
            return
        self._parts.append(windows)
        if sum(map(len, self._parts)) > 2 * self.limit:
            newest = self.newest()
            assert newest is not None
            self._parts = [newest]

    def newest(self) -> Windows | None:
        """Return at most ``limit`` windows, the newest by start; None if there were none."""
        if not self._parts:
            return None
        everything = Windows.concat(self._parts)
        _, machine = np.unique(everything.machine.astype(str), return_inverse=True)
        # of those that start together the same ones, whichever came first
        return everything.take(np.lexsort((machine, everything.start))[-self.limit :])


def most_windows(config: Config, spec: WindowSpec) -> int:
    """Return how many windows may be kept: ``training.buffer_windows``, at most 512 MiB."""
    cells = 4 * spec.length * len(spec.sensors)
    return min(config.training.buffer_windows, max(1, MOST_BYTES // cells))


def collect_history(
    source: Source,
    config: Config,
    spec: WindowSpec,
    *,
    rows: int | None = None,
    time: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> History:
    """Read an input once and keep the windows of its past.

    Parameters
    ----------
    source : Source
    config : Config
    spec : WindowSpec
    rows : int, optional
        The first rows in file order are history: the cut is the newest time accepted among
        them, for every machine.
    time : int, optional
        The cut itself, in ns. With neither the whole input is history.
    progress : callable, optional
        Called with the input position after every batch.

    Returns
    -------
    History

    Raises
    ------
    NotEnoughHistory
        If no window ends before the cut.

    Notes
    -----
    The whole input is read, since a file may hold one machine after another.
    """
    machines = Machines(spec, config.input.format)
    nothing_known = np.zeros(len(spec.sensors), bool)  # missing cells are judged after the fit
    quality = QualityCheck(spec, nothing_known, config.windows.max_missing)
    mute = Mute(config, spec)
    kept = Collector(most_windows(config, spec))
    counts: Counter[str] = Counter()

    def keep(records: Readings | Windows, until: int | None) -> None:
        windows = machines.close(records)
        if until is not None:
            windows = windows.take(windows.start + spec.window_ns <= until)
        if len(windows):
            muted = mute(windows)
            clean, _ = machines.clean(windows, quality, muted)
            counts["muted"] += int(muted.sum())
            kept.add(clean.take(~muted) if muted.any() else clean)

    until = time
    for batch in source.batches():
        records = batch.records
        counts.update({"records": len(records), "dead_letters": len(batch.dead)})
        if until is None and rows is not None:
            inside = int(np.searchsorted(records.offset, rows))
            keep(records.take(slice(0, inside)), None)
            if batch.position >= rows:
                newest = machines.newest()
                until = NOTHING if newest is None else newest
            records = records.take(slice(inside, None))
        keep(records, until)
        if progress is not None:
            progress(batch.position)
    return _history(kept, machines.newest() if until is None else until, counts, spec)


def time_at(source: Sized, share: float, spec: WindowSpec) -> int:
    """Return the event time by which a share of an input's records lies.

    A quantile of all times: it does not matter in which order machines stand in the
    input, and a few times from another century move it no farther than a few records.

    Parameters
    ----------
    source : Source with ``rows()``
        Is read once, for the times alone; of more than a million records, a sample.
    share : float
        Between 0 and 1, exclusive.
    spec : WindowSpec
        The grid; a window record counts by its end.

    Returns
    -------
    int
        In ns; before everything if no record can be used.
    """
    step, times = max(1, source.rows() // MOST_TIMES), []
    for batch in source.batches():
        records = batch.records.take(batch.records.offset % step == 0)
        times.append(
            records.time if isinstance(records, Readings) else records.start + spec.window_ns
        )
    found = np.sort(np.concatenate(times)) if times else np.empty(0, np.int64)
    return int(found[int(share * (len(found) - 1))]) if len(found) else NOTHING


def _history(kept: Collector, until: int | None, counts: Counter[str], spec: WindowSpec) -> History:
    windows = kept.newest()
    if windows is None or until is None:
        if counts["muted"]:
            raise NotEnoughHistory(
                f"no window of history: all {counts['muted']} before the cut are muted by "
                "windows.active_when or alarm.mute"
            )
        raise NotEnoughHistory(
            f"no window of history: {counts['records']} records ({counts['dead_letters']} not "
            f"usable) close no window of {spec.length} slots of {spec.period_ns / 1e9:g} s before "
            "the cut; give more history (--train-until, training.history_share), shorter windows "
            "(windows.length) or the true period (windows.period_s)"
        )
    return History(windows, until, counts["muted"])
