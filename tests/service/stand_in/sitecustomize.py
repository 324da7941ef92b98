"""Python reads this at start where the folder is on its path: a service without Kafka.

What a worker does is told by ``STAND_IN``; it leaves its process id and arguments in a folder. A
trainer leaves how urgent it is and how many threads it may have, and goes on until it is stopped.
"""

from __future__ import annotations

import json
import os
import sys
import time
import types
from pathlib import Path
from typing import Any


def run_worker(config: Any, slot: int, *, reset_state: bool, shell: Any) -> None:
    """Stand in for the worker of the service."""
    from stream_ad.errors import StateError

    mark = Path(os.environ["STAND_IN_FOLDER"]) / f"{slot}-{os.getpid()}"
    mark.write_text(json.dumps({"reset_state": reset_state}))
    match os.environ["STAND_IN"]:
        case "refuse":
            raise StateError("states of other window settings; --reset-state gives them up")
        case "crash":
            raise RuntimeError(f"cannot log in with {config.kafka.security.password_file}, hunter2")
        case "hang":
            shell.watchdog._limit = 0.5
            time.sleep(60)
    shell.health.ready(1, model=True)
    while not shell.stopping:
        shell.turn()
        shell.wait(0.1)


def run_trainer(config: Any, *, shell: Any, metrics: Any) -> None:
    """Stand in for the trainer of the service."""
    from stream_ad.errors import BrokerError

    facts = {"nice": os.nice(0), "threads": os.environ["OMP_NUM_THREADS"]}
    (Path(os.environ["STAND_IN_FOLDER"]) / f"trainer-{os.getpid()}").write_text(json.dumps(facts))
    if os.environ.get("STAND_IN_TRAINER") == "refuse":
        raise BrokerError("this user lacks READ on topic labels")
    metrics.leads(True)
    shell.health.ready(1, model=True)
    while not shell.stopping:
        shell.turn()
        shell.wait(0.1)


if "STAND_IN" in os.environ:  # and not where somebody only imports this file
    for role, stand_in in (("worker", run_worker), ("trainer", run_trainer)):
        module = types.ModuleType(f"stream_ad.service.{role}")
        vars(module)[stand_in.__name__] = stand_in
        sys.modules[module.__name__] = module
