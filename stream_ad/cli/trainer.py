"""``stream-ad trainer``: the trainer of the service alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def trainer(
    config: Annotated[Path, typer.Option("--config", "-c", help="The settings.")],
    slot: Annotated[int, typer.Option(min=0, max=256, hidden=True)] = 0,
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Train detectors on what `run` scores, and go on until a signal comes.

    `run` starts one beside its workers where a trigger of `training` is set. However many there
    are, one works and the others wait until it ends.
    """
    from stream_ad.config import load_config
    from stream_ad.service.processes import leave, teach

    code = teach(load_config(config), slot, parent)
    if parent is not None:
        leave(code)
    raise typer.Exit(code)
