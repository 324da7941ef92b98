"""Windows per second of the detector and of the whole replay path, beside bare ceilings.

The first ceiling has scaled windows in memory: model forward, search of the 10 nearest in the
whole bank in float32 (exact, and with hnswlib too where the detector searches with it),
equation 8 in numpy, in the fastest block size and kind of search of a few tried. The second
one reads the same CSV file with pyarrow into float arrays before it, and writes the scores as
CSV behind it. The detector scales, scores and checks windows in sensor units; the whole path is
`FileSource` -> `Pipeline` -> `FileSink` with grid, states, alarm line, m-of-n, incidents,
checkpoints and the final sort. Product and ceiling take turns, so that a machine that slows
down slows both; the ratio is the median over turns.

Both ceilings compute what `ae` with `ares` does, and the targets are of that pair. The default
detector stands beside it without a target, against ceilings of its own: its model, its bank, the
mean distance to the 10 nearest. They know nothing of its other lines of evidence and of tail
units, so its ratio says what the whole of it costs above the least of it.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.csv as arrow_csv

from stream_ad.detector import Detector
from stream_ad.detector.blocks import one_thread
from stream_ad.pipeline import Pipeline
from stream_ad.progress import Silence
from stream_ad.stream import stream
from stream_ad.transport.files import open_source
from stream_ad.transport.sinks import FileSink
from stream_ad.versions import Version
from tests.benchmarks.bare import Bare
from tests.benchmarks.generated import Plant
from tests.benchmarks.table import Figure, Grid, conclude, options, show

DETECTOR_TARGET, WHOLE_TARGET = 0.8, 0.5
SHAPES = (8, 64), (38, 32)  # sensors, slots
MACHINES = 8
CHECKPOINT_S = 0.5  # ten times as often as by default, so that each run has some
RECALL = 0.98  # of an index that is not exact, as it measured itself when it was built
SAME_SCORE = 1e-3  # relative: the ceiling's search is in float32
JUDGED = "ares"  # the scorer that the targets are of


@dataclass(frozen=True, slots=True)
class Effort:
    """Shapes, banks, windows of the recording, and how often product and ceiling take turns."""

    shapes: tuple[tuple[int, int], ...]
    banks: tuple[int, ...]
    windows: int
    turns: int


FULL = Effort(SHAPES, (1_000, 10_000, 100_000), 16_384, 9)
QUICK = Effort(SHAPES[:1], (500,), 2_048, 3)


@dataclass(frozen=True, slots=True)
class Speeds:
    """Windows per second of a detector of one shape with one bank, and what must be right.

    Only those of `ae` with `ares` have targets of speed, and scores to hold against the
    ceiling's.
    """

    name: str
    judged: bool
    ceiling: float
    detector: float
    file_ceiling: float
    whole: float
    detector_ratio: float
    whole_ratio: float
    tried: str
    rows_missing: int
    score_apart: float
    index: str
    recall: float

    def row(self) -> list[str]:
        """Return the cells of the table."""
        speeds = self.ceiling, self.detector, self.file_ceiling, self.whole
        return [self.name, self.tried, self.index, *(f"{speed:,.0f}" for speed in speeds)]

    def figures(self) -> list[Figure]:
        """Return what is judged."""
        name, ratios = self.name, (self.detector_ratio, self.whole_ratio)
        targets = (DETECTOR_TARGET, WHOLE_TARGET) if self.judged else (None, None)
        recall = Figure(f"recall {name}", self.recall, RECALL, form=".3f", correctness=True)
        apart = Figure(
            f"scores apart {name}", self.score_apart, SAME_SCORE, "at most", correctness=True
        )
        return [
            *([recall] if self.index == "hnsw" else []),
            Figure(f"detector/ceiling {name}", ratios[0], targets[0], form=".2f"),
            Figure(f"whole/ceiling {name}", ratios[1], targets[1], form=".2f"),
            Figure(f"rows missing {name}", self.rows_missing, 0, "exactly", correctness=True),
            *([apart] if self.judged else []),
        ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit code."""
    arguments = options((__doc__ or "").splitlines()[0]).parse_args(argv)
    effort = QUICK if arguments.quick else FULL
    began = time.monotonic()
    with one_thread(), tempfile.TemporaryDirectory() as folder:  # one, as the product scores
        speeds = [
            measured
            for sensors, length in effort.shapes
            for measured in _shape(Plant(MACHINES, sensors, length), effort, Path(folder))
        ]
    headings = ["sensors x slots, bank", "ceiling by", "detector by"]
    headings += ["ceiling 1", "detector", "ceiling 2", "whole path"]
    show(Grid("Windows per second", headings, [s.row() for s in speeds]))
    figures = [figure for s in speeds for figure in s.figures()]
    figures.append(Figure("minutes", (time.monotonic() - began) / 60, form=".1f"))
    per_second = {
        f"{kind} {s.name}": value
        for s in speeds
        for kind, value in (
            ("ceiling_1_per_s", s.ceiling),
            ("detector_per_s", s.detector),
            ("ceiling_2_per_s", s.file_ceiling),
            ("whole_per_s", s.whole),
        )
    }
    return conclude(figures, arguments, per_second)


