"""Normal windows with one thing wrong, of a kind and a severity that is asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream_ad.detector.synthetic.cells import Bools, Values, medians, usable
from stream_ad.detector.synthetic.faults import FAULTS, Course
from stream_ad.detector.synthetic.noise import NOISE, Cloud
from stream_ad.errors import InputError

LARGEST = float(np.finfo(np.float32).max)


def inject(
    values: ArrayLike,
    kind: str,
    severity: float,
    seed: int,
    *,
    spread: ArrayLike | None = None,
    sensors: int = 1,
) -> tuple[Values, Bools]:
    """Return the windows with an anomaly of one kind in each.

    Parameters
    ----------
    values : float array (n, T, C)
        Normal windows in any order; NaN = missing, and stays missing. Not changed.
    kind : str
        A key of ``FAULTS``, which change single sensors of each window, or of ``NOISE``,
        which change several together.
    severity : float
        At least 0, which changes nothing; the tables say what 1 is and where it ends. A
        severer anomaly of the same seed has the same places, sensors and directions.
    seed : int
        Of everything random.
    spread : float array (C,), optional
        Unit of the severity per sensor, in the units of ``values``; NaN for a sensor that is
        left alone. By default 1, for values that a `Scaler` has scaled: there a severity
        counts squashed spreads. For plain ones give values in sensor units and
        ``Scaler.spread``.
    sensors : int
        How many sensors of each window have a fault, each its own; where fewer have values,
        all of these. Noise knows how many it takes.

    Returns
    -------
    values : float32 array (n, T, C)
    touched : bool array (n, C)
        Which sensors of each window are the anomalous ones. A window without any value of a
        usable sensor has none.

    Raises
    ------
    InputError
        For an unknown kind and for a severity that the kind does not have.

    Notes
    -----
    Works badly on sensors that stand still: stuck, scaled, delayed or taken from another
    window they are what they were, and are called touched all the same. In a table (T = 1)
    `stuck` and `delay` change nothing.

    Examples
    --------
    >>> calm = np.zeros((3, 4, 2), np.float32)
    >>> odd, touched = inject(calm, "spike", 5.0, seed=0)
    >>> np.abs(odd).max(axis=1)[touched], touched.sum(axis=1)
    (array([5., 5., 5.], dtype=float32), array([1, 1, 1]))
    """
    x = np.array(values, np.float32)
    _check(x, kind, severity)
    units = np.ones(x.shape[2]) if spread is None else np.asarray(spread, np.float64)
    rng = np.random.default_rng(seed)
    if kind in NOISE:
        with np.errstate(over="ignore", invalid="ignore"):
            made, touched = NOISE[kind].make(Cloud(x, units.astype(np.float32), rng), severity)
        return _laid_over(x, made, touched[:, None, :]), touched
    heard, odd, rows = usable(x, units), x.copy(), np.arange(len(x))
    level, touched = medians(x), np.zeros_like(heard)
    order = np.argsort(np.where(heard, rng.random(heard.shape), 2.0), axis=1, kind="stable")
    for sensor in order[:, :sensors].T:
        touched[rows, sensor] = heard[rows, sensor]
        own = x[rows, :, sensor]
        course = Course(x, sensor, own.astype(np.float64), units[sensor], level[sensor], rng)
        changed = FAULTS[kind].make(course, severity)
        odd[rows, :, sensor] = _laid_over(own, changed, touched[rows, sensor][:, None])
    return odd, touched


def _check(x: Values, kind: str, severity: float) -> None:
    if x.ndim != 3:
        raise InputError(f"values have shape {x.shape}; wanted is (n, T, C)")
    kinds = FAULTS | NOISE
    if kind not in kinds:
        raise InputError(f"kind = {kind!r}: allowed is {', '.join(kinds)}")
    most = kinds[kind].most
    if not 0 <= severity <= min(most, LARGEST):
        end = "" if most == np.inf else f", at most {most:g}"
        raise InputError(f"severity = {severity!r} of {kind}: allowed is a number, at least 0{end}")


def _laid_over(x: Values, changed: NDArray[np.floating], where: Bools) -> Values:
    """Return x with what was changed, but for cells where that is not a number."""
    kept = ~where | np.isnan(changed) | np.isnan(x)
    return np.where(kept, x, np.clip(changed, -LARGEST, LARGEST)).astype(np.float32)
