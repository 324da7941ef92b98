"""A worker of the service as a process that can be killed, stopped and listened to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tests.kafka_cluster.node import GUARD
from tests.kafka_cluster.waiting import until

ROOT = Path(__file__).parents[2]
START_S = 120.0


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a worker's log, and when it was read, in seconds.

    Parameters
    ----------
    name : str
    fields : dict
    at : float
        Monotonic.
    wall : float
        Since the epoch.
    """

    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    at: float = field(default_factory=time.monotonic)
    wall: float = field(default_factory=time.time)


class Worker:
    """One process, ended at the latest with the one that started it.

    Parameters
    ----------
    command : sequence of str
    log : Path
        Its standard error, appended to.
    environment : mapping of str
        Added to ours.
    """

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.events: list[Event] = []
        self.log = log
        self._changed = threading.Condition()
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=os.environ | dict(environment or {}),
            cwd=ROOT,
            start_new_session=True,
        )
        self.pid = self._find_pid()
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._guard.poll() is None

    @property
    def code(self) -> int | None:
        """Its exit code, 128 plus the signal that ended it; None while it lives."""
        return self._guard.poll()

    def wait_for(
        self, wanted: Callable[[Event], bool], timeout_s: float = START_S, since: int = 0
    ) -> Event | None:
        """Return the first event of a kind, or None if the process ends or time runs out.

        Parameters
        ----------
        wanted : callable
        timeout_s : float
        since : int
            Number of the first event to look at.
        """
        deadline, looked = time.monotonic() + timeout_s, since
        with self._changed:
            while True:
                for event in self.events[looked:]:
                    if wanted(event):
                        return event
                looked = max(since, len(self.events))
                left = deadline - time.monotonic()
                if left <= 0 or not self._reader.is_alive():
                    return None
                self._changed.wait(min(left, 0.2))

    def kill(self) -> float:
        """End it at once, and read the log to its end; return when, in monotonic seconds."""
        at = time.monotonic()
        self._signal(signal.SIGKILL)
        self._close()
        return at

    def stop(self, timeout_s: float = 60.0) -> int:
        """Ask it to end and wait; return the exit code."""
        self._signal(signal.SIGTERM)
        if not until(lambda: not self.running, timeout_s):
            self._signal(signal.SIGKILL)
        return self._close()

    def freeze(self) -> None:
        """Stop it as a long pause of the machine would."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def resident(self) -> int:
        """Return its resident memory in bytes; 0 when it is gone."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        except OSError:
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def tail(self, lines: int = 20) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _signal(self, number: int) -> None:
        if self.running:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _close(self) -> int:
        code = self._guard.wait()
        self._reader.join()
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        return code

    def _find_pid(self) -> int:
        """Return the process under the guard."""
        children = Path(f"/proc/{self._guard.pid}/task/{self._guard.pid}/children")
        until(lambda: bool(children.read_text().split()), 10, pause_s=0.002)
        return int(children.read_text().split()[0])

    def _listen(self) -> None:
        assert self._guard.stderr is not None
        with self.log.open("ab", buffering=0) as log:
            for line in self._guard.stderr:
                log.write(line)
                event = _event(line)
                if event is not None:
                    with self._changed:
                        self.events.append(event)
                        self._changed.notify_all()
        self._guard.stderr.close()
        with self._changed:
            self._changed.notify_all()


def _event(line: bytes) -> Event | None:
    try:
        fields = orjson.loads(line)
        return Event(str(fields.pop("event")), fields)
    except (ValueError, KeyError, AttributeError, TypeError):
        return None  # a traceback, or what a library wrote
