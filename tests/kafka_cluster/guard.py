"""Run a command that ends when the process that asked for it does, however that one ends.

``python guard.py COMMAND...`` with a pipe as standard input. The pipe's other end closes when
its owner closes it or dies, by SIGKILL too; then the command is killed. SIGTERM is passed on.
A thread of the owner may start the guard and end: nothing is tied to threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


def _tie_to_the_guard() -> None:
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def run(command: list[str]) -> int:
    """Run a command to its end; return its code, or 128 plus the signal that ended it."""
    # A SIGTERM that comes before there is a handler waits for it, and for the main thread.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        preexec_fn=_tie_to_the_guard,  # noqa: PLW1509  there is only one thread yet
    )
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())

    def kill_at_end_of_input() -> None:
        os.read(0, 1)  # not sys.stdin, whose lock would stand in the way of the exit
        child.kill()

    threading.Thread(target=kill_at_end_of_input, daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
