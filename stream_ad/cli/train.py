"""``stream-ad train``: a detector from a recording, into a registry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream_ad.cli.folder import named

if TYPE_CHECKING:
    from rich.table import Table

    from stream_ad.training.comparison import Comparison


def train(
    config: Annotated[Path, typer.Option("--config", "-c", help="The settings.")],
    out: Annotated[
        str,
        typer.Option("--out", "-o", parser=named, metavar="TEXT", help="Folder of the registry."),
    ],
    file: Annotated[
        Path | None, typer.Argument(help="A recording: .csv, .jsonl or .parquet.")
    ] = None,
    train_until: Annotated[
        str | None, typer.Option(help="Rows in file order, or a time; all of it by default.")
    ] = None,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Try linear and ae, each with scorers, on held-out faults."),
    ] = False,
    from_topic: Annotated[str | None, typer.Option(help="A Kafka topic instead of FILE.")] = None,
    from_time: Annotated[
        str, typer.Option(help="First Kafka timestamp of a record (RFC 3339); not the time within.")
    ] = "beginning",
    to_time: Annotated[
        str, typer.Option(help="Kafka timestamp (RFC 3339) before which the topic is read.")
    ] = "end",
) -> None:
    """Fit a detector on recorded history and add it to a registry."""
    from stream_ad.cli.screen import Screen
    from stream_ad.config import load_config
    from stream_ad.training.offline import compare_from_file, train_from_file, train_from_topic
    from stream_ad.windows import rfc3339

    _expect_one(file, from_topic, (from_time, to_time), compare=compare)
    compared = None
    with Screen() as screen:
        settings = load_config(config)
        if from_topic is not None:
            versions = train_from_topic(
                from_topic, from_time, to_time, settings, out, train_until, screen
            )
        elif compare:
            assert file is not None
            version, compared = compare_from_file(file, settings, out, train_until, screen)
            versions = [version]
        else:
            assert file is not None
            versions = train_from_file(file, settings, out, train_until, screen)
    if compared is not None:
        _print(compared)
    for version in versions:
        group = f" of group {version.model_id}" if len(versions) > 1 else ""
        typer.echo(
            f"version {version.number}{group} in {out}: scores windows that end at or after "
            f"{rfc3339(version.effective_from)}; use it with registry.uri: {out}"
        )


def _expect_one(
    file: Path | None, topic: str | None, times: tuple[str, str], *, compare: bool
) -> None:
    """Refuse options that do not go together."""
    from stream_ad.errors import ConfigError

    if (file is None) == (topic is None):
        given = "neither" if file is None else "both"
        raise ConfigError("FILE, --from-topic", given, "one of the two")
    if topic is None and times != ("beginning", "end"):
        raise ConfigError("--from-topic", None, "a topic with --from-time and --to-time")
    if topic is not None and compare:
        raise ConfigError("--from-topic", topic, "nothing with --compare: it reads a file")


def _print(compared: Comparison) -> None:
    from rich.console import Console

    console = Console()
    console.print(f"{compared.windows:,} held-out windows, each of these faults in each of them:")
    for kind in compared.usual.by_kind:
        faults = (fault for fault in compared.usual.heard if fault.kind == kind)
        console.print(f"  {kind}: " + ", ".join(f"{f.severity:g} in {f.sensors}" for f in faults))
    console.print(
        "AUC by kind; found: faulty windows above the line; above: untouched ones; chance: at most "
        "so many of them by chance; held: no more were above it"
    )
    console.print(_table(compared))
    console.print(f"taken: {compared.best.name} ({compared.why})", markup=False, highlight=False)


def _table(compared: Comparison) -> Table:
    """Return a row per member; it fits into 80 columns however many members there are."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("", no_wrap=True)
    kinds = [kind.partition("_")[0] for kind in compared.usual.by_kind]
    for heading in (*kinds, "mean", "found", "above", "chance", "held"):
        table.add_column(heading, justify="right")
    for member in compared.members:
        kind_auc = (f"{auc:.2f}" for auc in member.by_kind.values())
        shares = (f"{share:.0%}" for share in (member.recall, member.above, member.allowed))
        held = "yes" if member.within else "no"
        table.add_row(member.name, *kind_auc, f"{member.auc:.3f}", *shares, held)
    return table
