"""What a trainer says of its work, to the log and to whoever reads its figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from structlog.stdlib import BoundLogger

from stream_ad.progress import Silence
from stream_ad.service.trainer_metrics import TrainerMetrics

PROGRESS_S = 30.0  # between two lines about how far a group's cold start is


class TrainerRemarks:
    """Says what became of trainings, and now and then how far a cold start is.

    Parameters
    ----------
    log : BoundLogger
    metrics : TrainerMetrics
    clock : callable, optional
        Seconds that never go back.
    """

    def __init__(
        self,
        log: BoundLogger,
        metrics: TrainerMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.log, self.metrics, self._clock = log, metrics, clock
        self._next: dict[str, float] = {}
        self._trouble = ""

    def progress(self, group: str, progress: Mapping[str, Any], *, first: bool) -> None:
        """Tell how far a group's buffer is; as of `Retraining.progress_of`.

        Parameters
        ----------
        group : str
        progress : mapping
        first : bool
            Whether nothing scores yet: then people wait for it.
        """
        self.metrics.progress(group, progress)
        if first and self._clock() >= self._next.get(group, float("-inf")):
            self._next[group] = self._clock() + PROGRESS_S
            self.log.info("gathering windows for the first detector", group=group, **progress)

    def trained(self, group: str, said: Mapping[str, Any], seconds: float) -> None:
        """Tell of a training, by its record."""
        outcome = "failed" if "failed" in said else "refused" if "refused" in said else "promoted"
        self.metrics.trained(group, said["kind"], outcome, seconds)
        tell = self.log.info if outcome == "promoted" else self.log.warning
        tell(
            f"training {outcome}",
            group=group,
            cause=said["cause"],
            kind=said["kind"],
            why=said.get("failed") or said.get("refused") or said.get("reason"),
            version=said.get("version"),
            effective_from=said.get("effective_from"),
            windows=said.get("windows"),
            seconds=round(seconds, 3),
        )

    def trouble(self, error: Exception, what: str) -> None:
        """Tell, once, of something that went wrong and is tried again."""
        kind = type(error).__name__
        self.metrics.trouble(kind)
        told = f"{kind}: {error}"
        if told != self._trouble:
            self.log.warning(what, reason=str(error), kind=kind)
        self._trouble = told

    def well(self) -> None:
        """Let the next trouble be told whatever it is: this one is over."""
        self._trouble = ""


class Notes(Silence):
    """Lets the log hear what a training says of itself.

    Parameters
    ----------
    log : BoundLogger
    group : str
    """

    def __init__(self, log: BoundLogger, group: str) -> None:
        self._log, self._group = log, group

    def note(self, text: str) -> None:
        """Say it."""
        self._log.info("training", group=self._group, said=text)
