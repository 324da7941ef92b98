"""One recorded stream through the real path, once for our detector and for every baseline."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from stream_ad.config import Config, parse_config
from stream_ad.evaluation.baselines import BASELINES, fit_baseline
from stream_ad.evaluation.judgement import judge_run, spans_of
from stream_ad.evaluation.memory import run_in_memory
from stream_ad.pipeline import Pipeline
from stream_ad.progress import Silence
from stream_ad.training.fit import train
from stream_ad.training.history import History, collect_history
from stream_ad.versions import Judge, Version
from stream_ad.windows import WindowSpec
from tests.benchmarks.recordings import Recording

SCORERS = ("ares", "error")  # our detector, the default scorer first
DETECTORS = (*SCORERS, *BASELINES)
DRAWN = (*SCORERS, "iforest", "half_space_trees")  # those that a seed changes

Figures = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Row:
    """What one detector was worth on one stream with one seed; ``failure`` if it broke."""

    family: str
    stream: str
    detector: str
    seed: int
    figures: Figures
    failure: str | None = None


class Fitted(NamedTuple):
    """A detector, the history that it learned from, and how long the fit took."""

    judge: Judge
    history: History
    config: Config
    spec: WindowSpec
    seconds: float


def measure(recordings: Sequence[Recording], seeds: Sequence[int]) -> list[Row]:
    """Run every detector over recordings that share one training part.

    Parameters
    ----------
    recordings : sequence of Recording
        Equal in ``training_digest``: each detector is fitted once for all of them.
    seeds : sequence of int
        Detectors that draw nothing take the first only.
    """
    assert len({recording.training_digest() for recording in recordings}) == 1
    rows: list[Row] = []
    for detector in DETECTORS:
        for seed in seeds if detector in DRAWN else seeds[:1]:
            rows.extend(_rows(recordings, detector, seed))
    return rows


def settings(recording: Recording, detector: str, seed: int) -> Config:
    """Return the one config: defaults besides the grid, the seed and which scorer."""
    scorer = detector if detector in SCORERS else SCORERS[0]
    return parse_config(
        {"windows": recording.windows(), "detector": {"scorer": scorer, "seed": seed}}
    )


def _rows(recordings: Sequence[Recording], detector: str, seed: int) -> Iterator[Row]:
    fitted: Fitted | None = None
    for recording in recordings:
        key = (recording.family, recording.name, detector, seed)
        try:
            fitted = fitted or _fit(recording, detector, seed)
            yield Row(*key, _judged(recording, fitted))
        except Exception as error:  # one broken row must not cost the others; it is counted
            yield Row(*key, {}, f"{type(error).__name__}: {error}")


def _fit(recording: Recording, detector: str, seed: int) -> Fitted:
    config = settings(recording, detector, seed)
    spec = WindowSpec.from_config(config.windows)
    history = collect_history(recording, config, spec, rows=recording.history)
    began = time.perf_counter()
    judge: Judge
    if detector in SCORERS:
        judge = train(history, config, spec, Silence())
    else:
        judge = fit_baseline(detector, history.windows, spec, config)
    return Fitted(judge, history, config, spec, time.perf_counter() - began)


def _judged(recording: Recording, fitted: Fitted) -> Figures:
    judge, history, config, spec, seconds = fitted
    pipeline = Pipeline(config, spec, [Version(judge, 1, history.until + 1)])
    run = run_in_memory(recording, pipeline, Silence())
    asked = config.alarm.budget_per_machine_day
    spans = spans_of(run.events)
    record = judge_run(recording.rows(), run.scored, spans, spec, history.until, asked)
    return _figures(record) | {
        "budget_supported": float(judge.line_.budget_supported),
        "fit_s": seconds,
    }


def _figures(record: dict[str, Any]) -> Figures:
    line, events, rows = record["at_line"], record["events"], record["rows"]
    ranking: Figures = record["ranking"]
    return ranking | {
        "f1": line["f1"],
        "false_alarm_rows": line["false_alarm_rate"],
        "missed_rows": line["missed_alarm_rate"],
        "event_recall": events["event_recall"],
        "delay_windows": events["median_delay_windows"],
        "asked_per_day": events["asked"],
        "false_per_day": events["false_alarms_per_machine_day"],
        "rows": float(rows["judged"]),
        "anomalous_share": rows["anomalous"] / rows["judged"],
    }
