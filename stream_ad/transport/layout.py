"""Which columns of a table are read, and what to say when one is absent."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from stream_ad.config import InputConfig
from stream_ad.errors import ConfigError, InputError
from stream_ad.transport.fields import listed
from stream_ad.transport.quality import GoodQuality

Role = Literal["name", "time", "number", "text"]
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns of a table are read, and as what.

    Parameters
    ----------
    roles : mapping of str to Role
        By column name, in reading order.
    """

    roles: Mapping[str, Role]

    @classmethod
    def of(cls, config: InputConfig, sensors: Sequence[str]) -> Layout:
        """Return the columns that ``input`` and the sensors ask for."""
        fields = config.fields
        roles: dict[str, Role] = {}
        if config.format == "window":
            raise ConfigError("input.format", "window", "'reading' or 'long' for CSV and Parquet")
        if fields.machine_id is not None:
            roles[fields.machine_id] = "name"
        roles[fields.time] = "time"
        if config.format == "long":
            roles |= {fields.sensor: "name", fields.value: "number"}
        elif clash := [name for name in sensors if name in roles]:
            raise ConfigError("windows.sensors", clash[0], "a column that is not machine or time")
        else:
            roles |= dict.fromkeys(sensors, "number")
        quality = GoodQuality(config).column
        if quality is not None:
            roles[quality] = "text"
        return cls(roles)

    def check(self, source: object, there: Sequence[str]) -> None:
        """Raise InputError unless each column stands in the file exactly once."""
        twice = [name for name in self.roles if there.count(name) > 1]
        if twice:
            raise InputError(f"{source}: column {twice[0]!r} stands there {there.count(twice[0])}x")
        absent = [name for name in self.roles if name not in there]
        if absent:
            raise InputError(
                f"{source}: no column {listed(map(repr, absent), _SHOWN)}; the file has"
                f" {listed(there, _SHOWN)}{self._hint(absent, there)}"
            )

    def _hint(self, absent: Sequence[str], there: Sequence[str]) -> str:
        signs = [sign for sign in ";\t,|" if sign in there[0]]
        if len(there) == 1 and signs:
            return f"; did you mean input.csv.delimiter: {signs[0]!r}?"
        near = {name: difflib.get_close_matches(name, there, n=1) for name in absent}
        hints = [f"{name!r} -> {names[0]!r}" for name, names in near.items() if names]
        hint = f"; did you mean {listed(hints, _SHOWN)}?" if hints else ""
        if any(self.roles[name] == "name" for name in absent):
            hint += "; input.fields.machine_id: null stands for one machine without a column"
        return hint
