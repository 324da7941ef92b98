"""What was promoted in a machine group and is not loaded yet: loaded in order, however often."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import numpy as np
from structlog.stdlib import BoundLogger

from stream_ad.config import Config
from stream_ad.errors import ArtifactError, ArtifactNotFound, RegistryError
from stream_ad.records import ModelRecord
from stream_ad.training.promotions import Promotion, not_replaced
from stream_ad.training.registry import Registry
from stream_ad.transport.kafka.patience import LONGEST_PAUSE_S
from stream_ad.versions import Version
from stream_ad.windows import WindowSpec
from stream_ad.windows.spec import rfc3339

TRIES = 3  # of a bad artifact, before one that was promoted later may do without it


class Promoted:
    """The promotions of one group, handed over in their order as their detectors are loaded.

    One that cannot be loaded is tried again with growing pauses, and what scored goes on. One
    that a later one replaces is left out; a bad one is passed over for a later one in the end,
    but one that cannot be reached is waited for.

    Parameters
    ----------
    group : str
    newest : int
        Number of the newest promotion that is loaded already.
    registry : Registry
    spec : WindowSpec
    config : Config
    hand_over : callable
        Takes each version.
    log : BoundLogger
    clock : callable, optional
        Seconds that never go back.
    """

    def __init__(  # noqa: PLR0917 - what it works with, and whom it tells
        self,
        group: str,
        newest: int,
        registry: Registry,
        spec: WindowSpec,
        config: Config,
        hand_over: Callable[[Version], object],
        log: BoundLogger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._group, self._newest, self._registry = group, newest, registry
        self._spec, self._config = spec, config
        self._hand_over, self._log, self._clock = hand_over, log, clock
        self._announced: dict[int, ModelRecord] = {}
        self._expected = 0
        self._tried: Counter[int] = Counter()
        self._told: str | None = None
        self._due, self._pause = float("-inf"), config.kafka.retry_backoff_s

    def __len__(self) -> int:
        return len(self._announced)

    def hear(self, record: ModelRecord) -> None:
        """Take note of an announcement; that of a promotion that is loaded says nothing new."""
        if record.promotion > self._newest:
            self._announced[record.promotion] = record
            self._due = float("-inf")

    def expect(self, promotion: int) -> None:
        """Ask for a promotion, whether it is announced or not; from any thread."""
        if promotion > self._expected:
            self._expected, self._due = promotion, float("-inf")

    def load(self) -> bool:
        """Load what is asked for and due, in order, as far as it goes; return whether it failed."""
        if not self._announced and self._expected <= self._newest:
            return False
        if self._clock() < self._due:
            return False
        try:
            self._load()
        except Exception as error:  # whatever is wrong with it, what scored goes on
            self._failed(error)
            return True
        self._pause, self._told = self._config.kafka.retry_backoff_s, None
        return False

    def _load(self) -> None:
        """Hand over all that can be loaded; raise what the first one that cannot met."""
        made = {one.number: one for one in self._registry.promotions(self._group)}
        failure: ArtifactError | None = None
        for number in self._wanted(made):
            began = self._clock()
            try:
                version = self._version(number, made)
            except RegistryError:  # it may be reached later, and then this one comes first
                raise
            except ArtifactError as error:
                self._tried[number] += 1
                failure = failure or error
                if self._tried[number] < TRIES:
                    break
            else:
                self._loaded(version, self._clock() - began)
        if failure is not None:
            raise failure

    def _wanted(self, made: dict[int, Promotion]) -> list[int]:
        """Return the promotions that are missing, without those that will never score."""
        asked = {*self._announced, self._expected}
        new = [one for number, one in made.items() if self._newest < number <= max(asked)]
        unseen = {number for number in asked - made.keys() if number > self._newest}
        return sorted(unseen.union(one.number for one in not_replaced(new)))

    def _version(self, number: int, made: dict[int, Promotion]) -> Version:
        if number not in made:
            how = "was announced" if number in self._announced else "counts already"
            raise ArtifactNotFound(
                f"promotion {number} {how} and is not in {self._registry.where}: if that is "
                "another registry than before, give it a models topic of its own, and begin with "
                "`stream-ad run --reset-state`"
            )
        record = self._announced.get(number)
        promotion = made[number] if record is None else self._registry.announced(record)
        version = self._registry.version(promotion, self._spec, self._config)
        self._try_out(version)
        return version

    def _try_out(self, version: Version) -> None:
        """Score one window: what cannot, or is slow for the first time, shall not meet the loop."""
        shape = (1, self._spec.length, len(self._spec.sensors))
        version.detector.score(np.zeros(shape, np.float32), np.zeros(1, np.int64))

    def _loaded(self, version: Version, seconds: float) -> None:
        self._newest = version.promotion
        for number in [one for one in self._announced if one <= self._newest]:
            del self._announced[number]
            if self._tried.pop(number, 0) and number < self._newest:
                self._log.error(
                    "a promotion is passed over for a later one",
                    machine_group=self._group,
                    promotion=number,
                )
        self._hand_over(version)
        self._log.info(
            "a promoted detector is loaded",
            machine_group=self._group,
            promotion=version.promotion,
            version=version.number,
            effective_from=rfc3339(version.effective_from),
            seconds=round(seconds, 3),
        )

    def _failed(self, error: Exception) -> None:
        reason = str(error) or type(error).__name__
        if reason != self._told:
            self._log.warning(
                "a promoted detector cannot be loaded: what scored goes on",
                machine_group=self._group,
                promotions=sorted(self._announced) or [self._expected],
                reason=reason,
                tries_again_in_s=self._pause,
            )
        self._told = reason
        self._due = self._clock() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
