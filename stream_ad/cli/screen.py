"""What long work shows on the terminal: one bar per stage, notes above it."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)


class Screen:
    """A ``Progress`` listener for people.

    Parameters
    ----------
    console : Console, optional
        Where to draw; standard error by default, so that output can be piped.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=self.console,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if error is None:
            self._fill()
        self._stop()

    def stage(self, name: str, total: float | None) -> None:
        """Start a new bar; the one before is full."""
        self._fill()
        self._task = self.bars.add_task(name, total=total)

    def at(self, done: float) -> None:
        """Move the bar."""
        if self._task is not None:
            self.bars.update(self._task, completed=done)

    def note(self, text: str) -> None:
        """Print a line above the bars."""
        self.console.print(text, markup=False, highlight=False)

    def _start(self) -> None:
        self.bars.start()

    def _stop(self) -> None:
        self.bars.stop()

    def _fill(self) -> None:
        if self._task is not None:
            total = self.bars.tasks[self._task].total or 1
            self.bars.update(self._task, total=total, completed=total)
