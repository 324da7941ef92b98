"""Python reads this at start where the folder is on its path: a worker without Kafka.

What it does is told by ``STAND_IN``; it leaves its process id and arguments in a folder.
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


if "STAND_IN" in os.environ:  # and not where somebody only imports this file
    module = types.ModuleType("stream_ad.service.worker")
    vars(module)["run_worker"] = run_worker
    sys.modules[module.__name__] = module
