"""Windows through scaler and model, block by block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stream_ad.detector.blocks import BLOCK, blocks, one_thread
from stream_ad.detector.models import WindowModel
from stream_ad.detector.scaling import Scaler
from stream_ad.detector.small_banks import SmallBanks
from stream_ad.detector.views import Views


@dataclass(frozen=True, slots=True)
class Passed:
    """What the model said about n windows.

    Parameters
    ----------
    z : float32 array (n, D)
    error : float64 array (n,)
    sensor_error : float64 array (n, C)
    x_hat : float32 array (n, T, C), or None where it was not asked for
        Reconstruction in scaled units.
    views : float64 array (n, 3), or None where they were not asked for
        See `Views`.
    """

    z: NDArray[np.float32]
    error: NDArray[np.float64]
    sensor_error: NDArray[np.float64]
    x_hat: NDArray[np.float32] | None
    views: NDArray[np.float64] | None = None

    def take(self, rows: NDArray[np.int64]) -> Passed:
        """Return what was said about some of the windows."""
        x_hat = None if self.x_hat is None else self.x_hat[rows]
        views = None if self.views is None else self.views[rows]
        return Passed(self.z[rows], self.error[rows], self.sensor_error[rows], x_hat, views)


def forward(
    model: WindowModel,
    scaler: Scaler,
    values: NDArray[np.float32],
    start: NDArray[np.int64] | None = None,
    *,
    rebuilt: bool = False,
    views: Views | SmallBanks | None = None,
) -> Passed:
    """Pass windows through the model in evaluation mode.

    Parameters
    ----------
    model : WindowModel
    scaler : Scaler
    values : float32 array (n, T, C)
        In sensor units; NaN = missing.
    start : int64 array (n,), optional
        Starts of the windows in ns; needed where the scaler knows a daily course.
    rebuilt : bool
        Whether to keep the reconstructions, which are as large as the windows.
    views : Views, optional
        To be computed as well.

    Returns
    -------
    Passed
        The same bits for a window whatever lies beside it.
    """
    n, _, sensors = values.shape
    model.eval()
    device = next(model.parameters()).device
    z = np.empty((n, model.network.latent_dim), np.float32)
    error, sensor_error = np.empty(n), np.empty((n, sensors))
    x_hat = np.empty_like(values) if rebuilt else None
    view = None if views is None else views.on(device)
    amounts = np.empty((n, 0 if views is None else len(views.lines)))
    times = np.zeros(-(-n // BLOCK) * BLOCK, np.int64)
    times[:n] = 0 if start is None else start
    # torch's own memory: a matrix product may add in another order at another alignment
    scaled = torch.empty(BLOCK, *values.shape[1:])
    with one_thread(), torch.inference_mode():
        for rows, block in blocks(values):
            scaler.scale(block, times[rows.start : rows.start + BLOCK], out=scaled.numpy())
            x = scaled.to(device)
            out = model(x)
            used = rows.stop - rows.start
            z[rows] = out.z[:used].cpu().numpy()
            error[rows] = out.error[:used].cpu().numpy()
            sensor_error[rows] = out.sensor_error[:used].cpu().numpy()
            if x_hat is not None:
                x_hat[rows] = out.x_hat[:used].cpu().numpy()
            if view is not None:
                amounts[rows] = view(x)[0][:used].cpu().numpy()
    return Passed(z, error, sensor_error, x_hat, None if view is None else amounts)
