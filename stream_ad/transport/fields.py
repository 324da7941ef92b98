"""Where a record keeps its parts, and how to say that one is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from stream_ad.config import InputConfig
from stream_ad.errors import ConfigError

ABSENT: Final = object()  # not there, as opposed to null
KEY, HEADER = "$key", "$header."
Envelope = tuple[bytes | None, Sequence[tuple[str, bytes]]]  # a message's key and headers


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

    @property
    def is_top(self) -> bool:
        """Whether the part, if there is one, lies at the top of a record under this name."""
        return not self._parts and self.text != "."

    def __str__(self) -> str:
        return self.text


class EnvelopeFields:
    """The parts of a record that stand in its message's key or headers instead.

    Parameters
    ----------
    config : InputConfig
        Fields named ``$key`` or ``$header.NAME``.

    Attributes
    ----------
    names : dict of str to str
        The field as the config names it, by its part of the record, such as ``machine_id``.

    Examples
    --------
    >>> fields = EnvelopeFields(InputConfig(fields={"machine_id": "$key"}))
    >>> fields.onto({"time": 5}, (b"press-1", []))
    {'time': 5, '$key': 'press-1'}
    """

    def __init__(self, config: InputConfig) -> None:
        fields = config.fields.model_dump()
        self.names = {part: name for part, name in fields.items() if str(name).startswith("$")}
        # a record without a quality code is good, wherever the code would have stood
        self._may_lack = self.names.get("quality")

    def onto(self, tree: dict[str, Any], envelope: Envelope) -> dict[str, Any]:
        """Return a record with the parts of its envelope under their names in the config.

        Raises
        ------
        Rejected
            For a key or header that is not there or is no UTF-8.
        """
        key, headers = envelope
        known = dict(headers)  # of headers of one name the last counts, as of keys in an object
        for name in self.names.values():
            raw = key if name == KEY else known.get(name.removeprefix(HEADER))
            if raw is None and name != self._may_lack:
                kind = "key" if name == KEY else "header"
                raise Rejected("MissingField", f"{name}: the message has no such {kind}")
            try:
                tree = tree | {name: None if raw is None else raw.decode()}
            except UnicodeDecodeError:
                message = f"{name} = {brief(raw)}: allowed is text in UTF-8"
                raise Rejected("InvalidField", message) from None
        return tree


def refuse_envelope(config: InputConfig) -> None:
    """Check that no field stands in a key or header, which a file does not have.

    Raises
    ------
    ConfigError
    """
    for part, name in EnvelopeFields(config).names.items():
        allowed = "a field or column of the record: a file has no keys and headers"
        raise ConfigError(f"input.fields.{part}", name, allowed)


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
