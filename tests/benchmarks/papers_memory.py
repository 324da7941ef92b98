"""The memory that a fit takes, in a process of its own."""

from __future__ import annotations

import threading
from pathlib import Path

from stream_ad.detector import Detector
from tests.benchmarks.memory import MIB, resident
from tests.benchmarks.papers_runs import Figures, Job, settings_of, task_of

EVERY_S = 0.005  # between two looks
WARM = 80  # rows of a first fit: what torch loads when it first trains is nobody's


def memory(job: Job, data: Path) -> Figures:
    """Fit once and return by how much the resident memory rose at most, in MiB.

    Only in a process that has fitted nothing before: what others gave back would hide it.
    """
    task = task_of(job, data)
    Detector(**(settings_of(job) | {"epochs": 1})).fit(task.train[:WARM])
    before, highest, done = resident(), [resident()], threading.Event()

    def look() -> None:
        while not done.wait(EVERY_S):
            highest.append(max(highest.pop(), resident()))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        Detector(**settings_of(job)).fit(task.train)
    finally:
        done.set()
        watcher.join()
    return {"memory_mib": (max(*highest, resident()) - before) / MIB, "before_mib": before / MIB}
