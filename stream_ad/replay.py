"""A recorded stream through the same pipeline as a live one, into a folder.

``OUT`` holds ``scores.csv``, ``alerts.jsonl``, ``dead_letters.jsonl``, ``metrics.json``,
``report.html``, the detector that scored (``model/``; those trained on the way ``model-2/`` and
so on) and ``checkpoint.json``. A run that was cut off goes on where its checkpoint stands; the
finished files are the same to the byte. One that fails before its first records are scored
leaves the results of an earlier, finished run in ``OUT`` as they were.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from stream_ad.config import Config
from stream_ad.errors import ConfigError
from stream_ad.evaluation.run import Evaluation, check_baselines, evaluate
from stream_ad.pipeline import Pipeline
from stream_ad.progress import Progress, Silence
from stream_ad.records import LabelRecord
from stream_ad.state import MachineState
from stream_ad.stream import stream
from stream_ad.training.followed import Followed, follow
from stream_ad.training.labels_used import account, in_vain
from stream_ad.training.removed import find_removed
from stream_ad.training.replayed import TRAININGS, check_training, who_scores
from stream_ad.transport.base import Batch, Outputs, Source
from stream_ad.transport.files import FileSource, open_source
from stream_ad.transport.labels import check_labels
from stream_ad.transport.sinks import ALERTS, DEAD_LETTERS, SCORES, FileSink
from stream_ad.windows import WindowSpec

if TYPE_CHECKING:
    from stream_ad.transport.kafka.history import TopicRange

Wrap = Callable[[Source, int], Source]


@dataclass(frozen=True, slots=True)
class TopicOptions:
    """A topic instead of a file: its records from one record time to before another.

    Parameters
    ----------
    topic : str
    since, until : str
        RFC 3339, or ``beginning`` and ``end``.
    """

    topic: str
    since: str = "beginning"
    until: str = "end"


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What a replay does besides its config.

    Parameters
    ----------
    file : Path or TopicOptions
        The recording.
    out : Path
        The folder for the results.
    train_until : str or None
        Number of rows in file order, or a time: what ends before is history. None: the
        share ``training.history_share`` of the rows.
    label_column : str or None
        Column of known anomalies, for judging only.
    baselines : bool
        Whether to judge the usual detectors on the same windows.
    checkpoint_s : float
        Least seconds between two checkpoints.
    labels : Path or None
        What operators said of incidents, as `stream-ad label` writes it; the replay trains anew
        on it.
    """

    file: Path | TopicOptions
    out: Path
    train_until: str | None = None
    label_column: str | None = None
    baselines: bool = False
    checkpoint_s: float = 5.0
    labels: Path | None = None


def replay(
    options: ReplayOptions,
    config: Config,
    progress: Progress | None = None,
    *,
    wrap_source: Wrap | None = None,
    watch: Callable[[Outputs], None] | None = None,
) -> dict[str, Any]:
    """Score a recording and judge the result.

    Parameters
    ----------
    options : ReplayOptions
    config : Config
    progress : Progress, optional
    wrap_source : callable, optional
        ``(source, rows) -> source``: changes how the records to score arrive, not which.
    watch : callable, optional
        Sees the outputs of every batch.

    Returns
    -------
    dict
        What ``metrics.json`` says.

    Raises
    ------
    StreamAdError
        Of the input, the config, the history, a checkpoint or the disk.
    """
    progress = progress or Silence()
    _spare_input(options)
    check_training(config, options.train_until, options.labels)
    spec = WindowSpec.from_config(config.windows)
    source = _open(options, config, spec, progress)
    if options.baselines:
        check_baselines()
    labels = None if options.labels is None else _labels(options.labels, config, progress)
    identity, digest = source.identity(), _digest(options, config, labels)
    with FileSink(
        options.out,
        identity,
        digest,
        window_digest=spec.digest(),
        topic=options.file.topic if isinstance(options.file, TopicOptions) else None,
        checkpoint_s=options.checkpoint_s,
        said_at_end=("metrics.json", "report.html"),
    ) as sink:
        if not isinstance(source, FileSource):  # a topic grows; a resumed run must not
            source.pin(sink.extra.setdefault("offsets", source.offsets()))
            if config.registry.uri is not None:
                follow(source, config, sink.extra, progress)
        restored = sink.restored
        position, records = (0, {}) if restored is None else (restored.position, restored.states)
        if restored is not None:
            progress.note(f"goes on after record {position:,} of an unfinished run")
        until = options.train_until
        counted_live = None if isinstance(source, FileSource) else source.counted()
        versions, learning = who_scores(
            source, config, until, sink, options.out, progress, labels, counted_live
        )
        shape = config.input.format
        states = {m: MachineState.from_bytes(r, spec, shape) for m, r in records.items()}
        removed = []
        if not isinstance(source, FileSource) and counted_live:
            removed = find_removed(source, config, progress)
        keep = learning is not None
        pipeline = Pipeline(config, spec, versions, states, keep=keep, removed=removed)
        rows = source.rows()
        progress.stage("scoring", rows)
        counts = sink.extra.setdefault("counts", {})
        counted: Source = Counted(
            source if wrap_source is None else wrap_source(source, rows), counts
        )
        if not isinstance(source, FileSource):
            counted = Followed(counted, pipeline.lineup)
        stream(counted, pipeline, sink, position, progress, watch, learning)
        sink.finish()
        evaluation = Evaluation(
            source,
            pipeline,
            Counter(counts),
            options.label_column,
            progress,
            None if learning is None else learning.tried,
            _account(labels, pipeline, sink.extra.get(TRAININGS, {})),
        )
        return evaluate(options.out, evaluation, baselines=options.baselines)


