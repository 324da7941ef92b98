"""``stream-ad topics``: what the service needs of the brokers, made and checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stream_ad.config import Config

topics = typer.Typer(no_args_is_help=True, help="Plan, create and check the topics of `run`.")

ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="The settings.")]
Replication = Annotated[
    int | None,
    typer.Option(min=1, max=32, help="Copies of each record; 3, or as many as there are brokers."),
]
Partitions = Annotated[
    int | None, typer.Option(min=1, max=100_000, help="Of the input, where it does not exist yet.")
]

FEWER = "`topics create` makes as many copies as there are brokers"


@topics.command("plan")
def plan_(
    config: ConfigFile,
    replication: Replication = None,
    partitions: Partitions = None,
    commands: Annotated[
        bool, typer.Option("--commands", help="As lines for a shell with Kafka's scripts.")
    ] = False,
) -> None:
    """Show the topics, settings and rights that the service needs; changes nothing.

    With --partitions no broker is asked, and 3 copies are planned unless --replication says more.
    """
    from stream_ad.config import load_config
    from stream_ad.transport.kafka import topics as wanted

    settings = load_config(config)
    copies, asked = wanted.COPIES, partitions is None
    if partitions is None:
        partitions, copies = _as_it_is(settings)
    planned = wanted.plan(settings, partitions, replication or copies)
    if commands:
        typer.echo("\n".join(wanted.commands(settings, planned)))
    else:
        typer.echo(wanted.table(settings, planned))
    if not (asked or replication):
        typer.echo(f"# no broker was asked: where there are fewer than {copies}, {FEWER}")


def _as_it_is(settings: Config) -> tuple[int, int]:
    """Return the partitions of the input, and the copies that `create` would make."""
    from stream_ad.transport.kafka.clients import admin, once
    from stream_ad.transport.kafka.topic_admin import copies, require_input

    with once(lambda: admin(settings.kafka), "stream-ad topics", settings.kafka) as client:
        return require_input(client, settings), copies(client)


@topics.command()
def create(
    config: ConfigFile, replication: Replication = None, partitions: Partitions = None
) -> None:
    """Make the topics that are missing; changes and deletes no other.

    Where the input has more partitions than before, the state topic gets as many.
    """
    from stream_ad.config import load_config
    from stream_ad.transport.kafka import topic_admin
    from stream_ad.transport.kafka.clients import admin, once
    from stream_ad.transport.kafka.topics import plan

    settings = load_config(config)
    with once(lambda: admin(settings.kafka), "stream-ad topics", settings.kafka) as client:
        number = topic_admin.require_input(client, settings, otherwise=partitions, making=True)
        copies = replication or topic_admin.copies(client)
        for sentence in topic_admin.create(client, plan(settings, number, copies)):
            typer.echo(sentence)
    typer.echo("all topics are there")


@topics.command()
def check(config: ConfigFile) -> None:
    """Compare the topics with what the service needs; exit code 1 where that stops it."""
    from stream_ad.config import load_config
    from stream_ad.transport.kafka import topic_admin
    from stream_ad.transport.kafka.clients import admin, once

    settings = load_config(config)
    with once(lambda: admin(settings.kafka), "stream-ad topics", settings.kafka) as client:
        findings = topic_admin.check(client, settings)
    for finding in findings:
        typer.echo(str(finding))
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)
    typer.echo("the topics are good" if not findings else "the topics will do")