def _shape(plant: Plant, effort: Effort, folder: Path) -> list[Speeds]:
    recording = folder / f"{plant.sensors}x{plant.length}.csv"
    each = effort.windows // plant.machines
    plant.write(recording, each)
    speeds = [
        _speeds(plant, fit(plant, bank), recording, each, effort.turns)
        for bank in effort.banks
        for fit in (Plant.detector, _default)
    ]
    recording.unlink()
    return speeds


def _default(plant: Plant, bank: int) -> Detector:
    """Fit the default detector as `Plant.detector` fits its own."""
    past = replace(plant, machines=1, seed=plant.seed + 1).windows(bank, faults=False)
    detector = Detector(bank_windows=bank, device="cpu", seed=plant.seed)
    detector.fit_windows(past, plant.spec).set_budget(plant.config.alarm)
    assert detector.report_["bank"] == bank
    return detector


def _speeds(plant: Plant, detector: Detector, recording: Path, each: int, turns: int) -> Speeds:
    n, out = each * plant.machines, recording.parent / "out"
    windows, judged = plant.windows(each), detector.scorer == JUDGED
    values, start, bank = windows.values, windows.start, detector.report_["bank"]
    scaled = detector._fitted().scaler.scale(values, start)
    bare = Bare(detector, scaled[: min(n, 2048)])
    plain, raw = bare.scores(scaled), detector.decision_function(values, start)
    # the median: where the nearest are very near, float32 leaves few digits of a distance
    apart = np.abs(plain - raw) / np.maximum(np.abs(raw), np.median(np.abs(raw)))
    ceiling, scored, ratio = _turns(
        lambda: bare.scores(scaled), lambda: detector.score(values, start), turns
    )
    file_ceiling, whole, whole_ratio = _turns(
        lambda: bare.replay(recording, recording.with_suffix(".scores"), plant),
        lambda: _replay(plant, detector, recording, out),
        turns,
    )
    rows = arrow_csv.read_csv(out / "scores.csv").num_rows
    shutil.rmtree(out)
    return Speeds(
        f"{plant.sensors}x{plant.length} {bank // 1000 or bank / 1000:g}k"
        + ("" if judged else " default"),
        judged,
        n / ceiling,
        n / scored,
        (n + plant.machines) / file_ceiling,
        n / whole,
        ratio,
        whole_ratio * n / (n + plant.machines),
        f"{bare.search.__name__.removeprefix('_by_')}, {bare.block}",
        n - rows,
        float(np.median(apart)),
        detector.card["index"],
        detector.card["index_check"].get("recall", 1.0),
    )


def _replay(plant: Plant, detector: Detector, recording: Path, out: Path) -> None:
    config, spec = plant.config, plant.spec
    source = open_source(recording, config, spec)
    with FileSink(out, "recording", "config", checkpoint_s=CHECKPOINT_S) as sink:
        pipeline = Pipeline(config, spec, [Version(detector, 1, 0)])
        stream(source, pipeline, sink, 0, Silence())
        sink.finish()


def _turns(
    ceiling: Callable[[], object], product: Callable[[], object], turns: int
) -> tuple[float, float, float]:
    """Return the median seconds of both, one after the other, and the median of their ratio."""
    taken: tuple[list[float], list[float]] = ([], [])
    for turn in range(turns + 1):
        for seconds, run in zip(taken, (ceiling, product), strict=True):
            began = time.perf_counter()
            run()
            if turn:  # the first one warms up
                seconds.append(time.perf_counter() - began)
    ratio = statistics.median(a / b for a, b in zip(*taken, strict=True))
    return statistics.median(taken[0]), statistics.median(taken[1]), ratio


if __name__ == "__main__":
    sys.exit(main())
