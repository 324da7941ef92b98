"""``stream-ad run``: the service on Kafka."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    config: Annotated[Path, typer.Option("--config", "-c", help="The settings.")],
    workers: Annotated[
        int, typer.Option(min=1, max=256, help="Worker processes that share the partitions.")
    ] = 1,
    reset_state: Annotated[
        bool,
        typer.Option("--reset-state", help="Give up machine states of other window settings."),
    ] = False,
    no_trainer: Annotated[
        bool,
        typer.Option("--no-trainer", help="Start no trainer, whatever the settings ask for."),
    ] = False,
    slot: Annotated[int | None, typer.Option(min=0, max=255, hidden=True)] = None,
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Score the records of a Kafka topic, and go on until a signal comes.

    Where a trigger of `training` is set, a trainer runs beside the workers.
    """
    from stream_ad.config import load_config
    from stream_ad.service.processes import leave, supervise, work

    settings = load_config(config)
    if slot is None:
        arguments = ["run", "--config", str(config), *(["--reset-state"] if reset_state else [])]
        beside = None if no_trainer else ["trainer", "--config", str(config)]
        raise typer.Exit(supervise(arguments, settings, workers, beside))
    code = work(settings, slot, parent, reset_state=reset_state)
    if parent is not None:
        leave(code)
    raise typer.Exit(code)
