"""A broker ends when its owner does, however that one ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kafka_cluster.node import GUARD
from tests.kafka_cluster.waiting import until


@contextmanager
def guarded(script: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a shell script under the guard, and wait for its first word."""
    command = [sys.executable, "-I", "-S", str(GUARD), "/bin/sh", "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as guard:
        try:
            yield guard
        finally:
            guard.kill()


def first_line(guard: subprocess.Popen[bytes]) -> str:
    assert guard.stdout is not None
    return guard.stdout.readline().decode().strip()


def alive(process: str) -> bool:
    """Whether a process runs; one that only waits for its parent to notice does not."""
    try:
        status = Path("/proc", process, "status").read_text()
    except OSError:
        return False
    return "State:\tZ" not in status


STAY = "echo $$; exec sleep 30"


def test_the_guard_ends_as_its_command_does() -> None:
    with guarded("exit 7") as guard:
        assert guard.wait(10) == 7


def test_the_guard_passes_on_the_request_to_end() -> None:
    with guarded(STAY) as guard:
        process = first_line(guard)
        guard.terminate()
        assert guard.wait(10) == 128 + signal.SIGTERM
        assert not alive(process)


def test_a_command_is_killed_when_its_owner_lets_go() -> None:
    with guarded("trap '' TERM; " + STAY) as guard:
        process = first_line(guard)
        assert guard.stdin is not None
        guard.stdin.close()
        assert guard.wait(10) == 128 + signal.SIGKILL
        assert not alive(process)


def test_a_command_dies_with_its_guard() -> None:
    with guarded(STAY) as guard:
        process = first_line(guard)
        guard.kill()
        guard.wait(10)
        assert until(lambda: not alive(process), 10)
