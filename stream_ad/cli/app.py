"""All commands in one table."""

from __future__ import annotations

from typing import Annotated

import typer

from stream_ad import __version__
from stream_ad.cli.config import config
from stream_ad.cli.demo import demo
from stream_ad.cli.dlq import dlq
from stream_ad.cli.init import init
from stream_ad.cli.label import label
from stream_ad.cli.models import models
from stream_ad.cli.replay import replay
from stream_ad.cli.run import run
from stream_ad.cli.topics import topics
from stream_ad.cli.train import train
from stream_ad.cli.trainer import trainer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Anomaly detection for sensor streams: incidents within an alarm budget.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"stream-ad {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that stand before any command."""


app.command()(demo)
app.command()(init)
app.command()(label)
app.command()(replay)
app.command()(run)
app.command()(train)
app.command()(trainer)
app.add_typer(config, name="config")
app.add_typer(dlq, name="dlq")
app.add_typer(models, name="models")
app.add_typer(topics, name="topics")
