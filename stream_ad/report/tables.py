"""Tables of plain values; what is not there is left out, never written as a word."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from stream_ad.report.markup import Html, tag
from stream_ad.report.phrases import number


def table(heads: Sequence[str], rows: Iterable[Html], numeric: Collection[int] = ()) -> Html:
    """Return a table that scrolls by itself where the page is narrow.

    Parameters
    ----------
    heads : sequence of str
        Column heads.
    rows : iterable of Html
        ``tr`` elements.
    numeric : collection of int
        Columns that are set flush right.
    """
    style = " ".join(f"n{column + 1}" for column in sorted(numeric))
    head = tag("thead", tag("tr", *(tag("th", text, scope="col") for text in heads)))
    whole = tag("table", head, tag("tbody", *rows), class_=style or None)
    return tag("div", whole, class_="scroll")


def facts(values: Mapping[str, Any]) -> Html:
    """Return a table of names and values; nested names are joined by dots.

    Examples
    --------
    >>> "model.seed" in facts({"model": {"seed": 3, "note": None}})
    True
    """
    flat = flattened(values)
    rows = (tag("tr", tag("th", key, scope="row"), tag("td", text)) for key, text in flat.items())
    return tag("div", tag("table", tag("tbody", *rows), class_="pairs"), class_="scroll")


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Write a tree of values as texts by dotted name; None, NaN and empty ones are left out.

    Examples
    --------
    >>> flattened({"a": {"b": 1.5, "c": None}, "d": [1, "x"], "e": True})
    {'a.b': '1.5', 'd': '1, x', 'e': 'yes'}
    """
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        elif text := written(value):
            flat[f"{prefix}{key}"] = text
    return flat


def written(value: object) -> str:
    """Write one value; an empty text stands for nothing to write.

    Examples
    --------
    >>> written(float("nan")), written(False), written([1.0, None])
    ('', 'no', '1')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{k}: {text}" for k, text in flattened(value).items())
    if isinstance(value, (list, tuple)):
        return ", ".join(text for item in value if (text := written(item)))
    measure = figure(value)
    if measure is not None:
        return number(measure)
    return "" if value is None or isinstance(value, float) else str(value)


def figure(value: object) -> float | None:
    """Return a value as number; None where it is none, or not a finite one.

    numpy's numbers count; booleans and texts do not.

    Examples
    --------
    >>> figure(3), figure(float("inf")), figure("3"), figure(True)
    (3.0, None, None, None)
    """
    if value is None or isinstance(value, (bool, str, bytes)):
        return None
    try:
        number_ = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number_ if math.isfinite(number_) else None
