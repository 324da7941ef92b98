"""The versions of one stream, and which of them count in which partition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stream_ad.config.groups import DEFAULT
from stream_ad.errors import ArtifactNotFound
from stream_ad.groups import Groups
from stream_ad.versions import OfGroup, Removed, Version
from stream_ad.windows import rfc3339


class Lineup:
    """Says which version scores a window: all count in every partition until told otherwise.

    Parameters
    ----------
    groups : Groups
        Which machine belongs to which group: a window is scored by the versions of its
        machine's group, and while there are none by those of ``default``.
    versions : iterable of Version
        In the order of their promotion.
    removed : sequence of Removed
        Versions that scored once and are there no more.

    Attributes
    ----------
    groups : Groups
    versions : list of Version
        In the order of their promotion.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from stream_ad.config import Config
    >>> old, new = (Version(SimpleNamespace(), n, n * 100) for n in (1, 2))
    >>> lineup = Lineup(Groups(Config()), [old])
    >>> lineup.offer(new)
    >>> lineup.activate(0, upto=1)
    >>> machine, end = np.array(["press-7", "press-7"], object), np.array([99, 250])
    >>> lineup.active(0, machine, end)
    array([-1,  0])
    >>> lineup.activate(0, upto=2)
    >>> lineup.active(0, machine, end)
    array([-1,  1])
    """

    def __init__(
        self, groups: Groups, versions: Iterable[Version], removed: Sequence[Removed] = ()
    ) -> None:
        self.groups, self._removed = groups, removed
        self.versions = [*versions]
        # partition -> places in `versions` and, behind them, in `removed`
        self._counting: dict[int, Sequence[int]] = {}

    def offer(self, version: Version) -> None:
        """Take another version, which does not count yet where it was told what does."""
        self.versions.append(version)

    def adopt(self, version: Version) -> None:
        """Let another version score, in every partition, what ends when it takes effect or later.

        Parameters
        ----------
        version : Version
            It replaces those before it that take effect no earlier.
        """
        self.offer(version)
        self._counting.clear()

    def activate(self, partition: int, upto: int) -> None:
        """Let the first ``upto`` versions count in a partition, from the next batch on."""
        self._counting[partition] = range(upto)

    def count_only(self, partition: int, promotions: Mapping[str, int] | None) -> None:
        """Let count in a partition what counted there in another run, from the next batch on.

        Parameters
        ----------
        partition : int
        promotions : mapping of str to int, or None
            The newest that counted, by group; of a group that is not there none did. None: all
            versions count.
        """
        if promotions is None:
            self.release(partition)
            return
        counted = [
            (one.promotion, place)
            for place, one in enumerate(self._known())
            if one.promotion <= promotions.get(one.model_id, 0)
        ]
        self._counting[partition] = [place for _, place in sorted(counted)]

    def release(self, partition: int) -> None:
        """Forget what counts in a partition."""
        self._counting.pop(partition, None)

    def active(
        self, partition: int, machine: NDArray[np.object_], end: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the place in ``versions`` of what scores each window; -1 for none.

        Parameters
        ----------
        partition : int
        machine : object array (n,)
        end : int64 array (n,)
            Window ends in ns.

        Raises
        ------
        ArtifactNotFound
            What scored a window in the run that is followed is there no more.
        """
        counting, known = self._counting.get(partition, range(len(self.versions))), self._known()
        found = self.groups.active([known[place] for place in counting], machine, end)
        place = np.array([*counting, -1], np.int64)[found]
        for row in np.flatnonzero(place >= len(self.versions)):
            window = f"the window of {machine[row]} that ends at {rfc3339(int(end[row]))}"
            why = self._removed[place[row] - len(self.versions)].why
            raise ArtifactNotFound(f"{window} was scored by {why}")
        return place

    def serves(self, machine: str) -> bool:
        """Say whether there is any version for a machine."""
        names = {DEFAULT, self.groups.of(machine)}
        return any(version.model_id in names for version in self.versions)

    def _known(self) -> list[OfGroup]:
        return [*self.versions, *self._removed]
