"""Recordings in which nothing happened: oil wells in normal operation, one test bench.

====== =====================================================================================
oil_3w the instances of class 0, 1 Hz, 8 sensors; unlabelled rows are dropped and the rest
       counted through, as in `recordings`; hop 4
skab   the file ``anomaly-free.csv``, 1 Hz, 8 sensors; hop 1
====== =====================================================================================

The first 60 % of each are its training part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_ad.errors import InputError
from stream_ad.transport.cells import to_float32
from stream_ad.windows.spec import NS
from tests.benchmarks.recordings import SOME_DAY, Recording

HISTORY = 0.6
LEAST_ROWS = 900  # fewer leave nothing to learn from, as in `recordings`


def fault_free(family: str, data: Path) -> list[Recording]:
    """Read the fault-free recordings of a family.

    Parameters
    ----------
    family : str
        A key of ``FAULT_FREE``.
    data : Path
        Folder that holds the family's folder.

    Raises
    ------
    InputError
        If there is none.
    """
    recordings = list(FAULT_FREE[family](data / family)) if data.is_dir() else []
    if not recordings:
        raise InputError(f"no fault-free recordings of {family} in {data / family}")
    return recordings


def _oil_3w(folder: Path) -> Iterator[Recording]:
    for file in sorted((folder / "0").glob("WELL-*.npz")):
        with np.load(file) as arrays:
            normal = arrays["y"] == 0
            values = to_float32(arrays["X"][normal].astype(np.float64), Counter())
            sensors = tuple(map(str, arrays["columns"]))
        if len(values) >= LEAST_ROWS:
            time = SOME_DAY + np.arange(len(values), dtype=np.int64) * NS
            yield _recording("oil_3w", file.stem, sensors, 4, time, values)


def _skab(folder: Path) -> Iterator[Recording]:
    from pyarrow import csv

    for file in folder.glob("anomaly-free.csv"):
        table = csv.read_csv(file, parse_options=csv.ParseOptions(delimiter=";"))
        sensors = tuple(name for name in table.column_names if name != "datetime")
        time = table["datetime"].to_numpy().astype("datetime64[ns]").astype(np.int64)
        values = np.column_stack([table[s].to_numpy() for s in sensors]).astype(np.float32)
        yield _recording("skab", file.stem, sensors, 1, time, values)


def _recording(
    family: str,
    name: str,
    sensors: tuple[str, ...],
    hop: int,
    time: NDArray[np.int64],
    values: NDArray[np.float32],
) -> Recording:
    history, label = int(HISTORY * len(values)), np.zeros(len(values))
    return Recording(family, name, name, sensors, 1, hop, history, time, values, label)


FAULT_FREE: dict[str, Callable[[Path], Iterator[Recording]]] = {"oil_3w": _oil_3w, "skab": _skab}