class Counted:
    """A source whose dead letters and masked cells are counted as they pass.

    Parameters
    ----------
    source : Source
    counts : dict of str to int
        Is added to before each batch is handed on, so that a checkpoint of that batch
        includes it.
    """

    def __init__(self, source: Source, counts: dict[str, int]) -> None:
        self._source, self._counts = source, counts

    def batches(self, position: int = 0) -> Iterator[Batch]:
        """Yield the source's batches."""
        for batch in self._source.batches(position):
            for reason, number in {"dead_letters": len(batch.dead), **batch.counts}.items():
                self._counts[reason] = self._counts.get(reason, 0) + number
            yield batch


def _open(
    options: ReplayOptions, config: Config, spec: WindowSpec, progress: Progress
) -> FileSource | TopicRange:
    """Open the input and refuse options that do not go with it."""
    file = options.file
    if isinstance(file, Path):
        source = open_source(file, config, spec)
        if options.label_column is not None:
            check_labels(file, config, options.label_column)
        return source
    if options.label_column is not None:
        allowed = "nothing with --from-topic: labels are read from a file"
        raise ConfigError("--label-column", options.label_column, allowed)
    if (options.train_until or "").isdecimal():
        allowed = "a time: the records of a topic have no order across partitions"
        raise ConfigError("--train-until", options.train_until, allowed)
    from stream_ad.transport.kafka.history import TopicRange

    found = TopicRange(config, spec, file.topic, file.since, file.until)
    if found.begins_later:
        progress.note(
            f"starts with empty state at record timestamp {file.since}, after the topic's first "
            "record: windows and incidents that were open by then are not gone on with"
        )
    return found


def _spare_input(options: ReplayOptions) -> None:
    for name in (SCORES, ALERTS, DEAD_LETTERS):
        if not isinstance(options.file, Path):
            return
        if (options.out / name).resolve() == options.file.resolve():
            allowed = f"another folder: the run would write {name}, its own input"
            raise ConfigError("--out", str(options.out), allowed)


def _labels(file: Path, config: Config, progress: Progress) -> Sequence[LabelRecord]:
    from stream_ad.transport.label_records import read_label_records

    labels = read_label_records(file)
    if warning := in_vain(labels, config):
        progress.note(warning)
    return labels


def _account(
    labels: Sequence[LabelRecord] | None, pipeline: Pipeline, trainings: dict[str, Any]
) -> dict[str, int] | None:
    """Return what became of the labels."""
    if labels is None:
        return None
    machines = {name for held in pipeline.partitions.values() for name in held.states}
    return account(labels, pipeline.groups, trainings, machines)


def _digest(options: ReplayOptions, config: Config, labels: Sequence[LabelRecord] | None) -> str:
    """Return a fingerprint of everything that the outputs depend on besides the input."""
    said = None if labels is None else [label.model_dump() for label in labels]
    tree = [config.model_dump(mode="json"), options.train_until, said]
    return hashlib.sha256(orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
