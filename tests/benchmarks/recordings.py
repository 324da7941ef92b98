"""Recorded streams with known anomalies, each as a source of readings.

====== =====================================================================================
skab   water-circulation test bench, 25 files of about 19 minutes at 1 Hz, 8 sensors; the first
       400 rows of a file are its training part
smd    four server machines, one row a minute, 38 metrics; the last 12,000 training rows, then
       the first 20,000 test rows, which follow them without a gap
asd    six application servers, one row in five minutes, 19 metrics; rows as of smd, which are
       all 8,640 and all 4,320 that there are
tep    Tennessee Eastman process, simulated, one row in three minutes, 52 variables; ``d00``
       trains, each ``dNN_te`` is scored, its fault starts at row 160
oil_3w nine oil wells at 1 Hz, 8 sensors, with missing and impossible values; what nobody
       labelled is dropped and the rest counted through as if it were one hour after another;
       at most 6,000 rows on either side of the first anomalous one, the first 60 % of the
       normal ones before it are the training part
====== =====================================================================================

smd, asd, tep and oil_3w carry no clock that counts, so their rows are dated from an arbitrary
day on. The two files of a tep stream are two recordings of one plant; a day without readings
lies between them.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_ad.errors import InputError
from stream_ad.evaluation.judgement import LabelledRows
from stream_ad.transport.base import Batch
from stream_ad.transport.cells import to_float32
from stream_ad.windows import Readings
from stream_ad.windows.spec import NS, parse_rfc3339

LENGTH = 16  # rows of a window, everywhere
CHUNK = 4_096  # readings of a batch
SOME_DAY = parse_rfc3339("2024-01-01T00:00:00Z")
SKAB_FOLDERS = {".": "valve1", "valve2": "valve2", "other": "other"}
SKAB_HISTORY = 400
SERVER_HISTORY, SERVER_TEST = 12_000, 20_000  # rows of smd and asd
TEP_FAULT_ROW, TEP_GAP_S = 160, 86_400
OIL_CLASSES = ("1", "2")  # abrupt increase of BSW, spurious closure of the safety valve
OIL_NORMAL, OIL_SIDE = 900, 6_000  # fewest normal rows before a fault, most on either side
OIL_HISTORY = 0.6  # of the normal rows before
TEP_NAMES = [f"xmeas_{i}" for i in range(1, 42)] + [f"xmv_{i}" for i in range(1, 12)]


@dataclass(frozen=True, slots=True)
class Recording:
    """A labelled stream of one machine, cut into history and what is judged.

    It is a `stream_ad.transport.base.Source`: the labels are no part of the readings.

    Parameters
    ----------
    family, name, machine : str
    sensors : tuple of str
    period_s : int
    hop : int
        Slots between the starts of two windows.
    history : int
        The first so many rows are the training part.
    time : int64 array (n,)
        Ascending, nanoseconds.
    values : float32 array (n, C)
    label : float array (n,)
        1 = anomalous, 0 = normal.
    """

    family: str
    name: str
    machine: str
    sensors: tuple[str, ...]
    period_s: int
    hop: int
    history: int
    time: NDArray[np.int64]
    values: NDArray[np.float32]
    label: NDArray[np.float64]

    def windows(self) -> dict[str, Any]:
        """Return the section ``windows`` of its config."""
        return {
            "sensors": list(self.sensors),
            "period_s": self.period_s,
            "length": LENGTH,
            "hop": self.hop,
        }

    def rows(self) -> LabelledRows:
        """Return what the run is held against."""
        return LabelledRows(np.full(len(self.time), self.machine, object), self.time, self.label)

    def training_digest(self) -> str:
        """Return a fingerprint of everything that a fit can see."""
        digest = hashlib.sha256(repr((self.machine, self.windows(), self.history)).encode())
        digest.update(self.time[: self.history].tobytes())
        digest.update(self.values[: self.history].tobytes())
        return digest.hexdigest()

    def shortened(self, history: int, test: int) -> Recording:
        """Return the last rows of the history and the first that are judged."""
        first = max(0, self.history - history)
        part = slice(first, self.history + test)
        return replace(
            self,
            history=self.history - first,
            time=self.time[part],
            values=self.values[part],
            label=self.label[part],
        )

    def identity(self) -> str:
        """Return the name of the stream; nothing is resumed from it."""
        return f"{self.family}/{self.name}"

    def batches(self, position: int = 0) -> Iterator[Batch]:
        """Yield the readings from a row on."""
        for first in range(position, len(self.time), CHUNK):
            part = slice(first, min(first + CHUNK, len(self.time)))
            offset = np.arange(part.start, part.stop)
            machine: NDArray[np.object_] = np.full(len(offset), self.machine, object)
            readings = Readings(machine, self.time[part], self.values[part], offset)
            yield Batch(readings, [], part.stop)


def load(family: str, data: Path, most: int | None = None) -> list[Recording]:
    """Read the streams of a family.

    Parameters
    ----------
    family : str
        A key of ``FAMILIES``.
    data : Path
        Folder that holds the family's folder.
    most : int, optional
        Only the first so many.

    Raises
    ------
    InputError
        If there is none.
    """
    recordings = [] if not data.is_dir() else list(FAMILIES[family](data / family))
    if not recordings:
        raise InputError(f"no recorded streams of {family} in {data / family}")
    return recordings[:most]


def _skab(folder: Path) -> Iterator[Recording]:
    for part, valve in SKAB_FOLDERS.items():
        files = [f for f in (folder / part).glob("*.csv") if f.stem.isdecimal()]
        for file in sorted(files, key=lambda f: int(f.stem)):
            yield _skab_file(file, f"{valve}/{file.stem}")


def _skab_file(file: Path, name: str) -> Recording:
    from pyarrow import csv

    table = csv.read_csv(file, parse_options=csv.ParseOptions(delimiter=";"))
    truth = {"datetime", "anomaly", "changepoint"}
    sensors = tuple(column for column in table.column_names if column not in truth)
    time = table["datetime"].to_numpy().astype("datetime64[ns]").astype(np.int64)
    values = np.column_stack([table[s].to_numpy() for s in sensors]).astype(np.float32)
    label = table["anomaly"].to_numpy().astype(np.float64)
    return Recording("skab", name, name, sensors, 1, 1, SKAB_HISTORY, time, values, label)


def _smd(folder: Path) -> Iterator[Recording]:
    return (_server("smd", file, 60) for file in sorted(folder.glob("machine-*.npz")))


def _asd(folder: Path) -> Iterator[Recording]:
    return (_server("asd", file, 300) for file in sorted(folder.glob("omi-*.npz")))


def _server(family: str, file: Path, period_s: int) -> Recording:
    with np.load(file) as arrays:
        history, test = arrays["train"][-SERVER_HISTORY:], arrays["test"][:SERVER_TEST]
        truth = arrays["test_label"][:SERVER_TEST]
    values = np.concatenate([history, test]).astype(np.float32)
    label = np.concatenate([np.zeros(len(history)), truth])
    sensors = tuple(f"metric_{i}" for i in range(1, values.shape[1] + 1))
    time, name = _counted(len(values), period_s), file.stem
    return Recording(family, name, name, sensors, period_s, 4, len(history), time, values, label)


def _counted(rows: int, period_s: int) -> NDArray[np.int64]:
    return SOME_DAY + np.arange(rows, dtype=np.int64) * (period_s * NS)


def _tep(folder: Path) -> Iterator[Recording]:
    for file in sorted(folder.glob("*.npz")):
        with np.load(file) as arrays:
            faults = sorted(k for k in arrays.files if re.fullmatch(r"d(?!00)\d\d_te", k))
            for fault in faults:
                yield _tep_stream(fault.removesuffix("_te"), arrays["d00"], arrays[fault])


def _tep_stream(name: str, normal: NDArray[np.float64], test: NDArray[np.float64]) -> Recording:
    period = 180
    slot = np.arange(len(normal) + len(test))
    slot[len(normal) :] += TEP_GAP_S // period
    label = np.zeros(len(slot))
    label[len(normal) + TEP_FAULT_ROW :] = 1
    values = np.concatenate([normal, test]).astype(np.float32)
    time = SOME_DAY + slot * (period * NS)
    return Recording(
        "tep", name, "plant", tuple(TEP_NAMES), period, 1, len(normal), time, values, label
    )


def _oil_3w(folder: Path) -> Iterator[Recording]:
    for kind in OIL_CLASSES:
        for file in sorted((folder / kind).glob("WELL-*.npz")):
            with np.load(file) as arrays:
                known = arrays["y"] >= 0
                values, label = arrays["X"][known], arrays["y"][known] > 0
                sensors = tuple(map(str, arrays["columns"]))
            fault = int(label.argmax())
            if label.any() and fault >= OIL_NORMAL:
                yield _oil_stream(f"{kind}/{file.stem}", sensors, values, label, fault)


def _oil_stream(
    name: str,
    sensors: tuple[str, ...],
    values: NDArray[np.float32],
    label: NDArray[np.bool_],
    fault: int,
) -> Recording:
    part = slice(max(0, fault - OIL_SIDE), fault + OIL_SIDE)
    history = int(OIL_HISTORY * (fault - part.start))
    # as a file's cells are read: what no float32 holds is missing
    kept, truth = (
        to_float32(values[part].astype(np.float64), Counter()),
        label[part].astype(np.float64),
    )
    time, machine = _counted(len(kept), 1), name.rpartition("/")[2]
    return Recording("oil_3w", name, machine, sensors, 1, 4, history, time, kept, truth)


FAMILIES: dict[str, Callable[[Path], Iterator[Recording]]] = {
    "skab": _skab,
    "smd": _smd,
    "asd": _asd,
    "tep": _tep,
    "oil_3w": _oil_3w,
}
