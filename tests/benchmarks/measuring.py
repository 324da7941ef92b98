"""One recorded stream through the real path, once for our detector and for every baseline."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from stream_ad.config import Config, DetectorConfig, parse_config
from stream_ad.evaluation.baselines import BASELINES, fit_baseline
from stream_ad.evaluation.judgement import judge_run, spans_of
from stream_ad.evaluation.memory import run_in_memory
from stream_ad.evaluation.metrics import at_line
from stream_ad.evaluation.outputs import Run
from stream_ad.evaluation.rows import rows_from_windows
from stream_ad.pipeline import Pipeline
from stream_ad.progress import Silence
from stream_ad.training.fit import train
from stream_ad.training.history import History, collect_history
from stream_ad.versions import Judge, Version
from stream_ad.windows import WindowSpec
from tests.benchmarks.recordings import Recording
from tests.benchmarks.shrinking import STRESSED

PAIRS = (  # of model and scorer, measured beside the default whichever that is
    ("ae", "ares"),
    ("ae", "error"),
    ("linear", "ares"),
    ("linear", "error"),
)
DEFAULT = "default"

Pair = tuple[str, str]
Figures = dict[str, float | None]


def _ours() -> dict[str, Pair]:
    config = DetectorConfig()
    default = config.model, config.scorer
    others = {f"{model}/{scorer}": (model, scorer) for model, scorer in PAIRS}
    return {DEFAULT: default} | {k: pair for k, pair in others.items() if pair != default}


OURS = _ours()
DETECTORS = (*OURS, *BASELINES)
DRAWN = (*OURS, "kmeans", "iforest", "half_space_trees")  # those that a seed changes


@dataclass(frozen=True, slots=True)
class Row:
    """What one detector was worth on one stream with one seed; ``failure`` if it broke.

    ``seconds`` is what the row took, with the fit where it was the first to need it.
    """

    family: str
    stream: str
    detector: str
    seed: int
    figures: Figures
    seconds: float = 0.0
    failure: str | None = None


class Fitted(NamedTuple):
    """A detector, the history that it learned from, and how long the fit took."""

    judge: Judge
    history: History
    config: Config
    spec: WindowSpec
    seconds: float


def measure(
    recordings: Sequence[Recording], seeds: Sequence[int], detectors: Sequence[str] = DETECTORS
) -> list[Row]:
    """Run detectors over recordings that share one training part.

    Parameters
    ----------
    recordings : sequence of Recording
        Equal in ``training_digest``: each detector is fitted once for all of them. Those with
        shrunk faults are put to our detectors only.
    seeds : sequence of int
        Detectors that draw nothing take the first only.
    detectors : sequence of str
        Some of ``DETECTORS``.
    """
    assert len({recording.training_digest() for recording in recordings}) == 1
    rows: list[Row] = []
    plain = [r for r in recordings if r.family not in STRESSED.values()]
    for detector in detectors:
        for seed in seeds if detector in DRAWN else seeds[:1]:
            rows.extend(_rows(recordings if detector in OURS else plain, detector, seed))
    return rows


def settings(recording: Recording, detector: str, seed: int) -> Config:
    """Return the one config: defaults besides the grid, the seed and which model and scorer.

    A baseline's line stands still: that is what people have.
    """
    model, scorer = OURS.get(detector, OURS[DEFAULT])
    chosen = {"model": model, "scorer": scorer, "seed": seed}
    drift = {} if detector in OURS else {"max_per_day": 0}
    return parse_config({"windows": recording.windows(), "detector": chosen, "drift": drift})


def _rows(recordings: Sequence[Recording], detector: str, seed: int) -> Iterator[Row]:
    fitted: Fitted | None = None
    for recording in recordings:
        key = (recording.family, recording.name, detector, seed)
        began, figures, failure = time.perf_counter(), Figures(), None
        try:
            fitted = fitted or _fit(recording, detector, seed)
            figures = _judged(recording, fitted)
        except Exception as error:  # one broken row must not cost the others; it is counted
            failure = f"{type(error).__name__}: {error}"
        yield Row(*key, figures, time.perf_counter() - began, failure)


def _fit(recording: Recording, detector: str, seed: int) -> Fitted:
    config = settings(recording, detector, seed)
    spec = WindowSpec.from_config(config.windows)
    history = collect_history(recording, config, spec, rows=recording.history)
    began = time.perf_counter()
    judge: Judge
    if detector in OURS:
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
    return (
        _figures(record)
        | _static(recording, run, history.until)
        | {
            "budget_supported": float(judge.line_.budget_supported),
            "fit_s": seconds,
        }
    )


def _static(recording: Recording, run: Run, since: int) -> Figures:
    """Judge what the line would have said had nothing moved it."""
    rows, scored = recording.rows(), run.scored
    after = rows.time > since
    over = scored.static_score > 1
    _, alarm = rows_from_windows(
        rows.machine[after], rows.time[after], scored.machine, scored.end, scored.static_score, over
    )
    line = at_line(rows.label[after], alarm).to_dict()
    return {"static_f1": line["f1"], "static_false_alarm_rows": line["false_alarm_rate"]}


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
