"""What a finished replay was worth: ``metrics.json`` and ``report.html``."""

from __future__ import annotations

import importlib.util
import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import orjson

from stream_ad import __version__
from stream_ad.alerting import swallowing_words, swallowing_zone
from stream_ad.config import DriftConfig
from stream_ad.errors import MissingDependency
from stream_ad.evaluation.baselines import BASELINES, fit_baseline
from stream_ad.evaluation.events import DAY_NS, scored_days
from stream_ad.evaluation.judgement import LabelledRows, budget_record, judge_run, spans_of
from stream_ad.evaluation.memory import run_in_memory
from stream_ad.evaluation.outputs import Run, read_run
from stream_ad.evaluation.traces import incident_views
from stream_ad.pipeline import Pipeline
from stream_ad.progress import Progress
from stream_ad.report import Timeline, write_report
from stream_ad.training.fit import sensors_without_history
from stream_ad.training.history import History, Sized, collect_history
from stream_ad.training.labels_used import sentences
from stream_ad.transport.durable import put
from stream_ad.transport.files import FileSource
from stream_ad.transport.labels import read_labels
from stream_ad.versions import Version
from stream_ad.windows import rfc3339
from stream_ad.windows.spec import NS

MOST_MOVED = 20  # machines named


class Recording(Sized, Protocol):
    """An input that can be read again."""

    @property
    def title(self) -> str:
        """What people call it."""
        ...


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that a finished run is judged by.

    Parameters
    ----------
    source : Recording
        Its input.
    pipeline : Pipeline
        As it stands after the last batch.
    input_counts : Counter of str
        Dead letters and masked cells of the whole input.
    label_column : str or None
        Where the truth stands, in a file.
    progress : Progress
    trainings : sequence of dict or None
        A record of each training on the way; None where none was to be.
    told : mapping of str to int or None
        What became of the labels that operators gave, as of `labels_used.account`.
    """

    source: Recording
    pipeline: Pipeline
    input_counts: Counter[str]
    label_column: str | None
    progress: Progress
    trainings: Sequence[Mapping[str, Any]] | None = None
    told: Mapping[str, int] | None = None

    @property
    def since(self) -> int:
        """End of the history, in ns."""
        return self.pipeline.lineup.versions[0].effective_from - 1

    def labels(self) -> LabelledRows | None:
        """Return the labelled rows, if a label column was named."""
        if self.label_column is None:
            return None
        assert isinstance(self.source, FileSource)
        config, spec = self.pipeline.config, self.pipeline.spec
        # a window record is dated by its start; what it tells is known at its end
        lasting = spec.window_ns if config.input.format == "window" else 0
        machine, time, label = read_labels(
            self.source.path, config, self.label_column, after=self.since - lasting
        )
        return LabelledRows(machine, time + lasting, label, lasting)

    def judge(self, run: Run, rows: LabelledRows, pipeline: Pipeline) -> dict[str, Any]:
        """Hold one run against the truth."""
        asked = self.pipeline.config.alarm.budget_per_machine_day
        spans = spans_of(run.events)
        muted = _muted_days(pipeline)
        return judge_run(
            rows, run.scored, spans, self.pipeline.spec, self.since, asked, muted_days=muted
        )

    def budget(self, run: Run, rows: LabelledRows | None, pipeline: Pipeline) -> dict[str, Any]:
        """Hold the asked budget against what the run of a pipeline achieved."""
        spec, asked = self.pipeline.spec, self.pipeline.config.alarm.budget_per_machine_day
        days = scored_days(run.scored.machine, run.scored.start, spec.hop_ns)
        days -= _muted_days(pipeline)
        known = [] if rows is None else rows.events(spec.period_ns)
        line = pipeline.lineup.versions[-1].detector.line_
        return budget_record(line, spans_of(run.events), days, asked, known)


def check_baselines() -> None:
    """Refuse baselines that cannot be run before any work is done.

    Raises
    ------
    MissingDependency
        Without the packages of the ``eval`` extra.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise MissingDependency('--baselines needs scikit-learn: pip install "stream-ad[eval]"')


