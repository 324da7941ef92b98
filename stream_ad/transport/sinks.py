"""A folder of outputs that commits files, machine states and the position together."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stream_ad.errors import StateError
from stream_ad.transport.base import Held, Outputs
from stream_ad.transport.checkpoint import (
    ADVICE,
    NAME,
    Checkpoint,
    Run,
    read_checkpoint,
    write_checkpoint,
)
from stream_ad.transport.durable import AppendFile, Folder, writing
from stream_ad.transport.rows import (
    SCORES_HEAD,
    dead_letter_lines,
    incident_lines,
    score_lines,
)
from stream_ad.transport.sorting import alert_key, csv_records, score_key, sort_file

SCORES, ALERTS, DEAD_LETTERS = "scores.csv", "alerts.jsonl", "dead_letters.jsonl"
_HEADS = {SCORES: SCORES_HEAD, ALERTS: b"", DEAD_LETTERS: b""}
_MOST_TIME_IN_CHECKPOINTS = 0.1


@dataclass(frozen=True, slots=True)
class Restored:
    """What an unfinished run left: go on from ``position`` with these machine states."""

    position: int
    states: Mapping[str, bytes]
    extra: Mapping[str, Any]


class FileSink:
    """Writes ``scores.csv``, ``alerts.jsonl``, ``dead_letters.jsonl`` and ``checkpoint.json``.

    A folder with the checkpoint of an unfinished run of the same input and config is resumed
    (``restored``): outputs are cut back to what the checkpoint stands for. A finished run is
    overwritten, but not before the first commit: one that fails until then leaves it as it was.
    Other files in the folder are left alone. A folder that was made for a run that failed before
    it wrote anything is removed again.

    Commits are grouped: one checkpoint in ``checkpoint_s``, less often where many machines
    make checkpoints so large that they would take more than a tenth of the time.

    Parameters
    ----------
    out_dir : Path
        Made if need be.
    input_identity, config_digest, window_digest : str
        What the run is; a checkpoint of another one is refused.
    topic : str, optional
        Where the records come from, if not from a file.
    checkpoint_s : float
        Seconds between checkpoints, at least.
    said_at_end : sequence of str
        Further files that a finished run left, by name: removed where it is overwritten.
    clock : callable
        Seconds; only for the distance of checkpoints.

    Attributes
    ----------
    restored : Restored or None
        None where the run starts anew.
    extra : dict
        JSON values of the caller; saved with each checkpoint.

    Raises
    ------
    StateError
        For a checkpoint of another run, a damaged one, or outputs shorter than it says.
    OutputError
        For a folder that cannot be written or that another run is writing.

    Examples
    --------
    >>> import tempfile
    >>> from types import SimpleNamespace
    >>> from stream_ad.transport.base import DeadLetter
    >>> letter = DeadLetter.of(0, b"{", "InvalidJson", "unexpected end of data")
    >>> held = SimpleNamespace(position=1, records={"m": b"state"}, touched={})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with FileSink(Path(folder), "input", "config") as sink:
    ...         sink.commit(Outputs([], [], [letter]), {0: held})
    ...     with FileSink(Path(folder), "input", "config") as sink:
    ...         sink.restored
    Restored(position=1, states={'m': b'state'}, extra={})
    """

    def __init__(
        self,
        out_dir: Path,
        input_identity: str,
        config_digest: str,
        *,
        window_digest: str = "",
        topic: str | None = None,
        checkpoint_s: float = 5.0,
        said_at_end: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = Run(input_identity, config_digest, window_digest)
        self._topic, self._clock, self._distance = topic, clock, checkpoint_s
        self._said_at_end = said_at_end
        self._files: dict[str, AppendFile] = {}
        self._states: Mapping[str, bytes] = {}
        self._position = 0
        self._unsaved = False
        self._folder = Folder(out_dir)
        try:
            found = self._unfinished(read_checkpoint(out_dir))
            if found is None:
                self._expect_to_write()
            else:
                self._open_files(found.lengths)
        except Exception:
            self.abort()
            raise
        self.restored: Restored | None = None
        self.extra: dict[str, Any] = {}
        if found is not None:
            self.restored = Restored(found.position, found.states, found.extra)
            self.extra |= found.extra
            self._position, self._states = found.position, found.states
        self._due = clock() + checkpoint_s

    def commit(self, outputs: Outputs, held: Mapping[int, Held]) -> None:
        """Append outputs; when it is time, make them, all states and the position durable.

        A file has one partition, 0.

        Raises
        ------
        OutputError
            Where the disk is full; the last checkpoint stays whole.
        """
        self._begin()
        self._append(SCORES, score_lines(outputs.scores))
        self._append(ALERTS, incident_lines(told.event for told in outputs.incidents))
        self._append(DEAD_LETTERS, dead_letter_lines(outputs.dead, self._topic))
        self._states, self._position = held[0].records, held[0].position
        self._unsaved = True
        if self._clock() >= self._due:
            self._save()

    def finish(self) -> None:
        """Sort the outputs by event time and mark the run as finished, then close.

        A kill at any point leaves a folder that the same command finishes.

        Raises
        ------
        OutputError
            Where the disk is full.
        """
        self._begin()
        self._save()
        lengths = self._lengths()
        for file in self._files.values():
            file.close()
        sort_file(self._folder, SCORES, score_key, records=csv_records, head=1)
        sort_file(self._folder, ALERTS, alert_key)
        done = Checkpoint(self._run, self._position, lengths, {}, self.extra, finished=True)
        write_checkpoint(self._folder.path, done)
        self.abort()

    def close(self) -> None:
        """Make every commit durable; call it between commits, as states are read now."""
        if self._unsaved:
            self._save()
        self.abort()

    def abort(self) -> None:
        """Release the folder as the last checkpoint left it; safe to repeat."""
        for file in self._files.values():
            file.close()
        self._unsaved = False
        self._folder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # after an exception the states may be ahead of the position: keep the last checkpoint
        if kind is None:
            self.close()
            return
        self._leave_nothing()
        self.abort()

    def _leave_nothing(self) -> None:
        """Remove a folder that was made for nothing."""
        path = self._folder.path
        written = any(len(_HEADS[name]) < file.length for name, file in self._files.items())
        if written or not self._folder.made or (path / NAME).exists():
            return
        with suppress(OSError):  # what went wrong is more than what is left
            for name in _HEADS:
                (path / name).unlink(missing_ok=True)
            path.rmdir()  # refuses while something else is in it

    def _unfinished(self, found: Checkpoint | None) -> Checkpoint | None:
        path = self._folder.path / NAME
        if found is None or found.finished:
            return None
        if other := found.run.differences(self._run):
            raise StateError(
                f"{path}: belongs to an unfinished run with another {' and '.join(other)}; {ADVICE}"
            )
        return found

    def _expect_to_write(self) -> None:
        """Open every output and change none, so that what forbids to write is told at once."""
        for name in _HEADS:
            path = self._folder.path / name
            there = path.exists()
            with writing(path):
                path.open("ab").close()
                if not there:
                    path.unlink()

    def _begin(self) -> None:
        """Clear the way for a run that starts anew; until then an earlier one stands as it was."""
        if self._files:
            return
        for name in (*self._said_at_end, NAME):
            path = self._folder.path / name
            with writing(path):
                path.unlink(missing_ok=True)
        self._open_files({})

    def _open_files(self, lengths: Mapping[str, int]) -> None:
        for name, head in _HEADS.items():
            path = self._folder.path / name
            self._files[name] = AppendFile(path, head, lengths.get(name))

    def _append(self, name: str, data: bytes) -> None:
        if data:
            self._files[name].append(data)

    def _lengths(self) -> dict[str, int]:
        return {name: file.length for name, file in self._files.items()}

    def _save(self) -> None:
        started = self._clock()
        for file in self._files.values():
            file.sync()
        write_checkpoint(
            self._folder.path,
            Checkpoint(self._run, self._position, self._lengths(), self._states, self.extra),
        )
        self._unsaved = False
        ended = self._clock()
        self._due = ended + max(self._distance, (ended - started) / _MOST_TIME_IN_CHECKPOINTS)
