"""The kinds of processes of `run`: one that looks after the others, a worker, a trainer."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from stream_ad.config import Config, KafkaConfig
from stream_ad.errors import StreamAdError
from stream_ad.service import logs
from stream_ad.service.requirements import require
from stream_ad.service.stop import Stopped
from stream_ad.service.supervisor import REFUSED, Command, Supervisor

FAILED = 1
LEAST_URGENT = 19
LONGEST_TRAINING_S = 6 * 3_600.0  # longer, and it hangs
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
MOST_FRAMES = 6
# Workers get the import path of this process, whatever folder they start in.
CHILD = """
import json, sys
sys.path[:] = json.loads(sys.argv.pop(1))
from stream_ad.cli import main
main()
"""


def supervise(
    arguments: Sequence[str],
    config: Config,
    workers: int,
    trainer: Sequence[str] | None = None,
) -> int:
    """Run workers until a signal comes or one of them refuses.

    Parameters
    ----------
    arguments : sequence of str
        Of ``stream-ad`` for every worker, to which slot and parent are added.
    config : Config
    workers : int
    trainer : sequence of str, optional
        Likewise, of a trainer: it runs beside them if something causes trainings.

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
    beside = None
    if trainer is not None and is_trained(config):
        beside = command_of(trainer)(workers)  # the slot after theirs
    return Supervisor(
        command_of(arguments), workers, config.kafka.retry_backoff_s, logs.get(), trainer=beside
    ).run()


def is_trained(config: Config) -> bool:
    """Return whether anything causes trainings.

    Examples
    --------
    >>> is_trained(Config())
    False
    """
    training = config.training
    causes = (training.every_s, training.every_windows, training.on_labels)
    return training.on_drift or any(cause is not None for cause in causes)


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

    def live() -> None:
        from stream_ad.service.shell import Shell

        with Shell.open(config, slot, parent) as shell:
            with shell.at_once():  # it takes seconds
                from stream_ad.service.worker import run_worker

            run_worker(config, slot, reset_state=reset_state, shell=shell)

    return _lived("worker", slot, config, live)


def teach(config: Config, slot: int, parent: int | None) -> int:
    """Be a trainer until a signal comes, on one processor and only while nobody else wants it.

    Parameters
    ----------
    config : Config
    slot : int
        From 0; added to ``metrics.port``.
    parent : int or None
        As of `work`.

    Returns
    -------
    int
        As of `work`.
    """
    os.nice(LEAST_URGENT)
    for name in THREADS:  # libraries read them when they are loaded
        os.environ.setdefault(name, "1")

    def live() -> None:
        from stream_ad.service.shell import Shell
        from stream_ad.service.trainer_metrics import TrainerMetrics

        metrics = TrainerMetrics()
        opened = Shell.open(
            config, slot, parent, longest_turn_s=LONGEST_TRAINING_S, registry=metrics.registry
        )
        with opened as shell:
            with shell.at_once():
                from stream_ad.service.trainer import run_trainer

            run_trainer(config, shell=shell, metrics=metrics)

    return _lived("trainer", "trainer", config, live)


def _lived(what: str, slot: int | str, config: Config, live: Callable[[], None]) -> int:
    """Be a process of the service; return how it ended."""
    logs.configure(slot)
    log = logs.get()
    try:
        require(config)
        _hide_secrets(config.kafka)
        live()
    except Stopped:
        pass
    except StreamAdError as error:
        log.error(f"{what} cannot go on", reason=str(error), kind=type(error).__name__)
        return REFUSED
    except Exception as error:  # the last resort: whoever starts it anew has one line to read
        where = _where(error)
        log.error(f"{what} failed", error=str(error), kind=type(error).__name__, where=where)
        return FAILED
    log.info(f"{what} finished")
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
