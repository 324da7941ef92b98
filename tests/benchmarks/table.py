"""The form of every benchmark command: figures beside targets, one last line, an exit code.

A command parses its options with `options`, prints tables of its own with `show`, and ends
with ``return conclude(figures, arguments)``.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson
from rich.console import Console
from rich.table import Table

PIPE_WIDTH = 220  # columns when the output is no terminal: a table there is never folded

Bound = Literal["at least", "at most", "exactly"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number and what it is held against.

    Parameters
    ----------
    name : str
        Its key in the JSON file.
    value : float
        NaN, for what could not be measured, holds no target.
    target : float, optional
        None: reported, never judged.
    bound : {"at least", "at most", "exactly"}
        Which side of the target holds it.
    form : str
        Format of value and target.
    correctness : bool
        Right or wrong rather than better or worse: ``--quick`` judges it too.

    Examples
    --------
    >>> Figure("lost", 0, target=0, bound="exactly").held
    True
    >>> Figure("windows_per_s", 900, target=1000).held
    False
    """

    name: str
    value: float
    target: float | None = None
    bound: Bound = "at least"
    form: str = ",.4g"
    correctness: bool = False

    @property
    def held(self) -> bool:
        """Whether the value keeps its target; one without a target always does."""
        if self.target is None:
            return True
        if self.bound == "exactly":
            return self.value == self.target
        return self.value >= self.target if self.bound == "at least" else self.value <= self.target

    def text(self) -> str:
        """Return the value as the table shows it."""
        return format(self.value, self.form)

    def target_text(self) -> str:
        """Return the target as the table shows it."""
        return "-" if self.target is None else f"{self.bound} {format(self.target, self.form)}"


@dataclass(frozen=True, slots=True)
class Grid:
    """A titled table of texts; the first column names the row, the others hold numbers.

    Examples
    --------
    >>> print(Grid("Speed", ["path", "windows/s"], [["whole", "900"]]).markdown())
    | path | windows/s |
    |:--|--:|
    | whole | 900 |
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Return the table without its title."""
        rule = "|:--|" + "--:|" * (len(self.headings) - 1)
        lines = [f"| {' | '.join(row)} |" for row in (self.headings, *self.rows)]
        return "\n".join([lines[0], rule, *lines[1:]])


def options(description: str) -> ArgumentParser:
    """Return a parser with what every benchmark command takes."""
    parser = ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="small; judges correctness only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures and targets")
    return parser


def show(grid: Grid) -> None:
    """Print a table."""
    table = Table(title=grid.title, title_justify="left")
    for i, heading in enumerate(grid.headings):
        table.add_column(heading, justify="right" if i else "left")
    for row in grid.rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)


def conclude(
    figures: Sequence[Figure], arguments: Namespace, elsewhere: Mapping[str, float] | None = None
) -> int:
    """Print the figures beside their targets, write the JSON file, say what was missed.

    Parameters
    ----------
    figures : sequence of Figure
    arguments : Namespace
        From the parser of `options`.
    elsewhere : mapping of str to float, optional
        Figures without a target that stood in tables of the command's own; they go into the
        JSON file only.

    Returns
    -------
    int
        The exit code: 0 if every judged target was held, else 1.
    """
    judged = [f for f in figures if f.target is not None and (f.correctness or not arguments.quick)]
    rows = [[f.name, f.text(), f.target_text(), _verdict(f, judged)] for f in figures]
    show(Grid("Figures and targets", ["figure", "value", "target", "verdict"], rows))
    if arguments.json is not None:
        record = {
            "figures": dict(elsewhere or {}) | {f.name: f.value for f in figures},
            "targets": {f.name: f.target for f in figures if f.target is not None},
        }
        arguments.json.write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2))
    missed = [f"{f.name} {f.text()} ({f.target_text()})" for f in judged if not f.held]
    print(f"missed: {', '.join(missed)}" if missed else "held", flush=True)
    return 1 if missed else 0


def _verdict(figure: Figure, judged: Sequence[Figure]) -> str:
    if figure not in judged:
        return "-" if figure.target is None else "not judged"
    return "held" if figure.held else "missed"
