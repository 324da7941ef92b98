"""What a worker needs of its process: the end, log, metrics, watchdog, endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, disable_created_metrics
from structlog.stdlib import BoundLogger

from stream_ad.config import Config
from stream_ad.service import logs
from stream_ad.service.endpoints import Endpoints
from stream_ad.service.health import Health
from stream_ad.service.metrics import Metrics
from stream_ad.service.stop import Stop
from stream_ad.service.watchdog import Watchdog
from stream_ad.transport.kafka.waits import STALLED_S, STUCK_S, WATCHDOG_S


@dataclass(frozen=True)
class Shell:
    """The process around a worker.

    Parameters
    ----------
    log : BoundLogger
        ``log.info("partitions assigned", partitions=[0, 1])``: one JSON line.
    metrics : Metrics
    watchdog : Watchdog
    health : Health

    Examples
    --------
    >>> shell = Shell.silent()
    >>> shell.turn()
    >>> shell.stop()
    >>> shell.wait(60), shell.stopping
    (True, True)
    """

    log: BoundLogger
    metrics: Metrics
    watchdog: Watchdog
    health: Health
    _stop: Stop = field(default_factory=Stop)

    @classmethod
    def silent(cls) -> Shell:
        """Return one without signals, ports or watch, for tests and programs of one's own."""
        return cls(logs.get(), Metrics(), Watchdog(float("inf")), Health(60, STALLED_S))

    @classmethod
    @contextmanager
    def open(
        cls,
        config: Config,
        slot: int,
        parent: int | None = None,
        *,
        longest_turn_s: float | None = None,
        registry: CollectorRegistry | None = None,
    ) -> Iterator[Shell]:
        """Set up the process of one worker slot, or a trainer; undone at the end of the block.

        Parameters
        ----------
        config : Config
        slot : int
            From 0; added to ``metrics.port``.
        parent : int, optional
            Process id of the supervisor, without which the process ends.
        longest_turn_s : float, optional
            Of the loop; by default a transaction's time-out.
        registry : CollectorRegistry, optional
            Of the figures that are shown; by default those of a worker.

        Raises
        ------
        ConfigError
            ``metrics.port`` or ``metrics.host`` cannot be listened on.
        """
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the series
        limit_s = longest_turn_s or config.kafka.transaction_timeout_s
        log, metrics, stop = logs.get(), Metrics(), Stop()
        health = Health(limit_s + STUCK_S, limit_s + STALLED_S)
        dog = Watchdog(
            limit_s + WATCHDOG_S,
            parent=parent,
            stopping=lambda: stop.asked > 0,
            say=lambda why: log.error("ended by its watchdog", reason=why),
        )
        shell = cls(log, metrics, dog, health, stop)
        with ExitStack() as stack:
            stack.enter_context(stop.on_signals())
            if config.metrics.port is not None:
                port = config.metrics.port + slot
                shown = registry or metrics.registry
                endpoints = Endpoints(config.metrics.host, port, shown, health)
                stack.callback(endpoints.close)
            dog.start()
            stack.callback(dog.stop)
            yield shell

    @property
    def stopping(self) -> bool:
        """Whether SIGTERM or SIGINT came: finish the batch, commit, close, return."""
        return self._stop.asked > 0

    def turn(self) -> None:
        """Tell watchdog and liveness that the loop made a turn; call it while waiting, too."""
        self.watchdog.progress()
        self.health.turn()

    def at_once(self) -> AbstractContextManager[None]:
        """Return a block that an end breaks off with `Stopped`, as nothing in it needs an end."""
        return self._stop.at_once()

    def go_on(self) -> None:
        """Make a turn; raise `Stopped` where the worker shall end. For waits of many turns."""
        self._stop.look()
        self.turn()

    def stop(self) -> None:
        """Ask the worker to end, as the signals do."""
        self._stop.ask()

    def wait(self, seconds: float) -> bool:
        """Sleep, at most until the worker shall end; say whether it shall."""
        return self._stop.wait(seconds)
