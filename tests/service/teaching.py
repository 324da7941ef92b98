"""A trainer in a thread, beside the workers of `tests.service.running`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from stream_ad.config import Config
from stream_ad.service.shell import Shell
from stream_ad.service.trainer import run_trainer
from stream_ad.service.trainer_metrics import TrainerMetrics
from tests.service.running import PATIENCE_S


class Teaching:
    """A trainer in a thread of its own."""

    def __init__(self, config: Config) -> None:
        self.shell, self.metrics = Shell.silent(), TrainerMetrics()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(config,))
        self._thread.start()

    def _run(self, config: Config) -> None:
        try:
            run_trainer(config, shell=self.shell, metrics=self.metrics)
        except BaseException as error:
            self.error = error

    def ended(self, within_s: float = PATIENCE_S) -> BaseException | None:
        """Wait for the end; return what it ended with."""
        self._thread.join(within_s)
        assert not self._thread.is_alive()
        return self.error

    def stop(self) -> None:
        """Stop it as SIGTERM would, and see it end well."""
        self.shell.stop()
        if (error := self.ended()) is not None:
            raise error

    def value(self, name: str, **labels: str) -> float | None:
        """Return a figure."""
        return self.metrics.registry.get_sample_value(f"stream_ad_{name}", labels)


@contextmanager
def teaching(config: Config) -> Iterator[Teaching]:
    """Run a trainer for as long as the block; it has to end well."""
    one = Teaching(config)
    try:
        yield one
    except BaseException:
        one.shell.stop()
        one.ended()
        raise
    one.stop()
