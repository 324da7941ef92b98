"""The two kinds of processes of `run`: one that looks after workers, and a worker."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from stream_ad.config import Config, KafkaConfig
from stream_ad.errors import StreamAdError
from stream_ad.service import logs
from stream_ad.service.requirements import require
from stream_ad.service.stop import Stopped
from stream_ad.service.supervisor import REFUSED, Command, Supervisor

FAILED = 1
MOST_FRAMES = 6
# Workers get the import path of this process, whatever folder they start in.
CHILD = """
import json, sys
sys.path[:] = json.loads(sys.argv.pop(1))
from stream_ad.cli import main
main()
"""


def supervise(arguments: Sequence[str], config: Config, workers: int) -> int:
    """Run workers until a signal comes or one of them refuses.

    Parameters
    ----------
    arguments : sequence of str
        Of ``stream-ad`` for every worker, to which slot and parent are added.
    config : Config
    workers : int

    Returns
    -------
    int
        The exit code of the service.

    Raises
    ------
    ConfigError
        Something is missing that no worker could do without.
    """
    require(config)
    logs.configure(None)
    return Supervisor(
        command_of(arguments), workers, config.kafka.retry_backoff_s, logs.get()
    ).run()


def command_of(arguments: Sequence[str]) -> Command:
    """Return the command of each slot: this program in a fresh interpreter."""
    start = [sys.executable, "-P", "-c", CHILD, json.dumps(sys.path), *arguments]
    parent = str(os.getpid())
    return lambda slot: [*start, "--slot", str(slot), "--parent", parent]


def work(config: Config, slot: int, parent: int | None, *, reset_state: bool) -> int:
    """Be one worker until a signal comes.

    Parameters
    ----------
    config : Config
    slot : int
    parent : int or None
        Process id of the supervisor, without which the process ends.
    reset_state : bool

    Returns
    -------
    int
        0 after a clean end, 2 where a person has to act, else 1; the reason is one line of the
        log.
    """
    logs.configure(slot)
    log = logs.get()
    try:
        require(config)
        _hide_secrets(config.kafka)
        from stream_ad.service.shell import Shell

        with Shell.open(config, slot, parent) as shell:
            with shell.at_once():  # it takes seconds
                from stream_ad.service.worker import run_worker

            run_worker(config, slot, reset_state=reset_state, shell=shell)
    except Stopped:
        pass
    except StreamAdError as error:
        log.error("worker cannot go on", reason=str(error), kind=type(error).__name__)
        return REFUSED
    except Exception as error:  # the last resort: whoever starts it anew has one line to read
        where = _where(error)
        log.error("worker failed", error=str(error), kind=type(error).__name__, where=where)
        return FAILED
    log.info("worker finished")
    return 0


def leave(code: int) -> None:
    """End the process at once: a thread that a client left behind must not keep it alive."""
    logging.shutdown()
    os._exit(code)


def _hide_secrets(kafka: KafkaConfig) -> None:
    from stream_ad.transport.kafka.security import client_arguments

    found = client_arguments(kafka.security)
    logs.hide(found.get(name) for name in ("sasl_plain_password", "ssl_password"))


def _where(error: Exception) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)[-MOST_FRAMES:]
    return [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames]
