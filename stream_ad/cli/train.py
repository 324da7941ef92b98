"""``stream-ad train``: a detector from a recording, into a registry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    file: Annotated[Path, typer.Argument(help="A recording: .csv, .jsonl or .parquet.")],
    config: Annotated[Path, typer.Option("--config", "-c", help="The settings.")],
    out: Annotated[str, typer.Option("--out", "-o", help="Folder of the registry.")],
    train_until: Annotated[
        str | None, typer.Option(help="Rows in file order, or a time; all of it by default.")
    ] = None,
) -> None:
    """Fit a detector on recorded history and add it to a registry."""
    from stream_ad.cli.screen import Screen
    from stream_ad.config import load_config
    from stream_ad.training.offline import train_from_file
    from stream_ad.windows import rfc3339

    with Screen() as screen:
        version = train_from_file(file, load_config(config), out, train_until, screen)
    typer.echo(
        f"version {version.number} in {out}: scores windows that end at or after "
        f"{rfc3339(version.effective_from)}; use it with registry.uri: {out}"
    )
