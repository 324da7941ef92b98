"""Keeps one process per worker slot alive, and a trainer; knows nothing of what they do.

Whoever fails ends, whatever the cause, and is started anew: the way that is tested most. Only a
worker that says that a person has to act (exit code 2) stops the service; a trainer that says so
stays stopped, and scoring goes on.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from structlog.stdlib import BoundLogger

from stream_ad.service.stop import Stop

REFUSED = 2
LONGEST_PAUSE_S = 30.0
HEALTHY_S = 60.0  # a life that sets the back-off to its beginning
GRACE_S = 8.0  # less than what container runtimes give to the whole service
LOOK_S = 0.1

Command = Callable[[int], Sequence[str]]


@dataclass
class _Slot:
    what: str
    command: Sequence[str]
    facts: dict[str, int]
    pause_s: float
    due: float = 0.0
    born: float = 0.0
    child: subprocess.Popen[bytes] | None = None


class Supervisor:
    """Starts a command per slot and starts it again when it ends.

    Parameters
    ----------
    command : callable
        The command of a slot.
    workers : int
        Slots, numbered from 0.
    backoff_s : float
        First pause before a restart; it doubles up to 30 s and starts over after a life of a
        minute.
    log : BoundLogger
    grace_s : float, optional
        How long workers may take to end before they are killed.
    trainer : sequence of str, optional
        Its command.
    """

    def __init__(
        self,
        command: Command,
        workers: int,
        backoff_s: float,
        log: BoundLogger,
        *,
        grace_s: float = GRACE_S,
        trainer: Sequence[str] | None = None,
    ) -> None:
        self._backoff, self._grace = backoff_s, grace_s
        self._log = log
        self._slots = [
            _Slot("worker", command(number), {"worker": number}, backoff_s)
            for number in range(workers)
        ]
        self._trainer = None if trainer is None else _Slot("trainer", trainer, {}, backoff_s)
        self._stop = Stop()

    def run(self) -> int:
        """Run until a signal comes or a worker refuses; return the exit code of the service."""
        with self._stop.on_signals():
            try:
                refused = self._watch()
            finally:
                codes = self._end()
        return REFUSED if refused or REFUSED in codes else 0

    def _watch(self) -> bool:
        while not self._stop.asked:
            for slot in self._slots:
                if self._look_after(slot) == REFUSED:
                    self._log.error("service stops: a worker cannot go on", **slot.facts)
                    return True
            if self._trainer is not None and self._look_after(self._trainer) == REFUSED:
                self._log.error("the trainer cannot go on and stays stopped; scoring goes on")
                self._trainer = None
            self._stop.wait(LOOK_S)
        return False

    def _look_after(self, slot: _Slot) -> int | None:
        """Start a slot whose time has come; return the exit code of one that has ended."""
        if slot.child is None:
            if time.monotonic() >= slot.due:
                self._start(slot)
            return None
        code = slot.child.poll()
        if code is not None:
            pid, slot.child = slot.child.pid, None
            if code != REFUSED:
                self._postpone(slot, pid=pid, ended_by=_name(code))
        return code

    def _start(self, slot: _Slot) -> None:
        slot.born = time.monotonic()
        try:
            slot.child = subprocess.Popen(slot.command, stdin=subprocess.DEVNULL)  # noqa: S603 - our own
        except OSError as error:  # no memory, no process left: may pass
            self._postpone(slot, ended_by=f"{error.strerror} at its start")
        else:
            self._log.info(f"{slot.what} started", **slot.facts, pid=slot.child.pid)

    def _postpone(self, slot: _Slot, **facts: object) -> None:
        now = time.monotonic()
        lived = now - slot.born
        if lived > HEALTHY_S:
            slot.pause_s = self._backoff
        self._log.warning(
            f"{slot.what} ended",
            **slot.facts,
            lived_s=round(lived, 1),
            restart_in_s=slot.pause_s,
            **facts,
        )
        slot.due = now + slot.pause_s
        slot.pause_s = min(2 * slot.pause_s, LONGEST_PAUSE_S)

    def _end(self) -> list[int]:
        """Ask all processes to end and wait for it; return the exit codes of the workers."""
        workers = [slot.child for slot in self._slots if slot.child is not None]
        beside = [self._trainer.child] if self._trainer and self._trainer.child else []
        children = [*workers, *beside]
        self._log.info("service stops", workers=len(workers))
        for child in children:
            child.terminate()
        latest, asked = time.monotonic() + self._grace, max(self._stop.asked, 1)
        while any(child.poll() is None for child in children):
            if time.monotonic() > latest or self._stop.asked > asked:
                self._kill(children)
            time.sleep(LOOK_S)
        return [child.wait() for child in workers]

    def _kill(self, children: Sequence[subprocess.Popen[bytes]]) -> None:
        for child in children:
            if child.poll() is None:
                self._log.warning("worker killed: it did not end in time", pid=child.pid)
                child.kill()
                child.wait()


def _name(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    return {number.value: number.name for number in signal.Signals}.get(-code, f"signal {-code}")
