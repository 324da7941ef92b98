"""Many anomalies at once, for models that learn from what is not normal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from stream_ad.detector.synthetic.cells import Values
from stream_ad.detector.synthetic.injection import inject
from stream_ad.detector.synthetic.noise import SUBSET

# kind and severity
ROWS: Final = (("subset_noise", 2.0),)
WINDOWS: Final = (
    *ROWS,
    ("spike", 6.0),
    ("drift", 4.0),
    ("stuck", 1.0),
    ("lost_correlation", 1.0),
    ("delay", 0.3),
    ("scale", 1.0),
)
# windows that rare anomalies are made of, and how many become of them, as shares of all;
# SMOTE needs a few to go between
BASE, RARE, FEWEST = 0.02, 0.05, 6
NOISY = 3.0


def negatives(
    values: ArrayLike, count: int, seed: int, kinds: Sequence[tuple[str, float]] | None = None
) -> Values:
    """Return windows that are not normal, made from normal ones.

    Parameters
    ----------
    values : float array (n, T, C)
        Normal windows that a `Scaler` has scaled, n at least 1; NaN = missing, and stays so.
    count : int
        How many to make; those that came out as they were are left out.
    seed : int
        Of everything random.
    kinds : sequence of (str, float), optional
        Kinds and severities as in `inject`, an equal share of each. By default noise of two
        spreads on 30 % of the sensors, which breaks what they have in common and hardly shows
        in any one of them; windows get faults of time series as well, each on 30 % of the
        sensors.

    Returns
    -------
    float32 array (m, T, C)
        m is at most ``count``.

    Examples
    --------
    >>> odd = negatives(np.zeros((100, 1, 10)), 50, seed=0)
    >>> odd.shape, int((odd != 0).sum())
    ((50, 1, 10), 150)
    """
    x = np.asarray(values, np.float32)
    kinds = kinds or (ROWS if x.shape[1] == 1 else WINDOWS)
    rng = np.random.default_rng(seed)
    sensors = max(1, round(SUBSET * x.shape[2]))
    made: list[Values] = []
    for part in np.array_split(rng.integers(len(x), size=count), len(kinds)):
        kind, severity = kinds[len(made)]
        drawn = int(rng.integers(2**32))
        odd, _ = inject(x[part], kind, severity, drawn, sensors=sensors)
        made.append(odd[((odd != x[part]) & ~np.isnan(odd)).any(axis=(1, 2))])
    return np.concatenate(made)


def rare_anomalies(values: ArrayLike, count: int, seed: int) -> Values:
    """Return noisy copies of few windows and of points between them: SMOTE, then noise.

    2 % of the windows, at least 6, get noise of three spreads on all sensors. Points between
    one of them and a near one among them get the same noise **after**, up to 5 % of all: between
    noisy points lie ordinary ones. For more than that, other windows are taken.

    Parameters
    ----------
    values, seed
        As in `negatives`.
    count : int
        How many to make.

    Returns
    -------
    float32 array (count, T, C)

    Examples
    --------
    >>> odd = rare_anomalies(np.zeros((500, 1, 40)), 25, seed=0)
    >>> odd.shape, bool(2.8 < odd.std() < 3.2)
    ((25, 1, 40), True)
    """
    x = np.asarray(values, np.float32)
    rng = np.random.default_rng(seed)
    few, most = max(FEWEST, round(BASE * len(x))), max(2 * FEWEST, round(RARE * len(x)))
    made = [x[:0]]
    while sum(map(len, made)) < count:
        base = x[rng.permutation(len(x))[:few]]
        drawn = [inject(base, "gaussian", NOISY, int(rng.integers(2**32)))[0]]
        while sum(map(len, drawn)) < most:
            drawn.append(inject(base, "smote_noise", NOISY, int(rng.integers(2**32)))[0])
        made.append(np.concatenate(drawn)[:most])
    return np.concatenate(made)[:count]
