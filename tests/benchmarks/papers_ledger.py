"""Finished runs on disk: one line each, so that a command that was stopped goes on.

Failed runs are not written: they are done again.
"""

from __future__ import annotations

import os
from pathlib import Path

import orjson

from tests.benchmarks.papers_runs import Figures, Job


class Ledger:
    """A file of finished runs, with their digests.

    A last line that a killed process left unfinished is cut off; of two lines of one run the
    later one counts.

    Parameters
    ----------
    file : Path
        Made when the first run is entered.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[Job, tuple[str, Figures]] = {}
        whole = file.read_bytes() if file.exists() else b""
        if not whole.endswith(b"\n") and whole:
            whole = whole[: whole.rfind(b"\n") + 1]
            file.write_bytes(whole)
        for line in whole.splitlines():
            entry = orjson.loads(line)
            self._known[Job(**entry["job"])] = entry["digest"], entry["figures"]

    def recall(self, job: Job, digest: str) -> Figures | None:
        """Return the figures of a run that is there with the same digest, else None."""
        known = self._known.get(job)
        return known[1] if known is not None and known[0] == digest else None

    def enter(self, job: Job, digest: str, figures: Figures) -> None:
        """Write a finished run; it is on disk when this returns."""
        entry = {"job": job._asdict(), "digest": digest, "figures": figures}
        with self._file.open("ab") as out:
            out.write(orjson.dumps(entry) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        self._known[job] = digest, figures
