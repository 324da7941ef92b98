"""``stream-ad replay``: a recorded stream through the whole pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream_ad.cli.folder import folder


def replay(
    out: Annotated[
        Path,
        typer.Option("--out", "-o", parser=folder, metavar="PATH", help="Folder for the results."),
    ],
    file: Annotated[
        Path | None, typer.Argument(help="A recording: .csv, .jsonl or .parquet.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The settings; without, what `init` would write."),
    ] = None,
    time_column: Annotated[str | None, typer.Option(help="Column of the event time.")] = None,
    machine_column: Annotated[str | None, typer.Option(help="Column of the machine id.")] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Column of known anomalies: for judging, never training.")
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(help="Zone of local times, such as Europe/Berlin.")
    ] = None,
    train_until: Annotated[
        str | None, typer.Option(help="History: a number of rows in file order, or a time.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="What operators said of incidents (`stream-ad label`): learned from."),
    ] = None,
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines", help="Judge usual detectors on the same windows (scikit-learn)."
        ),
    ] = False,
    checkpoint_s: Annotated[
        float, typer.Option(help="Seconds between checkpoints.", min=0.0)
    ] = 5.0,
    from_topic: Annotated[
        str | None, typer.Option(help="A Kafka topic instead of FILE; needs --config.")
    ] = None,
    from_time: Annotated[
        str, typer.Option(help="First Kafka timestamp of a record (RFC 3339); not the time within.")
    ] = "beginning",
    to_time: Annotated[
        str, typer.Option(help="Kafka timestamp (RFC 3339) before which the topic is read.")
    ] = "end",
) -> None:
    """Score a recording; write scores, incidents, metrics and a report into a folder.

    The same command goes on with an unfinished run.
    """
    from stream_ad.cli import Interrupted
    from stream_ad.cli.screen import Screen
    from stream_ad.cli.summary import print_summary
    from stream_ad.errors import ConfigError
    from stream_ad.replay import ReplayOptions, TopicOptions
    from stream_ad.replay import replay as run
    from stream_ad.settings import Columns, settings_for

    recording = TopicOptions(from_topic, from_time, to_time) if from_topic else file
    if recording is None or (file is not None and recording is not file):
        given = "neither" if recording is None else "both"
        raise ConfigError("FILE, --from-topic", given, "one of the two")
    if from_topic is None and (from_time, to_time) != ("beginning", "end"):
        raise ConfigError("--from-topic", None, "a topic with --from-time and --to-time")
    options = ReplayOptions(
        recording, out, train_until, label_column, baselines, checkpoint_s, labels
    )
    columns = Columns(time_column, machine_column, label_column, time_zone)
    try:
        with Screen() as screen:
            metrics = run(options, settings_for(file, config, columns, out, screen), screen)
    except KeyboardInterrupt:
        raise Interrupted(_what_is_left(out)) from None
    print_summary(metrics, out)


def _what_is_left(out: Path) -> str:
    from stream_ad.errors import StateError
    from stream_ad.transport.checkpoint import read_checkpoint

    try:
        stands = read_checkpoint(out)
    except StateError:
        stands = None
    if stands is None or stands.finished:
        return "it had no checkpoint yet: the same command starts anew"
    return "the same command goes on from its last checkpoint"
