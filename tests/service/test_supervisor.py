"""Children that die come back, unless one says that a person has to act."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.stdlib import BoundLogger

from stream_ad.service import supervisor as module
from stream_ad.service.supervisor import REFUSED, Supervisor

QUICK = [sys.executable, "-I", "-S", "-c"]
STAYS = "import time; time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); {}; time.sleep(60)"


class Log:
    """Keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))

    warning = error = info

    def of(self, event: str) -> list[dict[str, Any]]:
        return [fields for said, fields in self.lines if said == event]


class Service:
    """A supervisor of tiny programs, one for each slot."""

    def __init__(
        self,
        *programs: str,
        trainer: str | None = None,
        backoff_s: float = 0.05,
        grace_s: float = 10.0,
    ) -> None:
        self.log = Log()
        self._supervisor = Supervisor(
            lambda slot: [*QUICK, programs[slot]],
            len(programs),
            backoff_s,
            cast(BoundLogger, self.log),
            grace_s=grace_s,
            trainer=None if trainer is None else [*QUICK, trainer],
        )

    def run(self, until: Callable[[], object], *then: signal.Signals) -> int:
        """Run until something holds, then send signals to this process, as a terminal would."""

        def send() -> None:
            limit = time.monotonic() + 15
            while not until() and time.monotonic() < limit:
                time.sleep(0.01)
            for number in then or (signal.SIGTERM,):
                os.kill(os.getpid(), number)
                time.sleep(0.3)

        sender = threading.Thread(target=send)
        sender.start()
        try:
            return self._supervisor.run()
        finally:
            sender.join()

    def started(self, times: int) -> Callable[[], bool]:
        return lambda: len(self.log.of("worker started")) >= times

    def all_gone(self) -> bool:
        started = self.log.of("worker started") + self.log.of("trainer started")
        return all(gone(line["pid"]) for line in started)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_worker_that_ends_is_started_again_after_pauses_that_double() -> None:
    service = Service("raise SystemExit(7)")
    assert service.run(service.started(4)) == 0
    ended = service.log.of("worker ended")
    assert [line["restart_in_s"] for line in ended[:3]] == [0.05, 0.1, 0.2]
    assert {line["ended_by"] for line in ended} == {"exit code 7"}
    assert {line["worker"] for line in ended} == {0}
    assert len({line["pid"] for line in service.log.of("worker started")}) >= 4


def test_the_pause_is_kept_and_has_an_upper_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.3)
    service = Service("raise SystemExit(1)", backoff_s=0.2)
    begin = time.monotonic()
    service.run(service.started(4))
    assert time.monotonic() - begin > 0.2 + 0.3 + 0.3
    ended = service.log.of("worker ended")
    assert [line["restart_in_s"] for line in ended[:3]] == [0.2, 0.3, 0.3]


def test_a_long_life_sets_the_pause_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "HEALTHY_S", 1.0)
    mark = tmp_path / "lives"
    third_lives = (
        f"import pathlib, time; p = pathlib.Path({str(mark)!r}); "
        "n = len(p.read_text()) if p.exists() else 0; p.write_text('x' * (n + 1)); "
        "time.sleep(1.5 if n == 2 else 0)"
    )
    service = Service(third_lives)
    service.run(service.started(5))
    ended = service.log.of("worker ended")
    assert [line["restart_in_s"] for line in ended[:4]] == [0.05, 0.1, 0.05, 0.1]


def test_a_killed_worker_is_named_by_its_signal_and_the_others_go_on() -> None:
    service = Service(STAYS, "import os; os.kill(os.getpid(), 9)")
    service.run(service.started(4))
    assert {line["ended_by"] for line in service.log.of("worker ended")} == {"SIGKILL"}
    assert [line["worker"] for line in service.log.of("worker started")].count(0) == 1


def test_exit_code_2_stops_the_whole_service_with_it() -> None:
    service = Service(STAYS, f"raise SystemExit({REFUSED})")
    begin = time.monotonic()
    assert service.run(lambda: service.all_gone() and service.started(2)(), signal.SIGCONT) == 2
    assert time.monotonic() - begin < 10
    assert len(service.log.of("worker started")) == 2  # nobody was started again
    assert service.all_gone()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_and_the_service_ends_with_0(
    number: signal.Signals, tmp_path: Path
) -> None:
    clean = (
        "import signal, time, pathlib\n"
        "def end(*_):\n pathlib.Path({!r}).touch(); raise SystemExit(0)\n"
        "signal.signal(signal.SIGTERM, end); pathlib.Path({!r}).touch(); time.sleep(60)"
    )
    files = [[str(tmp_path / f"{what}{slot}") for what in ("ended", "up")] for slot in (0, 1)]
    service = Service(*(clean.format(*pair) for pair in files))
    assert service.run(lambda: all(Path(up).exists() for _, up in files), number) == 0
    assert all(Path(ended).exists() for ended, _ in files)
    assert service.log.of("worker ended") == []  # an end that was asked for is no failure
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_worker_that_cannot_go_on_is_not_hidden_by_the_signal(tmp_path: Path) -> None:
    up = tmp_path / "up"
    refuses = (
        "import signal, time, pathlib\n"
        f"def end(*_):\n raise SystemExit({REFUSED})\n"
        f"signal.signal(signal.SIGTERM, end); pathlib.Path({str(up)!r}).touch(); time.sleep(60)"
    )
    assert Service(STAYS, refuses).run(up.exists) == REFUSED


