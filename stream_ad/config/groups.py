"""Machine groups: which machines share a detector, and what is set otherwise for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from stream_ad.config.section import Section

DEFAULT = "default"
OVERRIDDEN = ("detector", "alarm", "training")

_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


def _is_a_name(name: str) -> str:
    if not re.fullmatch(_NAME, name) or name == DEFAULT:
        raise ValueError(
            "a name of 1 to 64 letters without accents, digits, dots, hyphens or underscores, but "
            f"{DEFAULT}: that one is the sections above"
        )
    return name


Settings = Annotated[dict[str, Any], Field(default_factory=dict, json_schema_extra={"default": {}})]


class GroupConfig(Section):
    """Machines that share one detector. What a group does not set is as in the sections above."""

    match: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    """Machine ids of the group; `*`, `?` and `[...]` stand for any text, sign, or one of these
    signs. A machine belongs to the first group that it matches, otherwise to `default`."""
    detector: Settings
    """Keys of `detector` for this group."""
    alarm: Settings
    """Keys of `alarm` for this group, but `mute`."""
    training: Settings
    """Keys of `training` for this group, but `history_share`."""


Name = Annotated[
    str, AfterValidator(_is_a_name), WithJsonSchema({"type": "string", "pattern": _NAME})
]
# a heading whose keys are all comments is empty
Groups = Annotated[
    dict[Name, GroupConfig], BeforeValidator(lambda tree: {} if tree is None else tree)
]


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with others laid over them, section by section; a list goes whole.

    Examples
    --------
    >>> merged({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 4}})
    {'a': 1, 'b': {'c': 2, 'd': 4}}
    """
    both = dict(below)
    for key, value in above.items():
        known = both.get(key)
        if isinstance(known, Mapping) and isinstance(value, Mapping):
            both[key] = merged(known, value)
        else:
            both[key] = value
    return both
