"""Commands as processes of their own that can be killed, without paying their imports each time.

``python -m tests.cli.nursery`` imports everything once, then forks a child for every request
(a JSON line on standard input) and answers with what became of it (a JSON line on standard
output). The parent never computes, so that its children start with sound thread pools.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

# torch imports the last one when it first makes an optimiser
HEAVY = ("stream_ad.cli.app", "stream_ad.replay", "stream_ad.detector", "torch._dynamo")
KILLED = -signal.SIGKILL


def serve() -> None:
    """Answer requests until there are no more.

    A request has ``arguments``. ``signal`` is sent ``after_s`` from the start, or from when the
    run in the folder ``scoring`` has a checkpoint that is not finished. ``file_bytes`` is the
    largest file that the child may write; ``die_at_sync`` is the number of the ``fsync`` at
    which it is killed.
    """
    for name in HEAVY:
        importlib.import_module(name)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_answer(json.loads(line))) + "\n")
        sys.stdout.flush()


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.monotonic()
        child = os.fork()
        if not child:
            _child(request, out, err)
        status = _disturb(child, request) if "signal" in request else os.waitpid(child, 0)[1]
        code = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - started
        return {"code": code, "seconds": seconds, "out": _text(out), "err": _text(err)}


def _disturb(child: int, request: dict[str, Any]) -> int:
    """Send a signal at its time, unless the child ends before; return how it ended."""
    folder = request.get("scoring")
    due = None
    while due is None or time.monotonic() < due:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        if due is None and (folder is None or (checkpoint(Path(folder)) or (0, True))[1] is False):
            due = time.monotonic() + request["after_s"]
        time.sleep(0.001)
    os.kill(child, request["signal"])
    return os.waitpid(child, 0)[1]


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode()


def _child(request: dict[str, Any], out: BinaryIO, err: BinaryIO) -> NoReturn:
    code = 1
    try:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        if "file_bytes" in request:
            resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_bytes"],) * 2)
        if "die_at_sync" in request:
            _die_at_sync(request["die_at_sync"])
        sys.argv = ["stream-ad", *request["arguments"]]
        importlib.import_module("stream_ad.cli").main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _die_at_sync(number: int) -> None:
    sync, calls = os.fsync, 0

    def counted(file: int) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        sync(file)

    os.fsync = counted  # type: ignore[assignment]


def checkpoint(folder: Path) -> tuple[int, bool] | None:
    """Return position and finished of a folder's checkpoint, or None."""
    try:
        tree = json.loads((folder / "checkpoint.json").read_bytes())
    except FileNotFoundError:
        return None
    return tree["position"], tree["finished"]


if __name__ == "__main__":
    serve()
