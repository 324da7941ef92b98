"""`python -m simulators.recordings.build_hydraulic NPZ`: cut the recording from the original data.

NPZ holds `X` (2205 cycles, 60 s, 8 sensors) and `profile` (2205, 5), the 1 Hz channels and the
conditions of UCI 447 in their original order.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simulators.recordings import path

CYCLES = range(1494, 1734)
"""Counted from 0: one continuous run of the original order, four hours."""

START = np.datetime64("2024-01-08T06:00:00", "s")
MACHINE = "rig"
DECIMALS = {"TS1": 2, "TS2": 2, "TS3": 2, "TS4": 2, "VS1": 3, "CE": 2, "CP": 3, "SE": 2}
COOLER, VALVE, PUMP = 0, 1, 2
"""Columns of the conditions: cooler (100 = full), valve (100 = prompt), pump leak (0 = none)."""


def anomalous(profile: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which cycles (n,) of the conditions (n, 5) run with a fault."""
    healthy = (profile[:, COOLER] == 100) & (profile[:, VALVE] == 100) & (profile[:, PUMP] == 0)
    return np.asarray(~healthy)


def lines(values: NDArray[np.floating], anomaly: NDArray[np.bool_]) -> Iterator[str]:
    """Yield the CSV's lines for cycles (n, 60, 8) and their labels (n,)."""
    yield ",".join(["time", "machine", *DECIMALS, "anomaly"])
    rows = values.reshape(-1, len(DECIMALS)).astype(float)
    form = ",".join(f"%.{decimals}f" for decimals in DECIMALS.values())
    labels = np.repeat(anomaly.astype(int), values.shape[1])
    for second, (row, label) in enumerate(zip(rows.tolist(), labels.tolist(), strict=True)):
        yield f"{START + second}Z,{MACHINE},{form % tuple(row)},{label}"


def main() -> None:
    """Read the original, write the recording into the package or to --out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("npz", type=Path)
    parser.add_argument("--out", type=Path, default=path("hydraulic"))
    options = parser.parse_args()
    with np.load(options.npz, allow_pickle=False) as original:
        cycles = slice(CYCLES.start, CYCLES.stop)
        values, profile = original["X"][cycles], original["profile"][cycles]
    text = "\n".join(lines(values, anomalous(profile))) + "\n"
    options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
