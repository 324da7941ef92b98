"""Brokers for as long as a block lasts."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Lifetime(ABC):
    """A context that starts brokers, and at its end kills them and gives their ports back."""

    _held: list[socket.socket]

    @abstractmethod
    def start(self) -> None:
        """Start them and wait until they serve."""

    @abstractmethod
    def kill(self) -> None:
        """End them at once (SIGKILL)."""

    def _release(self) -> None:
        for held in self._held:
            held.close()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        self._release()
