"""``stream-ad models``: which version scores, why, and what to do where it should not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stream_ad.config import Config
    from stream_ad.training.decisions import Decisions
    from stream_ad.training.promotions import Promotion

models = typer.Typer(no_args_is_help=True, help="Look at trained detectors; change what scores.")

ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="The settings.")]
Group = Annotated[str, typer.Option(help="The machine group.")]
Number = Annotated[int, typer.Argument(min=1, help="As `models list` names it.")]
Reason = Annotated[str, typer.Option(help="Why, for whoever reads it later.")]
AsJson = Annotated[bool, typer.Option("--json", help="As one JSON object.")]

BY_HAND = "by hand"


@models.command("list")
def list_(
    config: ConfigFile,
    group: Annotated[str | None, typer.Option(help="One machine group; all by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List promotions and refusals in order, and what scores now."""
    import json
    import shutil

    from stream_ad.cli.model_list import Listing

    settings = _settings(config)
    decisions = _decisions(settings, group)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for name in _groups(settings) if group is None else [group]:
        listing = Listing.read(decisions, name)
        if as_json:
            typer.echo(json.dumps(listing.to_json()))
            continue
        typer.echo(listing.headline())
        if listing.decisions:
            typer.echo("\n".join(listing.lines(width)))


@models.command()
def show(
    version: Number, config: ConfigFile, group: Group = "default", as_json: AsJson = False
) -> None:
    """Show what a version learned, how it scores, and why it was promoted."""
    import json

    from stream_ad.cli.model_show import Summary

    summary = Summary.read(_decisions(_settings(config), group), version, group)
    typer.echo(json.dumps(summary.to_json()) if as_json else "\n".join(summary.lines()))


@models.command()
def promote(
    version: Number, config: ConfigFile, group: Group = "default", reason: Reason = BY_HAND
) -> None:
    """Let a version score without asking the gate, from the next batch on.

    A replay lets it score what ends after its history, and not before what scores now began.
    """
    settings = _settings(config)
    _tell(settings, _decisions(settings, group).promote_by_hand(version, reason, group))


@models.command()
def rollback(
    config: ConfigFile,
    to: Annotated[
        int | None, typer.Option(min=1, help="Any version that scored once, instead.")
    ] = None,
    group: Group = "default",
    reason: Reason = BY_HAND,
) -> None:
    """Go back to the version that scored before the one that scores now.

    Another rollback goes back one more, never to a version that one went back from; --to does.
    """
    settings = _settings(config)
    _tell(settings, _decisions(settings, group).rollback(group, to, reason))


@models.command()
def retrain(
    config: ConfigFile,
    group: Group = "default",
    who: Annotated[
        str | None, typer.Option(help="Whose wish it is; by default the user's.")
    ] = None,
) -> None:
    """Ask the service's trainer to train a group's detector anew now; the gate judges it."""
    import getpass

    from stream_ad.config import load_config
    from stream_ad.errors import ConfigError

    settings = load_config(config)
    if group not in _groups(settings):
        raise ConfigError("--group", group, ", ".join(_groups(settings)))
    if not settings.kafka.bootstrap_servers:
        raise ConfigError("kafka.bootstrap_servers", [], "the brokers of the running service")
    from stream_ad.transport.kafka.labels import TrainRequest, write_request

    request = TrainRequest(machine_group=group, who=who or getpass.getuser())
    write_request(settings.kafka, request)
    typer.echo(
        f"asked the trainer of {group} on {settings.kafka.topics.labels}; "
        "`stream-ad models list` shows what became of it"
    )


def _settings(file: Path) -> Config:
    from stream_ad.config import load_config
    from stream_ad.errors import ConfigError

    settings = load_config(file)
    if settings.registry.uri is None:
        raise ConfigError("registry.uri", None, "the registry that `stream-ad train` wrote to")
    return settings


def _groups(settings: Config) -> list[str]:
    return ["default", *settings.groups]


def _decisions(settings: Config, group: str | None) -> Decisions:
    """Return the registry's decisions; a group must be of the settings, or known there."""
    from stream_ad.errors import ConfigError
    from stream_ad.training.decisions import Decisions
    from stream_ad.training.store import open_store

    assert settings.registry.uri is not None
    found = Decisions(open_store(settings.registry.uri))
    if group in {None, *_groups(settings)}:
        return found
    assert group is not None
    if not found.numbers(group):
        allowed = f"{', '.join(_groups(settings))}, or another one with detectors in {found.where}"
        raise ConfigError("--group", group, allowed)
    return found


def _tell(settings: Config, promotion: Promotion) -> None:
    from stream_ad.windows import rfc3339

    typer.echo(
        f"promotion {promotion.number} of {promotion.group}: version {promotion.version} scores "
        f"windows that end at or after {rfc3339(promotion.effective_from)}; drift is judged by "
        f"version {promotion.reference}"
    )
    if settings.kafka.bootstrap_servers:
        _announce(settings, promotion)


def _announce(settings: Config, promotion: Promotion) -> None:
    from stream_ad.errors import BrokerError
    from stream_ad.transport.kafka.announcements import announce

    try:
        announce(settings.kafka, promotion.record())
    except BrokerError as error:
        raise BrokerError(
            f"promotion {promotion.number} stands in the registry, but no worker was told: "
            f"{error}; a trainer tells them when it starts"
        ) from error
    typer.echo(f"announced on {settings.kafka.topics.models}: the workers take it up")
