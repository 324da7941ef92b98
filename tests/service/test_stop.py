"""The wish to end breaks off what need not be finished, and nothing else."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import pytest

from stream_ad.config import Config
from stream_ad.errors import BrokerError
from stream_ad.service import worker
from stream_ad.service.shell import Shell
from stream_ad.service.stop import Stop, Stopped
from tests.service.test_run import SETTINGS


def in_a_moment() -> threading.Timer:
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    return timer


def test_a_signal_breaks_off_a_wait_where_nothing_has_to_be_finished() -> None:
    stop, began = Stop(), time.monotonic()
    with stop.on_signals():
        timer = in_a_moment()
        with pytest.raises(Stopped), stop.at_once():
            threading.Event().wait(30)  # as a constructor of the client waits
        timer.join()
    assert time.monotonic() - began < 5


def test_a_signal_breaks_off_nothing_else() -> None:
    stop = Stop()
    with stop.on_signals():
        with stop.at_once():
            pass
        timer = in_a_moment()
        assert stop.wait(30)
        os.kill(os.getpid(), signal.SIGTERM)  # of the terminal, and of the supervisor
        timer.join()
    assert stop.asked == 2


def test_who_was_asked_before_does_not_begin() -> None:
    stop = Stop()
    stop.ask()
    begun = False
    with pytest.raises(Stopped), stop.at_once():
        begun = True
    assert not begun


def test_no_except_of_a_library_keeps_it() -> None:
    assert not issubclass(Stopped, Exception)


def test_a_worker_that_cannot_go_on_says_so_though_it_was_asked_to_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(registry: Any, config: Any, spec: Any, shell: Shell) -> None:
        shell.stop()
        raise BrokerError("for the test")

    monkeypatch.setattr(worker, "await_versions", refused)
    config = Config.model_validate(SETTINGS)
    with pytest.raises(BrokerError, match="for the test"):
        worker.run_worker(config, 0, reset_state=False, shell=Shell.silent())


def test_a_worker_that_was_asked_to_end_before_it_began_ends_well() -> None:
    shell = Shell.silent()
    shell.stop()
    worker.run_worker(Config.model_validate(SETTINGS), 0, reset_state=False, shell=shell)