def evaluate(folder: Path, evaluation: Evaluation, *, baselines: bool) -> dict[str, Any]:
    """Write ``metrics.json`` and ``report.html`` for a run whose outputs are complete.

    Parameters
    ----------
    folder : Path
        Holds ``scores.csv`` and ``alerts.jsonl``.
    evaluation : Evaluation
    baselines : bool
        Whether to run the usual detectors over the same windows.

    Returns
    -------
    dict
        What ``metrics.json`` says.

    Raises
    ------
    MissingDependency
        For a baseline whose package is not installed.
    """
    pipeline, progress = evaluation.pipeline, evaluation.progress
    run = read_run(folder, pipeline.spec)
    rows = evaluation.labels()
    metrics = _facts(run, evaluation, rows)
    if rows is not None:
        metrics |= evaluation.judge(run, rows, pipeline)
    if baselines:
        metrics["baselines"] = _baselines(evaluation, rows)
    progress.stage("tracing incidents", evaluation.source.rows())
    views = incident_views(run.events, evaluation.source, pipeline, progress)
    progress.stage("writing the report", None)
    record = orjson.dumps(metrics, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)
    put(folder / "metrics.json", record)
    write_report(
        folder / "report.html",
        title=evaluation.source.title,
        metrics=metrics,
        timelines=_timelines(run, rows, pipeline),
        incidents=views,
        notes=_notes(evaluation, metrics["line"]),
    )
    return metrics


def _facts(run: Run, evaluation: Evaluation, rows: LabelledRows | None) -> dict[str, Any]:
    """Return what is known without baselines: windows, counts, budget, model."""
    pipeline = evaluation.pipeline
    counts: Counter[str] = Counter(evaluation.input_counts)
    states = [*pipeline.states()]
    for state in states:
        counts.update(state.counts)
        if state.grid.gate.waiting is not None:  # never confirmed: the input is over
            counts["jump"] += state.grid.gate.waiting.rows
    windows = {
        "closed": counts.pop("windows", 0),
        "scored": counts.pop("scored", 0),
        "too_much_missing": counts.pop("too_much_missing", 0),
        "before_model": counts.pop("before_model", 0),
        "muted": counts.pop("muted", 0),
    }
    version = pipeline.lineup.versions[-1]
    opened = Counter(event.kind for event in run.events if event.event == "opened")
    also = {"trainings": evaluation.trainings, "labels": evaluation.told}
    return {
        "machines": len(states),
        "sensors_without_history": sensors_without_history(version.detector, pipeline.spec),
        "windows": windows,
        "counts": dict(sorted((k, v) for k, v in counts.items() if v)),
        "incidents": {kind: opened[kind] for kind in ("process", "data_quality", "drift")},
        "line": _line(pipeline),
        "budget": evaluation.budget(run, rows, pipeline),
        "model": _model(version),
        "versions": {"stream_ad": __version__, "python": platform.python_version()},
    } | {key: value for key, value in also.items() if value is not None}


def _line(pipeline: Pipeline) -> dict[str, Any]:
    """Return how far the alarm lines moved, and the zone in which they can swallow a fault."""
    states = {m: s for held in pipeline.partitions.values() for m, s in held.states.items()}
    lines = {machine: state.alerts.line for machine, state in states.items()}
    highest = _farthest({machine: line.highest for machine, line in lines.items()})
    first = {machine: state.alerts.reference for machine, state in states.items()}
    away = _farthest({machine: line.offset for machine, line in first.items() if line is not None})
    return {
        "highest_offset": max(highest.values(), default=0.0),
        "machines_moved": len(highest),
        "highest_offsets": dict(islice(highest.items(), MOST_MOVED)),
        **({"from_first_version": dict(islice(away.items(), MOST_MOVED))} if away else {}),
        "reported_moves": sum(state.counts["line_moved"] for state in states.values()),
        "swallows": swallowing_zone(pipeline.config.drift, pipeline.spec.hop_ns),
    }


def _farthest(moves: Mapping[str, float]) -> dict[str, float]:
    """Return the machines whose figure is not 0, the largest first."""
    moved = {machine: by for machine, by in moves.items() if by}
    return {machine: moved[machine] for machine in sorted(moved, key=lambda m: (-moved[m], m))}


def _model(version: Version) -> dict[str, Any]:
    card = getattr(version.detector, "card", {})
    kept = ("model", "scorer", "network", "index", "windows", "fit")
    return {"version": version.number, "effective_from": rfc3339(version.effective_from)} | {
        key: card[key] for key in kept if key in card
    }


