"""Whose fault a window's error is: what becomes of it when one sensor is not heard."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream_ad.detector.blocks import BLOCK
from stream_ad.detector.forward import Passed, forward
from stream_ad.detector.models import WindowModel
from stream_ad.detector.scaling import Scaler

CANDIDATES = 5  # sensors that are tried, those with the largest errors of their own


def occlude(
    model: WindowModel,
    scaler: Scaler,
    values: NDArray[np.float32],
    start: NDArray[np.int64] | None = None,
) -> tuple[Passed, NDArray[np.float64], NDArray[np.float32]]:
    """Blame sensors for the errors of windows, and rebuild each window without the worst.

    A sensor far outside its history disturbs the reconstruction of all others: by its own
    residual the healthy are blamed, and what is expected of them is wrong. So the five
    sensors with the largest residuals are taken out in turn; the blame of each is what the
    summed error over all cells falls by. The others keep their own residual.

    Parameters
    ----------
    model, scaler
    values : float32 array (n, T, C)
        In sensor units; NaN = missing.
    start : int64 array (n,), optional
        Starts of the windows; see `forward`.

    Returns
    -------
    passed : Passed
        The windows as they are, with reconstructions.
    blame : float64 array (n, C)
        At least 0.
    x_hat : float32 array (n, T, C)
        Reconstruction, in scaled units, from all sensors but the one most to blame: what the
        others say should have been.

    Notes
    -----
    Costs a block of the model where all windows fit into one without each of their sensors,
    else six windows through the model for each. Works badly where sensors fail together, and
    for a sensor that no other one tells anything about: it is then expected to be ordinary.
    """
    passed, tried, again = _with_and_without(model, scaler, values, start)
    with np.errstate(invalid="ignore"):  # what is not finite, the caller refuses
        return passed, *_blamed(values, scaler, passed, tried, again)


def _blamed(
    values: NDArray[np.float32],
    scaler: Scaler,
    passed: Passed,
    tried: NDArray[np.int64],
    again: Passed,
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    assert again.x_hat is not None
    assert passed.x_hat is not None
    cells = _cells(values, scaler)  # (n, C)
    own = passed.sensor_error * cells.sum(axis=1, keepdims=True)
    blame, whole, rows = own.copy(), own.sum(axis=1), np.arange(len(values))
    heard = cells.sum(axis=1) - cells[rows, tried]  # (K, n) cells left
    left = np.where(heard > 0, again.sensor_error.sum(axis=1).reshape(tried.shape) * heard, 0.0)
    fall = np.maximum(whole - left, 0.0)
    blame[rows, tried] = fall
    # an only sensor cannot be told by the others
    told = np.where(heard > 0, fall, 0.0)
    leader = told.argmax(axis=0)
    rebuilt = again.x_hat.reshape(*tried.shape, *values.shape[1:])[leader, rows]
    x_hat = np.where(told[leader, rows][:, None, None] > 0, rebuilt, passed.x_hat)
    # an ordinary window may get worse without any of its sensors: then each has its own
    return np.where(blame.any(axis=1, keepdims=True), blame, own), x_hat


def _with_and_without(
    model: WindowModel,
    scaler: Scaler,
    values: NDArray[np.float32],
    start: NDArray[np.int64] | None,
) -> tuple[Passed, NDArray[np.int64], Passed]:
    """Return the windows passed, which sensors (K, n) to try, and the K * n windows without.

    A block is as dear for one window as for many: where there is room, the windows go along
    with their kind without any one sensor, before it is known which of these are wanted.
    """
    n, _, sensors = values.shape
    if n * (1 + sensors) <= BLOCK:
        every = np.repeat(np.arange(sensors)[:, None], n, axis=1)
        both = np.concatenate([values, _without(values, every)])
        all_passed = forward(model, scaler, both, _again(start, 1 + sensors), rebuilt=True)
        passed = all_passed.take(np.arange(n))
        tried = _suspects(passed)
        return passed, tried, all_passed.take((n + tried * n + np.arange(n)).ravel())
    passed = forward(model, scaler, values, start, rebuilt=True)
    tried = _suspects(passed)
    left = forward(model, scaler, _without(values, tried), _again(start, len(tried)), rebuilt=True)
    return passed, tried, left


def _again(start: NDArray[np.int64] | None, times: int) -> NDArray[np.int64] | None:
    return None if start is None else np.tile(start, times)


def _suspects(passed: Passed) -> NDArray[np.int64]:
    """Return the sensors (K, n) to try, the largest residual first."""
    order: NDArray[np.int64] = np.argsort(-passed.sensor_error, axis=1, kind="stable")
    return order[:, :CANDIDATES].T


def _without(values: NDArray[np.float32], tried: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return windows (K * n, T, C), each without the sensor of ``tried`` (K, n)."""
    left = np.repeat(values[None], len(tried), axis=0)
    left[np.arange(len(tried))[:, None], np.arange(len(values)), :, tried] = np.nan
    return left.reshape(-1, *values.shape[1:])


def _cells(values: NDArray[np.float32], scaler: Scaler) -> NDArray[np.float64]:
    """Return how many cells of each known sensor were observed, (n, C)."""
    cells: NDArray[np.int64] = np.isfinite(values).sum(axis=1)
    return np.where(scaler.known, cells, 0).astype(np.float64)
