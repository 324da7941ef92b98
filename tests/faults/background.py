"""Work beside the test, for as long as a block lasts."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Background(ABC):
    """A context with a thread of its own.

    Attributes
    ----------
    over : Event
        Set at the end of the block, which then waits for the thread.
    """

    def __init__(self) -> None:
        self.over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    @abstractmethod
    def _work(self) -> None:
        """Do it in the thread; return soon after ``over`` is set."""

    def join(self) -> None:
        """Wait until it is done by itself."""
        self._thread.join()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.over.set()
        self._thread.join()
