"""Columns that say something about the values: labels of known anomalies, quality codes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from stream_ad.inspection.cells import Column
from stream_ad.inspection.names import QUALITY, is_label, rank

_FEW = 20
_WORDS = frozenset({"good", "ok", "gut", "valid"})
_OPC_DA = range(192, 256)


@dataclass(frozen=True, slots=True)
class Quality:
    """Where the quality codes stand and which of them are good; none where unknown."""

    field: str
    good: tuple[int | str, ...]
    columns: tuple[str, ...]


def find_labels(columns: Mapping[str, Column]) -> list[str]:
    """Return the columns that mark known anomalies, by name and by their few kinds of cells.

    Examples
    --------
    >>> import pyarrow as pa
    >>> find_labels({"fault": Column.of("fault", pa.array([0, 0, 1]))})
    ['fault']
    """
    return [
        name
        for name, column in columns.items()
        if is_label(name)
        and (
            column.kind in {"text", "boolean"}
            or (column.kind == "number" and column.is_whole() and len(column.distinct()) <= _FEW)
        )
    ]


def find_quality(columns: Mapping[str, Column], *, long: bool) -> Quality | None:
    """Return the column of quality codes, or in JSON the object of one per sensor.

    Beside a column per sensor only unmistakable codes are taken: words such as ``Good``, or
    the 192 of OPC DA. In the long format 0 (OPC UA) or 1 also mean good where most are so.
    """
    ranked = [(place, name) for name in columns if (place := rank(name, QUALITY)) is not None]
    for _, name in sorted(ranked):
        column = columns[name]
        good = _good(column, sure=not long)
        if good or (long and column.kind in {"text", "number"}):
            return Quality(name, good, (name,))
    inner = [name for name in columns if rank(name.rpartition(".")[0], QUALITY) is not None]
    if inner:
        good_codes = {code for name in inner for code in _good(columns[name], sure=True)}
        parent = inner[0].rpartition(".")[0]
        return Quality(parent, tuple(sorted(good_codes, key=str)), tuple(inner))
    return None


def _good(column: Column, *, sure: bool) -> tuple[int | str, ...]:
    if column.kind == "text":
        texts = column.texts().dictionary.to_pylist()
        words = {text.strip() for text in texts if text}
        return tuple(sorted(w for w in words if w.lower().partition("_")[0] in _WORDS))
    if column.kind != "number" or not column.is_whole():
        return ()
    codes = sorted(int(code) for code in column.distinct())
    if 192 in codes:
        return tuple(code for code in codes if code in _OPC_DA)
    common = Counter(column.numbers.tolist()).most_common(1)[0][0]
    return (int(common),) if not sure and common in {0.0, 1.0} else ()
