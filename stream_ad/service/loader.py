"""Loads what is promoted, in a thread of its own; the loop takes it when it has time.

The thread never touches the pipeline, and the loop never waits for it: what is loaded passes
through a queue without a lock.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

from structlog.stdlib import BoundLogger

from stream_ad.config import Config
from stream_ad.service.metrics import Metrics
from stream_ad.service.promoted import Promoted
from stream_ad.training.registry import Registry
from stream_ad.transport.kafka.announcements import followed
from stream_ad.transport.kafka.waits import CLOSE_S
from stream_ad.versions import Version
from stream_ad.windows import WindowSpec


class Loader:
    """Follows the models topic and loads each promoted detector, its index included.

    Parameters
    ----------
    config : Config
    spec : WindowSpec
    registry : Registry
    newest : mapping of str to int
        The groups to follow, each with the number of the newest promotion that is loaded already.
    log : BoundLogger
    metrics : Metrics
    clock : callable, optional
        Seconds that never go back.
    """

    def __init__(  # noqa: PLR0917 - what it works with, and whom it tells
        self,
        config: Config,
        spec: WindowSpec,
        registry: Registry,
        newest: Mapping[str, int],
        log: BoundLogger,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kafka, self._log, self._metrics = config.kafka, log, metrics
        self._loaded: deque[Version] = deque()
        self._groups = {
            group: Promoted(
                group,
                number,
                registry,
                spec,
                config.of_group(group),
                self._loaded.append,
                log,
                clock,
            )
            for group, number in newest.items()
        }
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loader", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def take(self) -> list[Version]:
        """Return what was loaded since it was asked last; never waits."""
        return [self._loaded.popleft() for _ in range(len(self._loaded))]

    def expect(self, group: str, promotion: int) -> None:
        """Ask for what counts somewhere already, whether it is announced or not."""
        self._groups[group].expect(promotion)

    def stop(self) -> None:
        """Ask the thread to end."""
        self._ended.set()

    def close(self) -> None:
        """End the thread; one that loads right now ends with the process."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join(2 * CLOSE_S)

    def _run(self) -> None:
        for records in followed(self._kafka, self._ended.is_set, self._log.warning):
            for record in records:
                if record.machine_group in self._groups:
                    self._groups[record.machine_group].hear(record)
            self._load()

    def _load(self) -> None:
        for group in self._groups.values():
            if group.load():
                self._metrics.load_failed()
        self._metrics.promotions_waiting(sum(map(len, self._groups.values())))
