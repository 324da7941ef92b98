"""A simulated factory through the real program, fast enough to watch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from simulators import FAULT_KINDS, Factory
from simulators.dialect import Dialect
from simulators.writers import WRITERS, write_faults
from stream_ad.config import Config, load_config
from stream_ad.errors import ConfigError
from stream_ad.progress import Progress
from stream_ad.replay import ReplayOptions, replay
from stream_ad.transport.base import Batch, Outputs, Source
from stream_ad.transport.durable import TEMPORARY, put, writing

MACHINES, SENSORS, PERIOD_S = 3, 8, 60.0
DAYS, HISTORY_DAYS = 21.0, 14.0  # two weeks to learn from, so that the line knows a weekend
TRAINED_EVERY_DAYS = 3.0
FAULTS, SEVERITY = 8, 2.0
LABEL = "label"
DAY_S = 86_400.0
RECORDING, CONFIG = "factory.csv", "demo.yaml"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """How the demo runs.

    Parameters
    ----------
    out : Path
        Folder for the recording, its config and the results.
    seed : int
        Of the factory and of the training.
    seconds : float
        About how long the scored week takes on the screen; 0 = as fast as it goes.
    """

    out: Path
    seed: int = 0
    seconds: float = 25.0


class Paced:
    """A source whose latter part comes in small steps, with pauses to watch them.

    Parameters
    ----------
    source : Source
    first, rows : int
        The first record to pause at, and how many records there are.
    seconds : float
        All pauses together.
    step : int
        Records in a step.
    """

    def __init__(
        self, source: Source, first: int, rows: int, seconds: float, step: int = 300
    ) -> None:
        self._source, self._first, self._step = source, first, step
        self._pause = seconds * step / max(rows - first, 1)

    def batches(self, position: int = 0) -> Iterator[Batch]:
        """Yield the same records, cut smaller."""
        for batch in self._source.batches(position):
            records = batch.records
            for first in range(0, len(records), self._step):
                part = records.take(slice(first, first + self._step))
                last = first + self._step >= len(records)
                end = batch.position if last else int(part.offset[-1]) + 1
                if end > self._first:
                    time.sleep(self._pause)
                yield Batch(part, batch.dead if last else (), end, batch.counts if last else {})


def claim(out: Path) -> None:
    """Make the demo's folder, or take that of an earlier demo, whose files are written anew.

    Raises
    ------
    OutputError
        It cannot be written.
    ConfigError
        Something else is in it.
    """
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in out.iterdir()}
    # what a killed `put` left is nobody's
    others = sorted(name for name in names if not (name[0] == "." and name.endswith(TEMPORARY)))
    if not others or _is_a_demos(out / CONFIG):
        return
    what = next((name for name in (CONFIG, RECORDING) if name in names), others[0])
    allowed = f"a new or empty folder, or that of an earlier demo: {what} stands in this one"
    if what == CONFIG:
        allowed += " and is not as a demo writes it"
    raise ConfigError("--out", str(out), allowed)


def _is_a_demos(config: Path) -> bool:
    try:
        text = config.read_text(encoding="utf-8")
        seed = yaml.safe_load(text)["detector"]["seed"]
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError):
        return False
    return type(seed) is int and seed >= 0 and text == _settings(_factory(seed), seed)


def _factory(seed: int) -> Factory:
    return Factory(MACHINES, SENSORS, PERIOD_S, seed, disorder_s=90.0)


def write_factory(options: DemoOptions) -> tuple[Path, Path]:
    """Write the simulated recording and a config for it.

    Returns
    -------
    (Path, Path)
        ``factory.csv`` and ``demo.yaml`` in the demo's folder.

    Raises
    ------
    ConfigError, OutputError
        The folder is another's, or cannot be written.
    """
    claim(options.out)
    factory, config = _factory(options.seed), options.out / CONFIG
    put(config, _settings(factory, options.seed).encode())  # first: it says whose the folder is
    duration = DAYS * DAY_S
    # an intermittent fault is labelled burst by burst: as many events as bursts
    kinds = [kind for kind in FAULT_KINDS if kind != "intermittent"]
    faults = factory.schedule(
        FAULTS, duration, HISTORY_DAYS * DAY_S, kinds=kinds, severity=SEVERITY
    )
    recording = options.out / RECORDING
    with writing(recording):
        WRITERS["csv"](
            factory.readings(duration_s=duration, faults=faults), recording, Dialect(label=LABEL)
        )
        listed = options.out / f"{RECORDING}.faults.csv"
        write_faults(faults, listed, factory.layout, factory.start_ns)
    return recording, config


def _settings(factory: Factory, seed: int) -> str:
    """Return the text of the demo's config."""
    settings = {
        "windows": {
            "sensors": [{"name": s.name, "unit": s.unit} for s in factory.layout.sensors],
            "period_s": PERIOD_S,
            "length": 16,
            "hop": 8,
            "disorder_s": 90.0,
            "max_gap_s": 300.0,
        },
        "detector": {"seed": seed},
        "training": {
            "history_share": HISTORY_DAYS / DAYS,
            "every_s": TRAINED_EVERY_DAYS * DAY_S,
        },
    }
    return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)


def demo(
    options: DemoOptions, progress: Progress, watch: Callable[[Outputs], None]
) -> dict[str, Any]:
    """Simulate a factory, learn from its first two weeks, score the third, train anew on the way.

    Parameters
    ----------
    options : DemoOptions
    progress : Progress
    watch : callable
        Sees the outputs of every step.

    Returns
    -------
    dict
        What ``metrics.json`` says.

    Raises
    ------
    ConfigError, OutputError
        The folder is another's, or cannot be written.
    """
    progress.stage(f"simulating {MACHINES} machines for {DAYS:g} days", None)
    recording, file = write_factory(options)
    config: Config = load_config(file)
    # an older demo in this folder is not to be gone on with: its recording was rewritten
    (options.out / "checkpoint.json").unlink(missing_ok=True)
    return replay(
        ReplayOptions(recording, options.out, label_column=LABEL),
        config,
        progress,
        wrap_source=lambda source, rows: Paced(
            source, round(rows * HISTORY_DAYS / DAYS), rows, options.seconds
        ),
        watch=watch,
    )
