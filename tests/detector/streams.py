"""Small streams for the tests of the detector room."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_ad.config import SensorConfig, WindowsConfig
from stream_ad.detector import Detector
from stream_ad.detector.models import descent
from stream_ad.windows.batches import Windows
from stream_ad.windows.spec import WindowSpec


def waves(n: int, length: int = 8, sensors: int = 3, seed: int = 0) -> NDArray[np.float32]:
    """Return windows (n, length, sensors) of one long noisy sine per sensor."""
    rng = np.random.default_rng(seed)
    t = np.arange(n * length).reshape(n, length, 1)
    phase = np.arange(sensors)
    noise = rng.normal(scale=0.05, size=(n, length, sensors))
    values = 10 * (phase + 1) + np.sin(0.37 * t + phase) + noise
    return np.asarray(values, np.float32)


def spec_of(
    length: int = 8, sensors: int = 3, hop: int | None = None, period_s: float = 1
) -> WindowSpec:
    """Return a grid, of one-second slots by default, with sensors s0, s1 ..."""
    names = tuple(SensorConfig(name=f"s{i}", unit="bar") for i in range(sensors))
    return WindowSpec.from_config(
        WindowsConfig(sensors=names, period_s=period_s, length=length, hop=hop or length)
    )


def windows_of(
    values: NDArray[np.float32], spec: WindowSpec, machines: tuple[str, ...] = ("a", "b")
) -> Windows:
    """Deal windows out to machines in turn, all on the grid."""
    n = len(values)
    order = np.arange(n, dtype=np.int64)
    machine = np.array(machines, object)[order % len(machines)]
    return Windows(machine, order // len(machines) * spec.hop_ns, values, order)


def few_steps(patch: pytest.MonkeyPatch, steps: int = 5) -> None:
    """Make every training end after few steps: for laws that need weights, not good ones."""
    patch.setattr(descent, "Descent", partial(descent.Descent, min_steps=steps))


def quick(
    scorer: str = "ares", network: str = "dense", *, steps: int = 100, seed: int = 0
) -> Detector:
    """Fit a small detector on waves of two machines."""
    spec = spec_of()
    detector = Detector("ae", scorer, network=network, epochs=1, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        few_steps(patch, steps)
        return detector.fit_windows(windows_of(waves(240), spec), spec)
