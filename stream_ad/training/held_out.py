"""Which windows a challenger learns from, and which normal ones it is judged by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream_ad.errors import NotEnoughHistory
from stream_ad.windows import Windows, WindowSpec

LEAST = 4  # windows to judge by, as many as an alarm line needs
LEAST_LEARNED = 10
MOST_BLOCKS = 8

Ints = NDArray[np.int64]


def split(
    windows: Windows, y: Ints, spec: WindowSpec, share: float
) -> tuple[Windows, Ints, Windows]:
    """Hold blocks of the recent half out, and forget a window's time on either side of each.

    The blocks are spread over the recent half, so that no state of the machines of a few days is
    only learned or only judged; all machines are held out at the same times. They are as many
    as can be without forgetting more than is held out, at most eight.

    Parameters
    ----------
    windows : Windows
        In any order.
    y : int array (n,)
        0 unlabelled, +1 labelled normal, -1 labelled anomaly. Labelled windows are always
        learned and never held out: they were odd enough to open an incident.
    spec : WindowSpec
    share : float
        Of the unlabelled windows of the recent half, 0 to 0.5; at least 4 windows are held out.

    Returns
    -------
    learned : Windows
    y_learned : int array
    held_out : Windows
        All unlabelled. Between any of them and a learned window of the same machine lies at
        least the time of a window, and between any of them and an unlabelled learned one of
        whichever machine.

    Raises
    ------
    NotEnoughHistory
        When fewer than 4 could be held out, or fewer than 10 were left to learn from.

    Examples
    --------
    >>> from stream_ad.config import WindowsConfig
    >>> spec = WindowSpec.from_config(WindowsConfig(sensors=["a"], period_s=1, length=4))
    >>> rows, values = np.arange(60), np.zeros((60, 4, 1), np.float32)
    >>> windows = Windows(np.full(60, "m", object), rows * spec.window_ns, values, rows)
    >>> learned, y, held_out = split(windows, np.zeros(60, np.int64), spec, 0.2)
    >>> len(learned), (held_out.start // spec.window_ns).tolist()
    (52, [42, 43, 44, 45, 46, 47])
    """
    free = y == 0
    held = free & np.isin(windows.start, _held_times(windows.start[free], spec.window_ns, share))
    held &= ~_beside(windows, held, ~free, 2 * spec.window_ns)
    learned = ~free | ~_near(windows.start, windows.start[held], 2 * spec.window_ns)
    if held.sum() < LEAST or learned.sum() < LEAST_LEARNED:
        raise _too_few(int(free.sum()), int(held.sum()), int(learned.sum()))
    return windows.take(learned), y[learned], windows.take(held)


def _held_times(start: Ints, window_ns: int, share: float) -> Ints:
    """Return the starts that are held out: the middle of each of some parts of the recent half."""
    ordered = np.sort(start)
    recent = ordered[len(ordered) // 2 :]
    times = np.unique(recent)
    if len(recent) < 2 * LEAST:
        raise _too_few(len(start), 0, len(start))
    span = int(times[-1] - times[0]) + window_ns
    blocks = max(1, min(MOST_BLOCKS, int(share * span / (4 * window_ns))))
    least = -(-LEAST * len(times) // (len(recent) * blocks))
    return np.concatenate([_middle(part, share, least) for part in np.array_split(times, blocks)])


def _middle(part: Ints, share: float, least: int) -> Ints:
    count = min(len(part), max(least, round(share * len(part))))
    first = (len(part) - count + 1) // 2
    return part[first : first + count]


def _near(start: Ints, others: Ints, span: int) -> NDArray[np.bool_]:
    """Return which starts lie within less than a span of any of the others."""
    if not len(others):
        return np.zeros(len(start), bool)
    others = np.sort(others)
    after = np.searchsorted(others, start)
    right = others[np.minimum(after, len(others) - 1)]
    left = others[np.maximum(after - 1, 0)]
    near: NDArray[np.bool_] = np.minimum(np.abs(start - left), np.abs(right - start)) < span
    return near


def _beside(
    windows: Windows, rows: NDArray[np.bool_], others: NDArray[np.bool_], span: int
) -> NDArray[np.bool_]:
    """Return which of some rows lie within a span of other rows of the same machine."""
    found = np.zeros(len(windows), bool)
    for machine in dict.fromkeys(windows.machine[others].tolist()):
        mine = windows.machine == machine
        found[mine & rows] = _near(windows.start[mine & rows], windows.start[mine & others], span)
    return found


def _too_few(free: int, held: int, learned: int) -> NotEnoughHistory:
    return NotEnoughHistory(
        f"of {free:,} windows that nobody labelled {held:,} could be held out for the gate, which "
        f"leaves {learned:,} to learn from; at least {LEAST} and {LEAST_LEARNED} are needed: wait "
        "for more windows"
    )
