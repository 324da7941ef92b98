"""``stream-ad init``: a config for a recorded file."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer


def init(
    file: Annotated[Path, typer.Argument(help="A recording: .csv, .jsonl or .parquet.")],
    config: Annotated[
        Path, typer.Option("--config", "-c", help="Where to write the config.")
    ] = Path("stream-ad.yaml"),
    time_column: Annotated[str | None, typer.Option(help="If the guess is wrong.")] = None,
    machine_column: Annotated[str | None, typer.Option(help="If the guess is wrong.")] = None,
    label_column: Annotated[
        str | None, typer.Option(help="A column of known anomalies: not a sensor.")
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(help="Zone of local times, such as Europe/Berlin.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the config.")] = False,
) -> None:
    """Look at a recorded file and write a commented config for it."""
    from stream_ad.errors import OutputError
    from stream_ad.inspection import inspect

    found = inspect(
        file,
        time_column=time_column,
        machine_column=machine_column,
        label_column=label_column,
        time_zone=time_zone,
    )
    try:
        with config.open("w" if force else "x", encoding="utf-8") as out:
            out.write(found.to_yaml())
    except FileExistsError:
        raise OutputError(f"{config} exists: --force overwrites it, -c names another") from None
    except OSError as error:
        raise OutputError(f"{config}: cannot be written ({error.strerror})") from error
    for note in found.notes:
        typer.echo(f"note: {note}")
    command = ["stream-ad", "replay", str(file), "--config", str(config), "--out", "results"]
    if label_column is not None:  # a config has no key for it
        command += ["--label-column", label_column]
    typer.echo(f"wrote {config}; next: {shlex.join(command)}")
