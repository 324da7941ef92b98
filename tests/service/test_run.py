"""The real command with real processes; only the worker within is a stand-in."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.command import refused, run
from tests.conftest import Plant
from tests.service.test_shell import free_ports
from tests.service.test_supervisor import gone

HERE = Path(__file__).parent
REAL = "real"  # no stand-in
COMMAND = [sys.executable, "-c", "from stream_ad.cli import main; main()"]
SETTINGS: dict[str, Any] = {
    "kafka": {
        "bootstrap_servers": "127.0.0.1:9",
        "topics": {"input": "readings"},
        "retry_backoff_s": 0.1,
    },
    "windows": {"sensors": ["a"], "period_s": 1},
    "registry": {"uri": "models"},
}


class Service:
    """A running ``stream-ad run`` and what its workers left."""

    def __init__(
        self,
        folder: Path,
        behaviour: str,
        *arguments: str,
        trainer: str = "",
        command: str = "run",
        **settings: Any,
    ) -> None:
        self.folder = folder
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump(SETTINGS | settings))
        self.marks = folder / "marks"
        self.marks.mkdir()
        self.errors = (folder / "stderr").open("w+")
        path = f"{HERE / 'stand_in'}{os.pathsep}{HERE.parents[1]}"
        told = {"STAND_IN_FOLDER": str(self.marks), "PYTHONPATH": path}
        if behaviour != REAL:
            told |= {"STAND_IN": behaviour, "STAND_IN_TRAINER": trainer}
        self.process = subprocess.Popen(
            [*COMMAND, command, "--config", str(config), *arguments],
            stderr=self.errors,
            cwd=folder,
            env=os.environ | told,
        )

    def workers(self) -> dict[int, dict[str, Any]]:
        """Return what each worker left, by process id."""
        marks = self._left()
        return {pid: facts for pid, facts in marks.items() if facts["slot"] != "trainer"}

    def trainers(self) -> dict[int, dict[str, Any]]:
        """Return what each trainer left, by process id."""
        marks = self._left()
        return {pid: facts for pid, facts in marks.items() if facts["slot"] == "trainer"}

    def _left(self) -> dict[int, dict[str, Any]]:
        found = {}
        for mark in self.marks.iterdir():
            if text := mark.read_text():
                slot, pid = mark.name.split("-")
                number = int(slot) if slot.isdecimal() else slot
                found[int(pid)] = json.loads(text) | {"slot": number}
        return found

    def await_workers(self, n: int) -> dict[int, dict[str, Any]]:
        wait_for(lambda: len(self.workers()) >= n)
        return self.workers()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)

    def text(self) -> str:
        self.errors.seek(0)
        return self.errors.read()

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        self.errors.close()


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.05)


Start = Callable[..., Service]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    services: list[Service] = []

    def begin(behaviour: str, *arguments: str, **settings: Any) -> Service:
        services.append(Service(tmp_path, behaviour, *arguments, **settings))
        return services[-1]

    yield begin
    for service in services:
        service.close()


def fetch(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_workers_run_until_sigterm_and_every_line_is_json(start: Start) -> None:
    port = free_ports()
    service = start("stay", "--workers", "2", "--reset-state", metrics={"port": port})
    workers = service.await_workers(2)
    assert sorted(facts["slot"] for facts in workers.values()) == [0, 1]
    assert all(facts["reset_state"] for facts in workers.values())
    for slot in (0, 1):
        assert fetch(port + slot, "/readyz") == (200, "ok\n")
        assert fetch(port + slot, "/livez") == (200, "ok\n")
        assert "stream_ad_windows_scored_total" in fetch(port + slot, "/metrics")[1]
    assert service.end() == 0
    assert all(gone(pid) for pid in workers)
    said = [(line["event"], line.get("slot")) for line in service.log()]
    assert {("worker finished", 0), ("worker finished", 1)} <= set(said)
    assert [event for event, _ in said].count("worker started") == 2


def test_workers_end_when_the_supervisor_is_killed(start: Start) -> None:
    service = start("stay", "--workers", "2")
    workers = service.await_workers(2)
    assert not any(facts["reset_state"] for facts in workers.values())
    service.end(signal.SIGKILL)
    wait_for(lambda: all(gone(pid) for pid in workers), 10)
    reasons = [line["reason"] for line in service.log() if line["level"] == "error"]
    assert reasons == ["the supervisor is gone"] * 2


def test_a_worker_that_cannot_go_on_stops_the_service_with_its_sentence(start: Start) -> None:
    service = start("refuse")
    assert service.process.wait(30) == 2
    (line,) = [line for line in service.log() if line["event"] == "worker cannot go on"]
    assert line["reason"] == "states of other window settings; --reset-state gives them up"
    assert line["slot"] == 0
    assert len(service.workers()) == 1


def test_a_crash_is_restarted_and_told_in_one_line_without_the_secret(
    start: Start, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    security = {"protocol": "sasl_ssl", "username": "u", "password_file": str(secret)}
    kafka = SETTINGS["kafka"] | {"security": security}
    service = start("crash", kafka=kafka)
    service.await_workers(2)
    assert service.end() == 0
    assert "hunter2" not in service.text()
    line = next(line for line in service.log() if line["event"] == "worker failed")
    assert line["error"] == f"cannot log in with {secret}, ***"
    assert line["kind"] == "RuntimeError"
    assert re.fullmatch(r"sitecustomize\.py:\d+ run_worker", line["where"][-1])
    ended = [line for line in service.log() if line["event"] == "worker ended"]
    assert ended[0]["ended_by"] == "exit code 1"


def test_a_worker_that_hangs_is_restarted(start: Start) -> None:
    service = start("hang")
    service.await_workers(2)
    service.process.kill()
    service.process.wait(30)
    events = [(line["event"], line.get("ended_by")) for line in service.log()]
    assert ("worker ended", "exit code 70") in events


def test_a_service_whose_brokers_say_nothing_ends_within_five_seconds(
    start: Start, plant: Plant
) -> None:
    """It hangs in a constructor of the client, which takes ten seconds to give up."""
    with socket.socket() as broker:
        broker.bind(("127.0.0.1", 0))
        broker.listen()
        broker.settimeout(30)
        tree = yaml.safe_load(plant.scoring.read_text())
        address = f"127.0.0.1:{broker.getsockname()[1]}"
        kafka = SETTINGS["kafka"] | {"bootstrap_servers": [address]}
        service = start(REAL, **tree | {"kafka": kafka})
        with broker.accept()[0]:
            time.sleep(0.5)
            began = time.monotonic()
            assert service.end() == 0
            assert time.monotonic() - began < 5
    assert ("worker finished", 0) in [(line["event"], line.get("slot")) for line in service.log()]


def test_a_port_in_use_stops_the_service_and_names_its_key(start: Start) -> None:
    port = free_ports()
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        service = start("stay", metrics={"port": port})
        assert service.process.wait(30) == 2
    line = next(line for line in service.log() if line["event"] == "worker cannot go on")
    assert line["reason"].startswith(f"metrics.port = {port}: allowed is a port that is free")


# ------------------------------------------------------------ the trainer beside the workers

TRAINED = {"training": {"every_s": 3600}}


def test_where_something_causes_trainings_a_trainer_runs_beside_the_workers(start: Start) -> None:
    port = free_ports()
    service = start("stay", "--workers", "1", metrics={"port": port}, **TRAINED)
    workers = service.await_workers(1)
    wait_for(service.trainers)
    ((pid, facts),) = service.trainers().items()
    assert facts == {"slot": "trainer", "nice": 19, "threads": "1"}
    wait_for(lambda: "stream_ad_trainer_leads 1.0" in fetch(port + 1, "/metrics")[1])
    assert fetch(port + 1, "/readyz") == fetch(port + 1, "/livez") == (200, "ok\n")
    assert "stream_ad_windows_scored_total" not in fetch(port + 1, "/metrics")[1]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(service.trainers()) == 2)
    assert service.end() == 0
    assert service.workers().keys() == workers.keys()
    assert all(gone(one) for one in (*workers, *service.trainers()))
    said = [(line["event"], line.get("slot")) for line in service.log()]
    assert ("trainer finished", "trainer") in said


@pytest.mark.parametrize(
    ("arguments", "settings"), [(("--no-trainer",), TRAINED), ((), {"training": {}})]
)
def test_otherwise_none_is_started(
    arguments: tuple[str, ...], settings: dict[str, Any], start: Start
) -> None:
    service = start("stay", *arguments, **settings)
    service.await_workers(1)
    assert service.end() == 0
    assert [line["event"] for line in service.log()].count("trainer started") == 0


def test_a_trainer_that_cannot_go_on_does_not_stop_the_scoring(start: Start) -> None:
    service = start("stay", trainer="refuse", training={"on_drift": True})
    stays = "the trainer cannot go on and stays stopped; scoring goes on"
    wait_for(lambda: any(line["event"] == stays for line in service.log()))
    assert service.process.poll() is None
    (line,) = [line for line in service.log() if line["event"] == "trainer cannot go on"]
    assert line["reason"] == "this user lacks READ on topic labels"
    assert service.end() == 0


def test_a_trainer_alone_needs_no_trigger_and_ends_when_asked(start: Start) -> None:
    port = free_ports()
    service = start("stay", command="trainer", metrics={"port": port})
    wait_for(service.trainers)
    wait_for(lambda: fetch(port, "/readyz")[0] == 200)
    assert service.end() == 0
    assert not service.workers()


@pytest.mark.parametrize(
    ("without", "key"),
    [
        (("kafka", "bootstrap_servers"), "kafka.bootstrap_servers"),
        (("kafka", "topics"), "kafka.topics.input"),
        (("registry", "uri"), "registry.uri"),
        (("windows", "sensors"), "windows.sensors"),
        (("windows", "period_s"), "windows.period_s"),
    ],
)
def test_what_is_missing_is_named_before_anything_starts(
    without: tuple[str, str], key: str, tmp_path: Path
) -> None:
    section, name = without
    tree = {part: dict(keys) for part, keys in SETTINGS.items()}
    del tree[section][name]
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(tree))
    assert refused("run", "--config", config).startswith(f"error: {key} = ")


def test_a_service_does_not_read_what_it_writes(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    kafka = SETTINGS["kafka"] | {"topics": {"input": "plant", "alerts": "plant"}}
    config.write_text(yaml.safe_dump(SETTINGS | {"kafka": kafka}))
    said = refused("run", "-c", config)
    assert "kafka.topics.alerts = 'plant': allowed is a topic of its own" in said


def test_states_that_no_record_can_hold_are_refused_before_anything_starts(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    windows = SETTINGS["windows"] | {"length": 10**7}
    config.write_text(yaml.safe_dump(SETTINGS | {"windows": windows}))
    assert refused("run", "-c", config).startswith("error: windows.length = 10000000")


def test_slot_and_parent_are_not_for_people() -> None:
    said = run("run", "--help").out
    assert "--workers" in said
    assert "--reset-state" in said
    assert "--no-trainer" in said
    for text in (said, run("trainer", "--help").out):
        assert "--slot" not in text
        assert "--parent" not in text


def test_the_supervisor_loads_neither_models_nor_the_kafka_client() -> None:
    code = (
        "import sys, stream_ad.service.processes, stream_ad.cli.run, stream_ad.cli.trainer\n"
        "import stream_ad.config\n"
        "print(sorted({'torch', 'kafka', 'numpy', 'prometheus_client'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30
    )
    assert done.stdout.strip() == "[]"
