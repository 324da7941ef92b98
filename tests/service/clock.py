"""A clock in the test's hands."""

from __future__ import annotations


class Clock:
    """Seconds; moved by whoever sets ``now``."""

    now = 500.0

    def __call__(self) -> float:
        return self.now
