"""Whose fault a window's error is: what becomes of it when one sensor is not heard."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream_ad.detector.forward import Passed, forward
from stream_ad.detector.models import WindowModel
from stream_ad.detector.scaling import Scaler

CANDIDATES = 5  # sensors that are tried, those with the largest errors of their own


def occlude(
    model: WindowModel, scaler: Scaler, values: NDArray[np.float32], passed: Passed
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
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
    passed : Passed
        The windows through the model, with reconstructions.

    Returns
    -------
    blame : float64 array (n, C)
        At least 0.
    x_hat : float32 array (n, T, C)
        Reconstruction, in scaled units, from all sensors but the one most to blame: what the
        others say should have been.

    Notes
    -----
    Costs five windows through the model for each. Works badly where sensors fail together, and for
    a sensor that no other one tells anything about: it is then expected to be ordinary.
    """
    own = passed.sensor_error * _cells(values, scaler)[:, None]
    blame, whole = own.copy(), own.sum(axis=1)
    tried = np.argsort(-own, axis=1, kind="stable")[:, :CANDIDATES].T  # (K, n) sensors
    rows, turns = np.arange(len(values)), np.arange(len(tried))[:, None]
    without = np.repeat(values[None], len(tried), axis=0)  # (K, n, T, C)
    without[turns, rows, :, tried] = np.nan
    # all at once: a block of the model is as dear for one window as for many
    again = forward(model, scaler, without.reshape(-1, *values.shape[1:]), rebuilt=True)
    assert again.x_hat is not None
    assert passed.x_hat is not None
    heard = _cells(without.reshape(-1, *values.shape[1:]), scaler)
    left = np.where(heard > 0, again.sensor_error.sum(axis=1) * heard, 0.0)
    fall = np.maximum(whole - left.reshape(tried.shape), 0.0)
    blame[rows, tried] = fall
    # an only sensor cannot be told by the others
    told = np.where(heard.reshape(tried.shape) > 0, fall, 0.0)
    leader = told.argmax(axis=0)
    rebuilt = again.x_hat.reshape(without.shape)[leader, rows]
    x_hat = np.where(told[leader, rows][:, None, None] > 0, rebuilt, passed.x_hat)
    # an ordinary window may get worse without any of its sensors: then each has its own
    return np.where(blame.any(axis=1, keepdims=True), blame, own), x_hat


def _cells(values: NDArray[np.float32], scaler: Scaler) -> NDArray[np.float64]:
    """Return how many cells of known sensors were observed, per window."""
    cells: NDArray[np.int64] = np.isfinite(values[:, :, scaler.known]).sum(axis=(1, 2))
    return cells.astype(np.float64)
