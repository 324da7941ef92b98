"""Which promotions count in the partitions held: as it was written, and what is new."""

from __future__ import annotations

from collections.abc import Mapping

from stream_ad.lineup import Lineup
from stream_ad.records import ActivationRecord
from stream_ad.service.shell import Shell
from stream_ad.transport.kafka.activations import Recorded, last
from stream_ad.transport.kafka.restore import Restored
from stream_ad.versions import Version


class Counting:
    """Lets promotions count partition by partition, and says what has to be written of it.

    Parameters
    ----------
    lineup : Lineup
    shell : Shell
    reset_state : bool
        Whether promotions of another registry, which never come, are not waited for.

    Attributes
    ----------
    ahead : dict of int to dict of str to int
        Partitions that wait: by group, the promotion that counts there and is not loaded yet.
    """

    def __init__(self, lineup: Lineup, shell: Shell, *, reset_state: bool) -> None:
        self._lineup, self._shell, self._reset_state = lineup, shell, reset_state
        self._recorded = Recorded()
        self.ahead: dict[int, dict[str, int]] = {}

    def take_over(self, found: Mapping[int, Restored]) -> set[int]:
        """Take in what was written of partitions; return those where all that counts is loaded.

        The others are ``ahead``.
        """
        loaded, names = self._loaded(), self._lineup.groups.names
        behind: dict[int, dict[str, int]] = {}
        for partition, restored in found.items():
            told = last(restored.activations)
            known = {group: told[group] for group in names if group in told}
            beyond = {group: n for group, n in known.items() if n > loaded.get(group, 0)}
            if beyond and not self._reset_state:
                behind[partition] = beyond
            else:
                counts = {group: n for group, n in known.items() if group not in beyond}
                self._recorded.take_over(partition, counts)
        if behind:
            self._shell.log.warning(
                "a promotion counts already that is not loaded: these partitions wait",
                promotions=behind,
                loaded=loaded,
            )
        self.ahead |= behind
        return found.keys() - behind.keys()

    def release(self, partition: int) -> None:
        """Forget a partition."""
        self._recorded.release(partition)

    def begin_anew(self, partition: int) -> None:
        """Write with the next batch what counts, as offsets of before mean nothing any more."""
        self._recorded.take_over(partition, {})

    def waiting(self, partitions: set[int]) -> set[int]:
        """Return the partitions that still wait for a promotion to be loaded."""
        loaded = self._loaded() if self.ahead else {}
        self.ahead = {
            partition: beyond
            for partition, beyond in self.ahead.items()
            if any(number > loaded.get(group, 0) for group, number in beyond.items())
        }
        return partitions & self.ahead.keys()

    def activate(self, first_offsets: Mapping[int, int]) -> dict[int, list[ActivationRecord]]:
        """Let all that is loaded count in partitions from these offsets on.

        Returns
        -------
        dict of int to list of ActivationRecord
            What is new there, to be committed with the records from there on.
        """
        upto, newest = len(self._lineup.versions), self.newest().values()
        made = {}
        for partition, offset in first_offsets.items():
            self._lineup.activate(partition, upto)
            if records := self._recorded.next(partition, newest, offset):
                made[partition] = records
        return made

    def newest(self) -> dict[str, Version]:
        """Return the version of each group that was promoted last, of those that are loaded."""
        return {version.model_id: version for version in self._lineup.versions}

    def _loaded(self) -> dict[str, int]:
        return {group: version.promotion for group, version in self.newest().items()}
