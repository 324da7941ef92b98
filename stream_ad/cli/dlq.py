"""``stream-ad dlq``: records that could not be used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

dlq = typer.Typer(no_args_is_help=True, help="Look at records that could not be used.")


@dlq.callback()
def _dlq() -> None:
    """Keep `list` a command of its own."""


@dlq.command("list")
def list_(
    config: Annotated[Path, typer.Option("--config", "-c", help="The settings.")],
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Most, the newest.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the newest dead letters, the newest last."""
    import json
    from dataclasses import asdict

    from stream_ad.config import load_config
    from stream_ad.transport.kafka.clients import once, reader
    from stream_ad.transport.kafka.dead_letters import line, newest

    kafka = load_config(config).kafka
    with once(lambda: reader(kafka), "stream-ad dlq", kafka) as consumer:
        letters = newest(consumer, kafka.topics.dead_letter, limit)
    for letter in letters:
        typer.echo(json.dumps(asdict(letter)) if as_json else line(letter))
    if not letters and not as_json:
        typer.echo("no dead letters")
