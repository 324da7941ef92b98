"""Resident memory over one million windows through the whole path: it has to stay flat.

A recording is generated to disk, with faults, silent sensors and unreadable rows. A process
of its own loads a detector and carries the recording from `FileSource` through `Pipeline`
into `FileSink`, reading its resident memory after every batch. Growth is the highest memory
after the first windows over the memory when they were done; the peak is what the operating
system saw, the final sort included.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import orjson

from stream_ad.detector import Detector
from stream_ad.pipeline import Pipeline
from stream_ad.progress import Silence
from stream_ad.stream import stream
from stream_ad.transport.base import Outputs
from stream_ad.transport.files import open_source
from stream_ad.transport.sinks import FileSink
from stream_ad.versions import Version
from tests.benchmarks.generated import Plant
from tests.benchmarks.table import Figure, Grid, conclude, options, show

PLANT = Plant(machines=16, sensors=4, length=16, rough=True)
BANK = 1_000
WINDOWS, QUICK_WINDOWS = 1_000_000, 60_000
SETTLED = 50_000  # windows after which memory has to stay where it is
GROWTH = 0.05
MIB = 1 << 20


@dataclass(slots=True)
class Tally:
    """What came out so far, and the resident memory after each batch, in bytes."""

    windows: list[int]
    resident: list[int]
    incidents: int = 0
    dead: int = 0
    peak: int = 0
    seconds: float = 0.0

    def see(self, outputs: Outputs) -> None:
        """Count a batch and read the memory."""
        so_far = self.windows[-1] if self.windows else 0
        self.windows.append(so_far + len(outputs.scores))
        self.incidents += len(outputs.incidents)
        self.dead += len(outputs.dead)
        self.resident.append(resident())

    def growth(self) -> float:
        """Return by which share the memory rose after it should have settled."""
        settled = np.array(self.resident)[np.array(self.windows) >= SETTLED]
        return float(settled.max() / settled[0] - 1)

    def rows(self) -> list[list[str]]:
        """Return the memory at some points on the way, for the table."""
        wanted = [0, SETTLED, *np.linspace(0, self.windows[-1], 11)[1:].tolist()]
        places = np.unique(np.searchsorted(self.windows, sorted(wanted)))
        places = np.minimum(places, len(self.windows) - 1)
        return [[f"{self.windows[i]:,}", f"{self.resident[i] / MIB:,.1f}"] for i in places]


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    """Return the highest resident memory that this process ever had, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit code."""
    parser = options((__doc__ or "").splitlines()[0])
    parser.add_argument("--worker", type=Path, help="what the process of its own is told")
    arguments = parser.parse_args(argv)
    if arguments.worker is not None:
        return _carry(arguments.worker)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        each = (QUICK_WINDOWS if arguments.quick else WINDOWS) // PLANT.machines
        PLANT.write(folder / "recording.csv", each)
        size = (folder / "recording.csv").stat().st_size
        PLANT.detector(BANK).save(folder / "model")
        command = [sys.executable, "-m", "tests.benchmarks.memory", "--worker", name]
        subprocess.run(command, check=True)
        tally = Tally(**orjson.loads((folder / "tally.json").read_bytes()))
    show(Grid("Resident memory", ["windows", "MiB"], tally.rows()))
    windows = tally.windows[-1]
    figures = [
        Figure("windows missing", each * PLANT.machines - windows, 0, "exactly", correctness=True),
        Figure("growth", tally.growth(), GROWTH, "at most", form=".1%"),
        Figure("resident MiB at the end", tally.resident[-1] / MIB, form=",.1f"),
        Figure("peak MiB", tally.peak / MIB, form=",.1f"),
        Figure("machines", PLANT.machines),
        Figure("recording MB", size / 1e6, form=",.0f"),
        Figure("incident events", tally.incidents, 1, correctness=True, form=",d"),
        Figure("dead letters", tally.dead, 1, correctness=True, form=",d"),
        Figure("windows per s", windows / tally.seconds, form=",.0f"),
        Figure("minutes", (time.monotonic() - began) / 60, form=".1f"),
    ]
    return conclude(figures, arguments)


def _carry(folder: Path) -> int:
    """Carry the recording through the whole path and leave the tally in the folder."""
    config, spec = PLANT.config, PLANT.spec
    detector = Detector.load(folder / "model", device="cpu")
    tally = Tally([], [])
    began = time.monotonic()
    source = open_source(folder / "recording.csv", config, spec)
    with FileSink(folder / "out", source.identity(), "config") as sink:
        pipeline = Pipeline(config, spec, [Version(detector, 1, 0)])
        stream(source, pipeline, sink, 0, Silence(), tally.see)
        sink.finish()
    tally.seconds, tally.peak = time.monotonic() - began, peak()
    (folder / "tally.json").write_bytes(orjson.dumps(asdict(tally)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
