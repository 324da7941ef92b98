"""How a CSV file is written: the header, the delimiter, the decimal sign."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa

from stream_ad.errors import InputError
from stream_ad.transport.cells import number_column

DELIMITERS = (";", "\t", "|", ",")  # a comma may be a decimal sign, so it comes last
_LINES = 50
_COLUMNS = 100
_VALUE = re.compile(r"[+-]?\d+[.,]\d+|\d{4}-\d\d-\d\d.*|\d\d?[./]\d\d?[./]\d{4}.*")


def find_delimiter(path: Path, lines: Sequence[str]) -> str:
    """Return the sign that splits header and rows into equally many cells.

    Parameters
    ----------
    path : Path
        For the message.
    lines : sequence of str
        The first lines, none blank, the header first.

    Raises
    ------
    InputError
        Where the first line is no header: a title, an ``sep=`` line, or values.

    Examples
    --------
    >>> find_delimiter(Path("a.csv"), ["time;a", "2024-01-01;1,5"])
    ';'
    """
    lines = lines[:_LINES]
    widths = {sign: [len(cells(line, sign)) for line in lines] for sign in DELIMITERS}
    agreeing = {
        sign: sum(w == found[0] for w in found) for sign, found in widths.items() if found[0] > 1
    }
    best = max(agreeing, key=lambda sign: agreeing[sign], default=",")
    rows = {sign: Counter(found[1:]).most_common(1) for sign, found in widths.items()}
    for sign, common in rows.items():
        titled = best not in agreeing and widths[sign][0] == 1
        if common and common[0][0] > 1 and (titled or lines[0].lower().startswith("sep=")):
            raise InputError(
                f"{path}: line 1 is {lines[0][:60]!r}, but the lines after it have"
                f" {common[0][0]} cells each; the header must be the first line: delete what"
                " stands before it"
            )
    values = [cell for cell in cells(lines[0], best) if _VALUE.fullmatch(cell.strip())]
    if values:
        raise InputError(
            f"{path}: the first line holds values such as {values[0]!r}, not names; put a line"
            " with the names of the columns before it"
        )
    return best


def cells(line: str, delimiter: str) -> list[str]:
    """Return the cells of one line, without the spaces around them."""
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return [line]


def find_decimal(columns: Iterable[pa.Array]) -> Literal[".", ","]:
    """Return the decimal sign under which more cells are numbers.

    Examples
    --------
    >>> find_decimal([pa.array(["1,5", "2"]), pa.array(["warm", "cold"])])
    ','
    """
    columns = list(columns)
    strange: Counter[str] = Counter()
    for column in columns[:: max(1, len(columns) // _COLUMNS)]:
        for sign in (".", ","):
            counts: Counter[str] = Counter()
            number_column(column[:200], counts, sign)
            strange[sign] += counts["not_a_number"]
    return "," if strange[","] < strange["."] else "."
