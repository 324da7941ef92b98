"""Times written after a pattern of ``strptime``: by the value, and fast by the column."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from stream_ad.errors import ConfigError

_DIGITS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2}
_MICROSECOND = timedelta(microseconds=1)


class TimePattern:
    """A pattern of ``datetime.strptime``.

    Parameters
    ----------
    pattern : str
        Such as ``%d.%m.%Y %H:%M:%S``.

    Raises
    ------
    ConfigError
        For a pattern that ``strptime`` does not know.

    Examples
    --------
    >>> pattern = TimePattern("%d.%m.%Y %H:%M")
    >>> pattern.one("02.01.1970 00:00")
    (86400000000000, None)
    >>> pattern.column(pa.array(["02.01.1970 00:00"]))[0].as_py()
    '1970-01-02T00:00:00'
    """

    def __init__(self, pattern: str) -> None:
        try:
            datetime.strptime(datetime(2000, 1, 1, tzinfo=UTC).strftime(pattern), pattern)  # noqa: DTZ007 (only tried)
        except ValueError as error:
            allowed = f"a pattern of strptime, such as '%d.%m.%Y %H:%M:%S' ({error})"
            raise ConfigError("input.time_format", pattern, allowed) from error
        self._pattern = pattern
        self._quick = _as_iso(pattern)

    def one(self, text: str) -> tuple[int, int | None] | None:
        """Return clock time and offset from UTC in nanoseconds; None where it does not fit."""
        try:
            moment = datetime.strptime(text, self._pattern)  # noqa: DTZ007 (zone follows)
        except ValueError:
            return None
        offset = moment.utcoffset()
        since = moment.replace(tzinfo=None) - datetime(1970, 1, 1)  # noqa: DTZ001 (likewise)
        ahead = None if offset is None else offset // _MICROSECOND * 1000
        return since // _MICROSECOND * 1000, ahead

    def column(self, texts: pa.Array) -> pa.Array | None:
        """Return a column in ISO 8601; None where this needs a look at each text."""
        if self._quick is None:
            return None
        shape, order = self._quick
        if not pc.all(pc.match_substring_regex(texts, shape)).as_py():
            return None
        return pc.replace_substring_regex(texts, shape, order)


def _as_iso(pattern: str) -> tuple[str, str] | None:
    """Return a regex for texts of full width and its replacement, if the pattern has them."""
    literals, directives = re.split("%(.)", pattern)[::2], re.findall("%(.)", pattern)
    known = {*_DIGITS, "f"}
    if len(set(directives)) < len(directives) or not {"Y", "m", "d"} <= set(directives) <= known:
        return None
    shape = re.escape(literals[0])
    for directive, literal in zip(directives, literals[1:], strict=True):
        width = _DIGITS.get(directive, "1,6")
        shape += f"([0-9]{{{width}}}){re.escape(literal)}"
    group = {directive: f"\\{place}" for place, directive in enumerate(directives, 1)}
    clock = ":".join(group.get(directive, "00") for directive in "HMS")
    day = "-".join(group[directive] for directive in "Ymd")
    decimals = f".{group['f']}" if "f" in group else ""
    return f"^{shape}$", f"{day}T{clock}{decimals}"
