"""Resident memory and disk over one million windows with fifty trainings on the way.

The recording of `tests.benchmarks.memory`, carried by a process of its own from `FileSource`
through `Pipeline` into `FileSink` while `Learning` trains anew by a count of windows: everything
default, the versions in a registry folder that keeps the newest. After every batch the process
reads its resident memory, the highest it ever had, and what lies in the registry.

*Steady* memory is what is resident between batches, *peak* the highest that the process ever had,
trainings included. Both may grow only so much once all that is bounded is full: the buffer is,
and the few detectors that stay loaded learned from a full one. Nobody labels anything and no
quarantine ends, so that no fault is learned as normal.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from stream_ad.config import Config, parse_config
from stream_ad.config.groups import DEFAULT
from stream_ad.detector import Detector
from stream_ad.groups import Groups
from stream_ad.pipeline import Pipeline
from stream_ad.progress import Silence
from stream_ad.service.keeping import Keeping
from stream_ad.stream import stream
from stream_ad.training.fit import learn_from
from stream_ad.training.learning import Learning
from stream_ad.training.promotions import PROMOTIONS, REFUSALS
from stream_ad.training.registry import Registry
from stream_ad.training.shelf import MOST_LOADED
from stream_ad.transport.base import Outputs
from stream_ad.transport.files import open_source
from stream_ad.transport.sinks import FileSink
from stream_ad.versions import Version
from tests.benchmarks.memory import GROWTH, MIB, PLANT, peak, resident
from tests.benchmarks.table import Figure, Grid, conclude, options, show

KIB = 1 << 10
QUARANTINE_S = 30 * 86_400  # longer than the recording
# detectors that are loaded besides the reference, which the first one stays
FRESH = MOST_LOADED - 1
RECORDING, REGISTRY, OUT, RESULT = "recording.csv", "registry", "out", "result.json"


@dataclass(frozen=True, slots=True)
class Run:
    """How much is carried, and after how many windows a detector is trained anew.

    Parameters
    ----------
    windows : int
        Of all machines.
    history : int
        The first of them, which the first detector learns from; they end before the first fault.
    buffer : int
        ``training.buffer_windows``.
    every : int
        ``training.every_windows``.
    keep : int
        ``registry.keep``.
    """

    windows: int
    history: int
    buffer: int
    every: int
    keep: int

    @property
    def trainings(self) -> int:
        """How many follow."""
        return (self.windows - self.history) // self.every

    @property
    def config(self) -> Config:
        """Defaults besides the grid, the buffer, the count and what is kept."""
        training = {"buffer_windows": self.buffer, "every_windows": self.every}
        sections = {
            "training": training | {"quarantine_s": QUARANTINE_S},
            "registry": {"keep": self.keep},
        }
        return parse_config(PLANT.config.model_dump(exclude_unset=True) | sections)


FULL = Run(windows=1_000_000, history=6_000, buffer=50_000, every=19_500, keep=10)
QUICK = Run(windows=14_000, history=2_000, buffer=3_000, every=2_300, keep=2)


@dataclass(frozen=True, slots=True)
class Disk:
    """What lies in a registry: versions, decisions, and what is neither; in bytes."""

    versions: int
    version_bytes: int
    largest: int
    decisions: int
    decision_bytes: int
    other_bytes: int

    @classmethod
    def of(cls, folder: Path) -> Disk:
        """Look at a group's folder."""
        each = [_size(path) for path in folder.iterdir() if path.name.isdecimal()]
        told = [path for name in (PROMOTIONS, REFUSALS) for path in (folder / name).glob("*.json")]
        known = sum(each), sum(path.stat().st_size for path in told)
        other = _size(folder) - sum(known)
        return cls(len(each), known[0], max(each), len(told), known[1], other)


@dataclass(frozen=True, slots=True)
class Reading:
    """Where things stand after a batch; memory in bytes."""

    windows: int
    trainings: int
    promoted: int
    taken: int
    resident: int
    peak: int
    disk: Disk


