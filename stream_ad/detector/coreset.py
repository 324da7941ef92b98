"""Which latents a full bank keeps: a part of every state, however rare, the rest evenly in time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FEWEST = 16  # kept of a state, if it has so many: its windows' 10 neighbours are of their like
QUARTER = 4  # at most this part of the bank is kept for rare states
MOST_STATES = 256  # the search for them takes one pass over the history each


def thin(
    z: NDArray[np.float32], most: int, sure: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Choose ``most`` of N different latents.

    Latents evenly spaced in time stand for the history as it was, but of a state that made
    up 0.1 % of it few or none stay, and its next visit looks like nothing ever seen. So:

    1. Centres of states are picked farthest first (Gonzalez 1985): each is the latent that
       lies farthest from all centres before it. Every latent belongs to its nearest centre.
    2. From the smallest state up, one of which even thinning would keep fewer than
       ``FEWEST`` keeps that many, evenly spaced in time, or all that it has.
    3. The latents of all other states are thinned together, evenly in time.

    Densities within one state keep their ratios, so that a density relative to the
    neighbours', as ARES takes it, changes at the borders of rare states only; how often
    each state occurred is no longer told by how many of its latents there are.

    Takes time in proportion to N x D x the number of states, which is ``most`` / 64, at most
    256: half a second for 50,000 latents of 16 numbers.

    Works badly for a rare state that lies nearer to a common one than that is wide: it is
    thinned with it, as evenly as the rest. Anomalies in the history are rare states too.

    Parameters
    ----------
    z : float32 array (N, D)
        Different latents, in time order.
    most : int
        At least 1.
    sure : bool array (N,), optional
        Latents of what somebody has called normal: up to a quarter of ``most`` are kept of
        them, evenly in time, whatever becomes of the rest.

    Returns
    -------
    int64 array (min(N, most),)
        The rows that stay, ascending.

    Examples
    --------
    >>> z = np.linspace(0, 1, 5000, dtype=np.float32)[:, None]
    >>> z[2001:2005] += 9
    >>> kept = thin(z, 128)
    >>> len(kept), np.flatnonzero(z[kept, 0] > 5).size
    (128, 4)
    """
    every = np.arange(len(z))
    if len(z) <= most:
        return every
    if sure is not None and sure.any():
        named, others = np.flatnonzero(sure), np.flatnonzero(~sure)
        named = _evenly(named, min(len(named), max(1, most // QUARTER)))
        others = others[thin(z[others], most - len(named))] if most > len(named) else others[:0]
        return np.sort(np.concatenate([named, others]))
    states = min(most // (QUARTER * FEWEST), MOST_STATES)
    if states < 2:
        return _evenly(every, most)
    rare = _rare(_nearest_centre(z, states), most)
    kept = [_evenly(rows, min(len(rows), FEWEST)) for rows in rare]
    common = np.delete(every, np.concatenate([every[:0], *rare]))
    return np.sort(np.concatenate([_evenly(common, most - sum(map(len, kept))), *kept]))


def _evenly(rows: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return n of the rows, evenly spaced, first and last included."""
    return rows[np.linspace(0, len(rows) - 1, n).astype(np.int64)]


def _nearest_centre(z: NDArray[np.float32], states: int) -> NDArray[np.int64]:
    """Return which of the centres, picked farthest first, lies nearest to each latent."""
    points = z.astype(np.float64)
    nearest = np.zeros(len(z), np.int64)
    apart = np.full(len(z), np.inf)
    centre = 0
    for state in range(states):
        step = points - points[centre]
        square = np.einsum("nd,nd->n", step, step)
        nearest[square < apart] = state
        np.minimum(apart, square, out=apart)
        centre = int(apart.argmax())
    return nearest


def _rare(state: NDArray[np.int64], most: int) -> list[NDArray[np.int64]]:
    """Return the rows of each state of which even thinning would leave too few."""
    members = np.split(np.argsort(state, kind="stable"), np.cumsum(np.bincount(state))[:-1])
    left, places, rare = len(state), most, []
    for rows in sorted(members, key=len):
        wanted = min(len(rows), FEWEST)
        if len(rows) * places >= wanted * left:
            break
        rare.append(rows)
        left, places = left - len(rows), places - wanted
    return rare