def test_a_worker_that_does_not_hear_is_killed_after_the_grace(tmp_path: Path) -> None:
    up = tmp_path / "up"
    service = Service(DEAF.format(f"open({str(up)!r}, 'w')"), grace_s=0.3)
    begin = time.monotonic()
    assert service.run(up.exists) == 0
    assert time.monotonic() - begin < 10
    assert len(service.log.of("worker killed: it did not end in time")) == 1
    assert service.all_gone()


def test_the_grace_is_given(tmp_path: Path) -> None:
    up, done = tmp_path / "up", tmp_path / "done"
    slow = (
        "import signal, time, pathlib\n"
        f"def end(*_):\n time.sleep(0.5); pathlib.Path({str(done)!r}).touch(); raise SystemExit\n"
        f"signal.signal(signal.SIGTERM, end); pathlib.Path({str(up)!r}).touch(); time.sleep(60)"
    )
    assert Service(slow, grace_s=10.0).run(up.exists) == 0
    assert done.exists()


def test_a_second_signal_does_not_wait_for_the_grace(tmp_path: Path) -> None:
    up = tmp_path / "up"
    service = Service(DEAF.format(f"open({str(up)!r}, 'w')"), grace_s=60.0)
    begin = time.monotonic()
    assert service.run(up.exists, signal.SIGINT, signal.SIGINT) == 0
    assert time.monotonic() - begin < 15
    assert service.all_gone()


def test_a_start_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(STAYS)
    start, failures = subprocess.Popen, [OSError(12, "Cannot allocate memory")] * 2

    def sometimes(*arguments: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return start(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", sometimes)
    assert service.run(service.started(1)) == 0
    ended = [line["ended_by"] for line in service.log.of("worker ended")]
    assert ended == ["Cannot allocate memory at its start"] * 2


def test_workers_do_not_read_the_terminal() -> None:
    service = Service("import sys; raise SystemExit(9 if sys.stdin.read() == '' else 1)")
    service.run(service.started(2))
    assert service.log.of("worker ended")[0]["ended_by"] == "exit code 9"


# ------------------------------------------------------------ the trainer beside them


def test_a_trainer_is_started_again_like_a_worker() -> None:
    service = Service(STAYS, trainer="raise SystemExit(7)")
    assert service.run(lambda: len(service.log.of("trainer started")) >= 3) == 0
    ended = service.log.of("trainer ended")
    assert [line["restart_in_s"] for line in ended[:2]] == [0.05, 0.1]
    assert {line["ended_by"] for line in ended} == {"exit code 7"}
    assert len(service.log.of("worker started")) == 1
    assert service.all_gone()


def test_a_trainer_that_cannot_go_on_stays_stopped_and_scoring_goes_on() -> None:
    service = Service("raise SystemExit(7)", trainer=f"raise SystemExit({REFUSED})")
    stays = "the trainer cannot go on and stays stopped; scoring goes on"
    assert service.run(lambda: service.log.of(stays) and service.started(5)()) == 0
    assert len(service.log.of("trainer started")) == len(service.log.of(stays)) == 1


def test_a_trainer_that_refuses_at_the_end_is_no_failure_of_the_service(tmp_path: Path) -> None:
    up = tmp_path / "up"
    refuses = (
        "import signal, time, pathlib\n"
        f"def end(*_):\n raise SystemExit({REFUSED})\n"
        f"signal.signal(signal.SIGTERM, end); pathlib.Path({str(up)!r}).touch(); time.sleep(60)"
    )
    service = Service(STAYS, trainer=refuses)
    assert service.run(lambda: up.exists() and service.started(1)()) == 0
    assert service.all_gone()


def test_a_trainer_that_does_not_hear_is_killed_after_the_grace(tmp_path: Path) -> None:
    up = tmp_path / "up"
    service = Service(STAYS, trainer=DEAF.format(f"open({str(up)!r}, 'w')"), grace_s=0.3)
    assert service.run(up.exists) == 0
    assert service.all_gone()
