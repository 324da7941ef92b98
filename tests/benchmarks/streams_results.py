"""What a run of the streams benchmark found: what is judged or chosen by, and what is only read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from tests.benchmarks import streams_targets
from tests.benchmarks.measuring import Row
from tests.benchmarks.shrinking import STRESSED
from tests.benchmarks.streams_table import OVERALL, Means, costs, families_of, flat, grids, means
from tests.benchmarks.streams_targets import stress_title, summary
from tests.benchmarks.table import Figure, Grid

LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True)
class Results:
    """Rows and their means.

    Parameters
    ----------
    rows : sequence of Row
    left_out : str or None
        Family that no choice is made by.
    table, stressed : Means
        Families that are chosen or judged by, as recorded and with shrunk faults.
    read, read_stressed : Means
        The same of the family left out; empty without one.
    """

    rows: Sequence[Row]
    left_out: str | None
    table: Means
    stressed: Means
    read: Means
    read_stressed: Means

    @classmethod
    def of(cls, rows: Sequence[Row], left_out: str | None) -> Self:
        """Sort rows by whether they count, and take their means."""
        apart = {left_out, STRESSED.get(left_out or "")}
        parts = [
            [
                r
                for r in rows
                if (r.family in STRESSED.values()) is weak and (r.family in apart) is out
            ]
            for out in (False, True)
            for weak in (False, True)
        ]
        return cls(rows, left_out, *map(means, parts))

    def figures(self, *, judged: bool) -> Iterator[Figure]:
        """Yield the default detector's figures; see `streams_targets.figures`."""
        yield from streams_targets.figures(self.table, self.stressed, judged=judged)
        if self.left_out is not None:
            for figure in streams_targets.figures(self.read, self.read_stressed, judged=False):
                yield Figure(f"{LEFT_OUT}.{figure.name}", figure.value, form=figure.form)

    def grids(self) -> Iterator[Grid]:
        """Yield the tables: families, their mean, weak faults, the summary, what is read."""
        who = OVERALL if self.left_out is None else f"{OVERALL} without {self.left_out}"
        yield from grids(self.table, self._titles(self.table) | {OVERALL: who})
        yield from grids(self.stressed, {f: stress_title(f) for f in families_of(self.stressed)})
        yield summary(self.table, f"{who}, and the worst family of each")
        if self.left_out is not None:
            told = "left out: read, not chosen by"
            plain, weak = self._titles(self.read), families_of(self.read_stressed)
            yield from grids(self.read, {f: f"{title}; {told}" for f, title in plain.items()})
            yield from grids(self.read_stressed, {f: f"{stress_title(f)}; {told}" for f in weak})
            yield summary(self.read, f"{self.left_out}; {told}")

    def costs(self) -> Grid:
        """Return where the time went."""
        return costs(self.rows)

    def flat(self) -> dict[str, float]:
        """Return every mean under a key of its own; those left out begin with ``left_out.``."""
        result = flat(self.table)
        for part, prefix in (
            (self.stressed, ""),
            (self.read, f"{LEFT_OUT}."),
            (self.read_stressed, f"{LEFT_OUT}."),
        ):
            result |= flat({key: v for key, v in part.items() if key[0] != OVERALL}, prefix)
        return result

    def _titles(self, table: Means) -> dict[str, str]:
        streams = {
            f: len({r.stream for r in self.rows if r.family == f}) for f in families_of(table)
        }
        return {family: f"{family}: mean over {n} streams" for family, n in streams.items()}
