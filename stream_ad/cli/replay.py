"""``stream-ad replay``: a recorded stream through the whole pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def replay(
    file: Annotated[Path, typer.Argument(help="A recording: .csv, .jsonl or .parquet.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
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
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Judge usual detectors on the same windows.")
    ] = False,
    checkpoint_s: Annotated[
        float, typer.Option(help="Seconds between checkpoints.", min=0.0)
    ] = 5.0,
) -> None:
    """Score a recording; write scores, incidents, metrics and a report into a folder.

    The same command goes on with an unfinished run.
    """
    from stream_ad.cli.screen import Screen
    from stream_ad.cli.summary import print_summary
    from stream_ad.replay import ReplayOptions
    from stream_ad.replay import replay as run
    from stream_ad.settings import Columns, settings_for

    options = ReplayOptions(file, out, train_until, label_column, baselines, checkpoint_s)
    columns = Columns(time_column, machine_column, label_column, time_zone)
    with Screen() as screen:
        metrics = run(options, settings_for(file, config, columns, out, screen), screen)
    print_summary(metrics, out)
