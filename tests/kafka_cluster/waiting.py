"""Waiting for something that another process does."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(condition: Callable[[], bool], timeout_s: float, *, pause_s: float = 0.05) -> bool:
    """Return whether a condition came true in time; it is looked at once at least.

    Examples
    --------
    >>> until(lambda: True, 0)
    True
    >>> until(lambda: False, 0.1)
    False
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause_s)
    return True
