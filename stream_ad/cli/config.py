"""``stream-ad config``: look at settings without starting anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stream_ad.config import Config

config = typer.Typer(no_args_is_help=True, help="Check settings, print schemas.")


@config.command()
def check(file: Annotated[Path, typer.Argument(help="The YAML file to check.")]) -> None:
    """Check a config file, environment overrides included, without starting.

    Where it has a section kafka, what `run` still lacks is said.
    """
    from stream_ad.config import load_config
    from stream_ad.windows import WindowSpec

    settings = load_config(file)
    WindowSpec.from_config(settings.windows)
    lacking = _lacking_for_run(settings)
    typer.echo(f"{file}: good" if not lacking else f"{file}: good for a replay; `run`: {lacking}")


def _lacking_for_run(settings: Config) -> str:
    from stream_ad.config import KafkaConfig
    from stream_ad.errors import ConfigError
    from stream_ad.service.requirements import require

    if settings.kafka == KafkaConfig():  # nothing says that it is for a service
        return ""
    try:
        require(settings)
    except ConfigError as error:
        return str(error)
    return ""


@config.command()
def schema(
    of: Annotated[
        str, typer.Argument(help="config, or a record: reading, long, window, incident, score, ...")
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
        "label": records.LabelRecord,
        "model": records.ModelRecord,
        "activation": records.ActivationRecord,
    }
    if of not in models:
        raise ConfigError("config schema", of, ", ".join(models))
    typer.echo(json.dumps(models[of].model_json_schema(), indent=2))
