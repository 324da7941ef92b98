"""Windows through scaler and model, block by block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stream_ad.detector.blocks import BLOCK, blocks, one_thread
from stream_ad.detector.models import WindowModel
from stream_ad.detector.scaling import Scaler


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
    """

    z: NDArray[np.float32]
    error: NDArray[np.float64]
    sensor_error: NDArray[np.float64]
    x_hat: NDArray[np.float32] | None

    def take(self, rows: NDArray[np.int64]) -> Passed:
        """Return what was said about some of the windows."""
        x_hat = None if self.x_hat is None else self.x_hat[rows]
        return Passed(self.z[rows], self.error[rows], self.sensor_error[rows], x_hat)


def forward(
    model: WindowModel, scaler: Scaler, values: NDArray[np.float32], *, rebuilt: bool = False
) -> Passed:
    """Pass windows through the model in evaluation mode.

    Parameters
    ----------
    model : WindowModel
    scaler : Scaler
    values : float32 array (n, T, C)
        In sensor units; NaN = missing.
    rebuilt : bool
        Whether to keep the reconstructions, which are as large as the windows.

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
    # torch's own memory: a matrix product may add in another order at another alignment
    scaled = torch.empty(BLOCK, *values.shape[1:])
    with one_thread(), torch.inference_mode():
        for rows, block in blocks(values):
            scaler.scale(block, out=scaled.numpy())
            out = model(scaled.to(device))
            used = rows.stop - rows.start
            z[rows] = out.z[:used].cpu().numpy()
            error[rows] = out.error[:used].cpu().numpy()
            sensor_error[rows] = out.sensor_error[:used].cpu().numpy()
            if x_hat is not None:
                x_hat[rows] = out.x_hat[:used].cpu().numpy()
    return Passed(z, error, sensor_error, x_hat)
