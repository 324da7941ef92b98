"""How long work tells that it goes on; the program never waits for whoever listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Listens to long work."""

    def stage(self, name: str, total: float | None) -> None:
        """Start a stage of so many units; None where the end is not known."""
        ...

    def at(self, done: float) -> None:
        """Say how many units are done."""
        ...

    def note(self, text: str) -> None:
        """Say something that the user should know."""
        ...


class Silence:
    """Nobody listens.

    Examples
    --------
    >>> Silence().note("anything")
    """

    def stage(self, name: str, total: float | None) -> None:
        """Do nothing."""

    def at(self, done: float) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""