@dataclass(frozen=True, slots=True)
class Result:
    """What a process of its own leaves behind; sizes in bytes."""

    readings: list[Reading]
    history: int
    refusals: list[str]
    failures: list[str]
    incidents: int
    quarantined: int
    quarantine_bytes: int
    tried_bytes: int
    peak: int
    seconds: float

    @classmethod
    def from_json(cls, data: bytes) -> Result:
        """Read what `_carry` wrote."""
        known = orjson.loads(data)
        readings = [Reading(**one | {"disk": Disk(**one["disk"])}) for one in known["readings"]]
        return cls(**known | {"readings": readings})


class Registered:
    """A `stream_ad.training.retraining.Keeper` as the service has it, over a registry."""

    def __init__(self, registry: Registry, config: Config) -> None:
        self._registry, self._config = registry, config
        self._keeping = Keeping(registry, DEFAULT, lambda: None, config.registry.keep)
        self._keeping.after = registry.promotions()[-1].number

    def promote(self, detector: Detector, since: int, decision: Mapping[str, Any]) -> Version:
        """Keep a detector; return it as a worker loads it."""
        number = self._keeping.promote(detector, since, decision).promotion
        promotion = self._registry.promotion(number)
        return self._registry.version(promotion, PLANT.spec, self._config)

    def refuse(self, decision: Mapping[str, Any]) -> None:
        """Keep why not."""
        self._keeping.refuse(decision)