def _baselines(evaluation: Evaluation, rows: LabelledRows | None) -> dict[str, Any]:
    pipeline, source, progress = evaluation.pipeline, evaluation.source, evaluation.progress
    config, spec = pipeline.config, pipeline.spec
    progress.stage("history for the baselines", source.rows())
    history = collect_history(source, config, spec, time=evaluation.since, progress=progress.at)
    return {name: _baseline(name, history, evaluation, rows) for name in BASELINES}


def _baseline(
    name: str, history: History, evaluation: Evaluation, rows: LabelledRows | None
) -> dict[str, Any]:
    config, spec = evaluation.pipeline.config, evaluation.pipeline.spec
    evaluation.progress.stage(f"baseline {name}", evaluation.source.rows())
    judge = fit_baseline(name, history.windows, spec, config)
    # their lines stay where they are put, as those of the usual detectors do
    still = config.model_copy(update={"drift": DriftConfig(max_per_day=0)})
    pipeline = Pipeline(still, spec, [Version(judge, 0, evaluation.since + 1)])
    run = run_in_memory(evaluation.source, pipeline, evaluation.progress)
    return {"budget": evaluation.budget(run, rows, pipeline)} | (
        {} if rows is None else evaluation.judge(run, rows, pipeline)
    )


def _muted_days(pipeline: Pipeline) -> float:
    """Return the scored machine-days in which no alarm could come."""
    muted = sum(state.counts["muted"] for state in pipeline.states())
    return muted * pipeline.spec.hop_ns / DAY_NS


def _timelines(run: Run, rows: LabelledRows | None, pipeline: Pipeline) -> list[Timeline]:
    spans: dict[str, list[tuple[int, int]]] = {}
    if rows is not None:
        for event in rows.events(pipeline.spec.period_ns):
            spans.setdefault(event.machine, []).append((event.start, event.end))
    scored = run.scored
    names, codes = np.unique(scored.machine.astype(str), return_inverse=True)
    order = np.lexsort((scored.end, codes))
    parts = np.split(order, np.searchsorted(codes[order], np.arange(1, len(names))))
    return [
        Timeline(
            str(name),
            scored.end[part],
            run.score[part],
            scored.static_score[part],
            scored.alarm[part],
            spans.get(str(name), []),
        )
        for name, part in zip(names, parts if len(names) else [], strict=True)
    ]


def _notes(evaluation: Evaluation, line: Mapping[str, Any]) -> list[str]:
    config, spec = evaluation.pipeline.config, evaluation.pipeline.spec
    d = config.detector
    network = "" if d.model == "linear" else f" on the {d.network} network"
    deaf = sensors_without_history(evaluation.pipeline.lineup.versions[-1].detector, spec)
    unwatched = f"Without a value in the history, so not watched: {', '.join(deaf)}."
    return [
        *([unwatched] if deaf else []),
        f"History ends at {rfc3339(evaluation.since)}; only windows that end later are scored.",
        f"Windows of {spec.length} slots of {spec.period_ns / NS:g} s, a new one every "
        f"{spec.hop} slots; {len(spec.sensors)} sensors.",
        f"Model {d.model}{network}, scorer {d.scorer}, seed {d.seed}.",
        f"An incident opens at {config.alarm.m} alarms among the last {config.alarm.n} windows "
        f"and closes after {config.alarm.close_after} windows without one.",
        swallowing_words(config.drift, spec.hop_ns, retrains=evaluation.trainings is not None),
        *(f"{one[:1].upper()}{one[1:]}." for one in sentences(evaluation.told or {})),
        *_moves(line, config.drift),
        *_away(line),
    ]


def _away(line: Mapping[str, Any]) -> Iterator[str]:
    """Say which machines later versions have followed."""
    if away := line.get("from_first_version"):
        each = ", ".join(f"{machine} by {offset:.2g}" for machine, offset in away.items())
        yield f"At its end the line of the first version would have moved: {each}."


def _moves(line: Mapping[str, Any], drift: DriftConfig) -> Iterator[str]:
    """Say which alarm lines moved so far that it is to be reported."""
    offsets = line["highest_offsets"].items()
    farthest = [
        f"{machine} by {offset:.2g}" for machine, offset in offsets if offset >= drift.report
    ]
    if farthest:
        yield (
            f"The alarm lines of {line['machines_moved']:,} machines moved, at most: "
            f"{', '.join(farthest)}. Timelines show the score without it."
        )
