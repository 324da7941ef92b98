"""What kind of cells a column holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stream_ad.transport.cells import MISSING, number_column
from stream_ad.transport.distinct import distinct
from stream_ad.transport.tables import encoded

Kind = Literal["number", "text", "boolean", "time", "nested", "empty"]
Decimal = Literal[".", ","]
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Column:
    """A column and what it holds.

    Parameters
    ----------
    name : str
    cells : Array (n,)
    kind : Kind
        ``number`` where at least half of what stands there is a number.
    numbers : float64 array (n,)
        NaN where no number stands.
    strange : int
        Cells that are neither numbers nor missing.
    example : str
        The first of them.
    decimal : {".", ","}
        The decimal sign of text.
    """

    name: str
    cells: pa.Array
    kind: Kind
    numbers: NDArray[np.float64]
    strange: int = 0
    example: str = ""
    decimal: Decimal = "."

    @classmethod
    def of(cls, name: str, cells: pa.Array, decimal: Decimal = ".") -> Column:
        """Look at a column.

        Examples
        --------
        >>> Column.of("a", pa.array(["1", "", "n/a", "Bad", "2"])).kind
        'number'
        >>> Column.of("a", pa.array(["on", "off"])).example
        'on'
        """
        kind = _kind(cells)
        if kind is not None:
            return cls(name, cells, kind, np.full(len(cells), np.nan))
        if pa.types.is_dictionary(cells.type):
            cells = cells.dictionary_decode()
        counts: Counter[str] = Counter()
        numbers = number_column(cells, counts, decimal)
        strange, found = counts["not_a_number"], int(np.isfinite(numbers).sum())
        if not strange:
            return cls(name, cells, "number" if found else "empty", numbers, decimal=decimal)
        example = _strange(cells, numbers)
        if found >= strange:
            return cls(name, cells, "number", numbers, strange, example, decimal)
        kind = "boolean" if example.lower() in {"true", "false"} else "text"
        return cls(name, cells, kind, numbers, strange, example)

    def texts(self) -> pa.DictionaryArray:
        """Return the cells as coded text."""
        return encoded(self.cells)

    def codes(self) -> tuple[NDArray[np.int64], list[str]]:
        """Return a code per row, -1 where nothing stands, and the texts that they mean."""
        names, places = distinct(self.texts())
        codes = np.array([place if name else -1 for place, name in enumerate(names)], np.int64)
        return codes[places], names[:-1]

    def distinct(self) -> set[float]:
        """Return the different finite numbers."""
        return set(np.unique(self.numbers[np.isfinite(self.numbers)]).tolist())

    def is_whole(self) -> bool:
        """Return whether every number is a whole one."""
        finite = self.numbers[np.isfinite(self.numbers)]
        return bool(len(finite)) and bool((finite == np.rint(finite)).all())


def _kind(cells: pa.Array) -> Kind | None:
    """Return the kind that the type alone says."""
    test, kind = pa.types, cells.type
    if cells.null_count == len(cells):
        return "empty"
    if test.is_nested(kind) or test.is_binary(kind):
        return "nested"
    if test.is_temporal(kind):
        return "time"
    return "boolean" if test.is_boolean(kind) else None


def _strange(cells: pa.Array, numbers: NDArray[np.float64]) -> str:
    odd = pc.filter(cells, pa.array(np.isnan(numbers))).drop_null()
    texts = (str(text).strip() for text in odd.unique().to_pylist())
    return next((text[:_SHOWN] for text in texts if text not in MISSING), "")