def growth(readings: Sequence[Reading], of: str, buffer: int, after: int) -> float:
    """Return by which share a kind of memory rose once the buffer was full.

    It begins when so many detectors were promoted that learned from a full buffer; NaN where it
    never came to that.
    """
    full = [one.promoted for one in readings if one.taken >= buffer]
    later = [getattr(one, of) for one in readings if full and one.promoted >= full[0] + after]
    return max(later) / later[0] - 1 if later else math.nan


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit code."""
    parser = options((__doc__ or "").splitlines()[0])
    parser.add_argument("--worker", type=Path, help="what the process of its own is told")
    arguments = parser.parse_args(argv)
    run = QUICK if arguments.quick else FULL
    if arguments.worker is not None:
        return _carry(arguments.worker, run)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        PLANT.write(Path(name) / RECORDING, run.windows // PLANT.machines)
        command = [sys.executable, "-m", "tests.benchmarks.memory_retrained", "--worker", name]
        subprocess.run([*command, *["--quick"] * arguments.quick], check=True)
        result = Result.from_json((Path(name) / RESULT).read_bytes())
    show(_table(result.readings))
    for sentence in (*result.refusals, *result.failures):
        print(sentence)
    minutes = Figure("minutes", (time.monotonic() - began) / 60, form=".1f")
    return conclude([*_figures(result, run), minutes], arguments, _each(result.readings))


def _table(readings: Sequence[Reading]) -> Grid:
    """Return the first reading and that after every fifth promotion."""
    last = readings[-1].promoted
    wanted = [0, 1, *range(5, last, 5), last]
    places = [next(i for i, one in enumerate(readings) if one.promoted >= n) for n in wanted]
    rows = [
        [
            f"{one.windows:,}",
            f"{one.promoted}",
            f"{one.resident / MIB:,.1f}",
            f"{one.peak / MIB:,.1f}",
            f"{one.disk.versions}",
            f"{one.disk.version_bytes / MIB:,.1f}",
            f"{one.disk.decisions}",
            f"{one.disk.decision_bytes / KIB:,.0f}",
        ]
        for one in (readings[place] for place in dict.fromkeys([*places, len(readings) - 1]))
    ]
    headings = ["windows", "promotions", "steady MiB", "peak MiB so far"]
    disk = ["versions", "their MiB", "decisions", "their KiB"]
    return Grid("Memory and disk on the way", [*headings, *disk], rows)


def _each(readings: Sequence[Reading]) -> dict[str, float]:
    """Return both kinds of memory after each promotion."""
    first = {one.promoted: one for one in reversed(readings)}
    return {
        f"{name} MiB after promotion {number}": size / MIB
        for number, one in sorted(first.items())
        for name, size in (("steady", one.resident), ("peak", one.peak))
    }


def _figures(result: Result, run: Run) -> Iterator[Figure]:
    readings, last = result.readings, result.readings[-1]
    disks = [one.disk for one in readings]
    kept = run.config.registry.keep + 1  # and the one that drift is judged by
    bound = kept * max(disk.largest for disk in disks)
    missing = run.windows - result.history - last.windows
    yield Figure("windows missing", missing, 0, "exactly", correctness=True)
    yield Figure("trainings", last.trainings, run.trainings, "exactly", correctness=True)
    yield Figure("promoted", last.promoted, 1, correctness=True)
    yield Figure("refused", len(result.refusals))
    yield Figure("failed", len(result.failures), 0, "exactly", correctness=True)
    for of, name in (("resident", "steady"), ("peak", "peak")):
        rise = growth(readings, of, run.buffer, FRESH)
        yield Figure(f"{name} growth", rise, GROWTH, "at most", ".1%")
        rise = growth(readings, of, run.buffer, 1)
        yield Figure(f"{name} growth since the first from a full buffer", rise, form=".1%")
    yield Figure("steady MiB at the end", last.resident / MIB, form=",.1f")
    yield Figure("peak MiB, final sort included", result.peak / MIB, form=",.1f")
    most = max(disk.versions for disk in disks)
    yield Figure("most versions on disk", most, kept, "at most", correctness=True)
    largest = max(disk.version_bytes for disk in disks)
    yield Figure(
        "most MiB of versions", largest / MIB, bound / MIB, "at most", ",.2f", correctness=True
    )
    other = max(disk.other_bytes for disk in disks)
    yield Figure("bytes of anything else", other, 0, "exactly", correctness=True)
    decisions = last.promoted + len(result.refusals) + 1
    yield Figure("decisions", last.disk.decisions, decisions, "exactly", correctness=True)
    yield Figure("KiB of a decision", last.disk.decision_bytes / decisions / KIB, form=".1f")
    yield Figure("incident events", result.incidents, 1, correctness=True, form=",d")
    tried = result.tried_bytes / KIB
    yield Figure("KiB of a training in the checkpoint", tried / last.trainings, form=".1f")
    yield Figure("incidents in the checkpoint", result.quarantined, form=",d")
    yield Figure("their KiB", result.quarantine_bytes / KIB, form=",.0f")
    yield Figure("windows per s", last.windows / result.seconds, form=",.0f")


def _carry(folder: Path, run: Run) -> int:
    """Carry the recording through the whole path and leave the result in the folder."""
    config, spec = run.config, PLANT.spec
    began = time.monotonic()
    source = open_source(folder / RECORDING, config, spec)
    cut = str(run.history * PLANT.length)
    detectors, history = learn_from(source, config, spec, cut, Silence())
    registry = Registry(str(folder / REGISTRY))
    registry.publish(detectors.pop(DEFAULT), history.until + 1, "the first")
    versions = registry.load(spec, config)
    readings: list[Reading] = []
    incidents = 0
    with FileSink(folder / OUT, source.identity(), "config") as sink:
        record = sink.extra.setdefault("trainings", {})
        keeper = Registered(registry, config)
        learning = Learning(
            Groups(config), spec, lambda _: keeper, versions, history.windows, record
        )
        learned = len(history.windows)
        del history
        retraining = learning.retrainings[DEFAULT]

        def see(outputs: Outputs) -> None:
            nonlocal incidents
            incidents += len(outputs.incidents)
            readings.append(
                Reading(
                    (readings[-1].windows if readings else 0) + len(outputs.scores),
                    len(learning.tried),
                    sum("version" in one for one in learning.tried),
                    retraining.buffer.taken,
                    resident(),
                    peak(),
                    Disk.of(folder / REGISTRY / DEFAULT),
                )
            )

        pipeline = Pipeline(config, spec, versions, keep=True)
        stream(source, pipeline, sink, 0, Silence(), see, learning)
        sink.finish()
    tried, quarantine = learning.tried, record[DEFAULT]["quarantine"]
    result = Result(
        readings,
        learned,
        [one["refused"] for one in tried if "refused" in one],
        [one["failed"] for one in tried if "failed" in one],
        incidents,
        len(quarantine),
        len(orjson.dumps(quarantine)),
        len(orjson.dumps(tried)),
        peak(),
        time.monotonic() - began,
    )
    (folder / RESULT).write_bytes(orjson.dumps(asdict(result)))
    return 0


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    sys.exit(main())
