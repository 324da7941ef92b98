"""``stream-ad train``: a detector from a recording, into a registry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from stream_ad.training.comparison import Comparison


def train(
    file: Annotated[Path, typer.Argument(help="A recording: .csv, .jsonl or .parquet.")],
    config: Annotated[Path, typer.Option("--config", "-c", help="The settings.")],
    out: Annotated[str, typer.Option("--out", "-o", help="Folder of the registry.")],
    train_until: Annotated[
        str | None, typer.Option(help="Rows in file order, or a time; all of it by default.")
    ] = None,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Try linear and ae, each with scorers, on held-out faults."),
    ] = False,
) -> None:
    """Fit a detector on recorded history and add it to a registry."""
    from stream_ad.cli.screen import Screen
    from stream_ad.config import load_config
    from stream_ad.training.offline import compare_from_file, train_from_file
    from stream_ad.windows import rfc3339

    compared = None
    with Screen() as screen:
        settings = load_config(config)
        if compare:
            version, compared = compare_from_file(file, settings, out, train_until, screen)
        else:
            version = train_from_file(file, settings, out, train_until, screen)
    if compared is not None:
        _print(compared)
    typer.echo(
        f"version {version.number} in {out}: scores windows that end at or after "
        f"{rfc3339(version.effective_from)}; use it with registry.uri: {out}"
    )


def _print(compared: Comparison) -> None:
    from rich.console import Console

    console = Console()
    console.print(
        f"{compared.windows:,} held-out windows, each fault in each of them: "
        "share found at the line / AUC"
    )
    console.print(_table(compared))
    console.print(f"taken: {compared.best.name} ({compared.why})", markup=False, highlight=False)


def _table(compared: Comparison) -> Table:
    """Return a row per fault and a column per member."""
    from rich.table import Table

    members = compared.members
    table = Table()
    table.add_column("")
    for member in members:
        table.add_column(member.name, justify="right", overflow="fold")
    for heard in zip(*(member.heard for member in members), strict=True):
        found = (f"{one.recall:.0%} / {one.auc:.3f}" for one in heard)
        fault, plural = heard[0], "s" if heard[0].sensors > 1 else ""
        name = f"{fault.kind} {fault.severity:g}, {fault.sensors} sensor{plural}"
        table.add_row(name, *found)
    table.add_section()
    table.add_row("mean", *(f"{m.recall:.0%} / {m.auc:.3f}" for m in members))
    table.add_row("normal windows above the line", *(f"{m.above:.2%}" for m in members))
    table.add_row("at most, by chance", *(f"{m.allowed:.2%}" for m in members))
    table.add_row("the line held", *("yes" if m.within else "no" for m in members))
    return table
