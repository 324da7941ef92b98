"""Where a record keeps its parts, and how to say that one is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from stream_ad.config import InputConfig

ABSENT: Final = object()  # not there, as opposed to null


class Rejected(Exception):
    """A record that becomes a dead letter.

    Parameters
    ----------
    error_class : str
        The kind of fault.
    message : str
        Key, value and what is allowed.
    """

    def __init__(self, error_class: str, message: str) -> None:
        self.error_class = error_class
        super().__init__(message)


class Path:
    """A dotted path into a record; a key that holds the dots itself comes first.

    Examples
    --------
    >>> Path("data.ts").of({"data": {"ts": 1}}), Path("data.ts").of({"data.ts": 2})
    (1, 2)
    >>> Path(".").of({"a": 1})
    {'a': 1}
    """

    __slots__ = ("_parts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts = text.split(".") if "." in text.strip(".") else []

    def of(self, tree: dict[str, Any]) -> Any:
        """Return the part, or ``ABSENT``."""
        if self.text == ".":
            return tree
        found = tree.get(self.text, ABSENT)
        if found is not ABSENT or not self._parts:
            return found
        branch: Any = tree
        for part in self._parts:
            if type(branch) is not dict:
                return ABSENT
            branch = branch.get(part, ABSENT)
        return branch

    def __str__(self) -> str:
        return self.text


def time_field(config: InputConfig) -> str:
    """Return where a JSON record keeps its time: windows call it ``start`` unless told otherwise.

    Examples
    --------
    >>> time_field(InputConfig(format="window")), time_field(InputConfig())
    ('start', 'time')
    """
    own = config.fields.time
    return "start" if config.format == "window" and own == "time" else own


def listed(texts: Iterable[str], most: int) -> str:
    """Return texts for a sentence: the first few, and how many more.

    Examples
    --------
    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    texts = list(texts)
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def brief(value: object, most: int = 100) -> str:
    """Return a short text of any value.

    Examples
    --------
    >>> brief("x" * 500, most=10)
    "'xxxxxxxxx..."
    """
    text = repr(value[: 2 * most] if isinstance(value, (str, list)) else value)
    return text if len(text) <= most else f"{text[:most]}..."
