"""A loop that hangs, or a supervisor that is gone, ends the process."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from stream_ad.service.watchdog import END_S, EXIT_CODE, Watchdog


class Subject:
    """A watchdog whose clock, parent and end are in the test's hands."""

    def __init__(self, limit_s: float = 60.0) -> None:
        self.now, self.parent, self.stopping = 1_000.0, 4711, False
        self.ended: list[int] = []
        self.said: list[str] = []
        self.dog = Watchdog(
            limit_s,
            parent=4711,
            stopping=lambda: self.stopping,
            say=self.said.append,
            clock=lambda: self.now,
            parent_now=lambda: self.parent,
            exit=self.ended.append,
        )


def test_a_loop_that_makes_progress_is_left_alone() -> None:
    subject = Subject()
    for _ in range(10):
        subject.now += 59.0
        subject.dog.progress()
        subject.now += 1.0
        subject.dog.look()
    assert (subject.ended, subject.said) == ([], [])


def test_a_loop_that_hangs_is_ended_with_one_line() -> None:
    subject = Subject()
    subject.now += 60.5
    subject.dog.look()
    assert subject.ended == [EXIT_CODE]
    assert subject.said == ["no turn for 60 s, the limit is 60 s"]


def test_an_end_takes_only_so_long_whatever_the_loop_does() -> None:
    subject = Subject()
    subject.dog.look()
    subject.now += 30.0
    subject.stopping = True
    for _ in range(3):  # the time counts from the wish, not from the last turn
        subject.dog.look()
        subject.dog.progress()
        subject.now += END_S / 4
    subject.dog.look()
    assert subject.ended == []
    subject.now += END_S / 2
    subject.dog.look()
    assert subject.ended == [EXIT_CODE]
    assert "read again" in subject.said[0]


def test_an_orphan_ends_at_once() -> None:
    subject = Subject()
    subject.parent = 1
    subject.dog.look()
    assert subject.ended == [EXIT_CODE]
    assert subject.said == ["the supervisor is gone"]


def test_without_a_parent_nobody_is_missed() -> None:
    ended: list[int] = []
    Watchdog(60, parent_now=lambda: 1, exit=ended.append).look()
    assert ended == []


def test_a_log_that_hangs_too_does_not_stop_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_ad.service.watchdog.LAST_WORD_S", 0.1)
    ended: list[int] = []
    never = threading.Event()
    dog = Watchdog(
        60, parent=2, say=lambda _: never.wait(30), parent_now=lambda: 1, exit=ended.append
    )
    begin = time.monotonic()
    dog.look()
    assert ended == [EXIT_CODE]
    assert time.monotonic() - begin < 10
    never.set()


def test_the_thread_really_ends_a_process_whose_loop_sleeps() -> None:
    code = (
        "import time; from stream_ad.service.watchdog import Watchdog;"
        "dog = Watchdog(0.4, say=print); dog.start();"
        "[(time.sleep(0.1), dog.progress()) for _ in range(10)];"
        "print('alive', flush=True); time.sleep(30)"
    )
    begin = time.monotonic()
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    assert done.returncode == EXIT_CODE
    assert done.stdout.startswith("alive")  # progress alone kept it alive past the limit
    assert time.monotonic() - begin < 10


def test_a_stopped_watchdog_watches_no_more() -> None:
    ended: list[int] = []
    dog = Watchdog(0.02, exit=ended.append)
    dog.start()
    dog.progress()
    dog.stop()
    ended.clear()
    time.sleep(0.1)
    assert ended == []
