"""``stream-ad config``: look at settings without starting anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

config = typer.Typer(no_args_is_help=True, help="Check settings, print schemas.")


@config.command()
def check(file: Annotated[Path, typer.Argument(help="The YAML file to check.")]) -> None:
    """Check a config file, environment overrides included, without starting."""
    from stream_ad.config import load_config
    from stream_ad.windows import WindowSpec

    WindowSpec.from_config(load_config(file).windows)
    typer.echo(f"{file}: good")


@config.command()
def schema(
    of: Annotated[
        str, typer.Argument(help="config, or a record: reading, long, window, incident, score.")
    ] = "config",
) -> None:
    """Print the JSON Schema of the config or of a record on the wire."""
    from pydantic import BaseModel

    from stream_ad import records
    from stream_ad.config import Config
    from stream_ad.errors import ConfigError

    models: dict[str, type[BaseModel]] = {
        "config": Config,
        "reading": records.ReadingRecord,
        "long": records.LongRecord,
        "window": records.WindowRecord,
        "incident": records.IncidentEvent,
        "score": records.ScoreRecord,
    }
    if of not in models:
        raise ConfigError("config schema", of, ", ".join(models))
    typer.echo(json.dumps(models[of].model_json_schema(), indent=2))
