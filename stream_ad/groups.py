"""Which machine belongs to which group, and what holds there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate

import numpy as np
from numpy.typing import NDArray

from stream_ad.config import Config
from stream_ad.config.groups import DEFAULT
from stream_ad.versions import OfGroup, active


class Groups:
    """The machine groups of a configuration.

    Parameters
    ----------
    config : Config

    Attributes
    ----------
    names : tuple of str
        ``default`` first, the others as they stand in the settings.

    Examples
    --------
    >>> from stream_ad.config import parse_config
    >>> groups = Groups(parse_config({"groups": {"press": {"match": ["press-*", "p?"]}}}))
    >>> [groups.of(machine) for machine in ("press-7", "p1", "oven")]
    ['press', 'press', 'default']
    """

    def __init__(self, config: Config) -> None:
        self._configs = {name: config.of_group(name) for name in (DEFAULT, *config.groups)}
        self.names = tuple(self._configs)
        self._patterns = {
            name: re.compile("|".join(translate(pattern) for pattern in group.match))
            for name, group in config.groups.items()
        }
        self._known: dict[str, str] = {}

    def of(self, machine: str) -> str:
        """Return the name of a machine's group."""
        known = self._known.get(machine)
        if known is None:
            matching = (name for name, one in self._patterns.items() if one.match(machine))
            known = self._known[machine] = next(matching, DEFAULT)
        return known

    def config(self, name: str) -> Config:
        """Return the settings that hold in a group."""
        return self._configs[name]

    def rows(self, machine: NDArray[np.object_]) -> dict[str, NDArray[np.int64]]:
        """Return which rows (n,) belong to each group that has any."""
        if len(self.names) == 1:
            return {DEFAULT: np.arange(len(machine))} if len(machine) else {}
        group = np.array([self.of(name) for name in machine], object)
        found = {name: np.flatnonzero(group == name) for name in self.names}
        return {name: rows for name, rows in found.items() if len(rows)}

    def active(
        self, versions: Sequence[OfGroup], machine: NDArray[np.object_], end: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return, per window, the place of the version in effect; -1 for none.

        Those of the machine's own group go before those of ``default``.

        Parameters
        ----------
        versions : sequence of Version or Removed
            Of all groups, in the order of their promotion.
        machine : object array (n,)
        end : int64 array (n,)
            Window ends in ns.
        """
        if len(self.names) == 1:
            return active(versions, end)
        found = np.full(len(end), -1, np.int64)
        for group, rows in self.rows(machine).items():
            for name in dict.fromkeys((DEFAULT, group)):
                own = [place for place, one in enumerate(versions) if one.model_id == name]
                place = active([versions[i] for i in own], end[rows])
                found[rows] = np.where(place < 0, found[rows], np.array([*own, -1])[place])
        return found
