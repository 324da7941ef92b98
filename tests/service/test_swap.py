"""A new detector reaches running workers: when it counts is written down, and a replay follows."""

from __future__ import annotations

import csv
import logging
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from stream_ad.detector import Detector
from stream_ad.errors import ArtifactNotFound, StreamAdError
from stream_ad.pipeline import Pipeline
from stream_ad.records import ActivationRecord
from stream_ad.service.counting import Counting
from stream_ad.service.shell import Shell
from stream_ad.service.worker import Worker
from stream_ad.training.promotions import Promotion
from stream_ad.training.registry import Registry
from stream_ad.transport.kafka import activations, delivery
from stream_ad.transport.kafka.announcements import announce
from stream_ad.transport.kafka.delivery import ExactlyOnce, Undelivered
from stream_ad.transport.kafka.restore import Restored
from tests.cli.command import good, refused
from tests.cli.recordings import (
    HOP,
    LEARNED,
    LENGTH,
    MACHINES,
    STEPS,
    text_of,
    time_of,
    write_config,
)
from tests.conftest import Plant
from tests.kafka_cluster.waiting import until
from tests.service.running import PATIENCE_S, ROWS, Running, Service, home, said

Make = Callable[..., Service]
LOADED = "a promoted detector is loaded"
LAGGARD = "m3"  # another partition than that of the others
Scored = tuple[str, str, float, int]  # machine, end of window, score, version


@pytest.fixture(scope="session")
def spare(plant: Plant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train another detector of the same plant; return its folder."""
    folder = tmp_path_factory.mktemp("spare")
    config = write_config(folder / "seed.yaml", detector={"seed": 5})
    until = 3 * LEARNED
    good("train", plant.recording, "-c", config, "-o", folder / "r", "--train-until", until)
    return Registry(str(folder / "r")).folder(1)


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "stream_ad")


@dataclass
class Swapping:
    """A service with a registry of its own, where promotions come while it runs."""

    service: Service
    registry: Registry
    caplog: pytest.LogCaptureFixture

    def feed(self, first: int, end: int, *machines: str) -> None:
        """Produce the steps from one to before another."""
        rows = ROWS[first * len(MACHINES) : end * len(MACHINES)]
        self.service.produce([row for row in rows if row[0] in (machines or MACHINES)])

    def promote(self, version: int, step: int) -> Promotion:
        """Promote a version for what ends at a step or later, and announce it."""
        return self.announce(self.registry.promote(version, time_of(step) * 10**6, "by hand"))

    def announce(self, made: Promotion) -> Promotion:
        announce(self.service.config().kafka, made.record())
        return made

    def is_loaded(self, made: Promotion) -> bool:
        def is_loaded() -> bool:
            return made.number in {line["promotion"] for line in said(self.caplog, LOADED)}

        return until(is_loaded, PATIENCE_S)

    def scored(self) -> set[Scored]:
        rows = [orjson.loads(record.value) for record in self.service.read("scores")]
        found = [(r["machine_id"], r["window_end"], r["score"], r["model_version"]) for r in rows]
        assert len({row[:2] for row in found}) == len(found)  # none twice
        return set(found)

    def is_scored(self, end: int, *machines: str) -> bool:
        """Wait for the last window that ends before a step."""
        last = {(machine, text_of((end - 1) // HOP * HOP)) for machine in machines or MACHINES}
        return until(lambda: last <= {row[:2] for row in self.scored()}, PATIENCE_S)

    def written(self) -> dict[int, list[ActivationRecord]]:
        """Return the activations of each partition."""
        found: dict[int, list[ActivationRecord]] = {}
        for record in self.service.read("state"):
            if activations.is_activation(record.key):
                one = ActivationRecord.model_validate_json(record.value)
                found.setdefault(record.partition, []).append(one)
        return found

    def replayed(self, out: Path) -> set[Scored]:
        topic = self.service.topics["input"]
        good("replay", "--from-topic", topic, "-c", self.service.settings, "-o", out)
        with (out / "scores.csv").open(newline="") as file:
            return {
                (r["machine_id"], r["window_end"], float(r["score"]), int(r["model_version"]))
                for r in csv.DictReader(file)
            }


@pytest.fixture
def swapping(
    make: Make, plant: Plant, spare: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> Callable[..., Swapping]:
    """Make a service whose registry holds a second version that nobody promoted yet."""

    def swapping(**sections: Any) -> Swapping:
        folder = shutil.copytree(plant.registry, tmp_path / "registry")
        registry = Registry(str(folder))
        assert registry.add(Detector.load(spare)) == 2
        service = make(partitions=2, registry={"uri": str(folder)}, **sections)
        return Swapping(service, registry, caplog)

    return swapping


def test_the_laggard_has_a_partition_of_its_own() -> None:
    assert {home(machine, 2) for machine in MACHINES if machine != LAGGARD} != {home(LAGGARD, 2)}


# ------------------------------------------------------------------ what counts, without a broker


class Known:
    """Versions, and how many of them count where."""

    def __init__(self, **promotions: int) -> None:
        self.groups = SimpleNamespace(names=("default", "presses"))
        self.versions: list[Any] = []
        self.counts_in: dict[int, int] = {}
        for group, number in promotions.items():
            self.offer(group, number)

    def offer(self, group: str, promotion: int) -> None:
        one = SimpleNamespace(model_id=group, promotion=promotion, number=7)
        self.versions.append(one)

    def activate(self, partition: int, upto: int) -> None:
        self.counts_in[partition] = upto


def wrote(*promotions: tuple[str, int]) -> Restored:
    """Return what lies in a partition of the state topic."""
    records = [
        ActivationRecord(
            machine_group=group, promotion=number, model_version=1, first_offset=10 * at
        )
        for at, (group, number) in enumerate(promotions)
    ]
    return Restored({}, records)


def counting(known: Any, *, reset_state: bool = False) -> Counting:
    return Counting(known, Shell.silent(), reset_state=reset_state)


def made(found: dict[int, list[ActivationRecord]]) -> dict[int, list[tuple[str, int, int]]]:
    return {
        at: [(one.machine_group, one.promotion, one.first_offset) for one in records]
        for at, records in found.items()
    }


def test_a_partition_waits_until_all_that_counts_is_loaded() -> None:
    known = Known(default=2, presses=1)
    counts = counting(known)
    assert counts.take_over({0: wrote(("default", 3), ("presses", 2)), 1: wrote()}) == {1}
    assert counts.ahead == {0: {"default": 3, "presses": 2}}
    known.offer("default", 4)  # 3 was replaced, or passed over
    assert counts.waiting({0, 1}) == {0}
    known.offer("presses", 2)
    assert counts.waiting({0, 1}) == set()
    assert counts.ahead == {}
    assert counts.take_over({0: wrote(("default", 3), ("presses", 2))}) == {0}
    assert made(counts.activate({0: 99})) == {0: [("default", 4, 99)]}
    assert known.counts_in == {0: 4}


def test_groups_that_are_no_more_are_not_waited_for() -> None:
    counts = counting(Known(default=2))
    assert counts.take_over({0: wrote(("ovens", 8), ("default", 2))}) == {0}
    assert counts.activate({0: 50}) == {}


def test_a_reset_begins_anew_only_where_another_registry_counted() -> None:
    counts = counting(Known(default=2), reset_state=True)
    assert counts.take_over({0: wrote(("default", 57)), 1: wrote(("default", 2))}) == {0, 1}
    assert made(counts.activate({0: 50, 1: 60})) == {0: [("default", 2, 50)]}


def test_offsets_that_begin_anew_are_written_anew() -> None:
    counts = counting(Known(default=2))
    counts.take_over({0: wrote(("default", 2))})
    counts.begin_anew(0)
    assert made(counts.activate({0: 0})) == {0: [("default", 2, 0)]}


# ------------------------------------------------------------------ promoted, rolled back


def test_what_scores_live_is_what_a_replay_of_the_topic_scores(
    swapping: Callable[..., Swapping], tmp_path: Path
) -> None:
    """Version 2 comes later than it takes effect, and is taken back later still.

    One machine lags behind both, so that for each the time of its windows decides, too.
    """
    swap = swapping()
    others = [machine for machine in MACHINES if machine != LAGGARD]
    swap.feed(0, 150)
    with swap.service.worker() as running:
        swap.feed(150, 200, *others)
        assert swap.is_scored(200, *others)
        assert swap.is_loaded(swap.promote(2, step=180))
        swap.feed(150, 180, LAGGARD)
        swap.feed(200, 240, *others)
        swap.feed(180, 240, LAGGARD)
        assert swap.is_scored(240)
        back = swap.announce(swap.registry.rollback(reason="too loud"))
        assert (back.version, back.number) == (1, 3)
        assert swap.is_loaded(back)
        swap.feed(240, STEPS)
        assert swap.is_scored(STEPS)
        value = running.shell.metrics.registry.get_sample_value
        assert value("stream_ad_model_version", {"machine_group": "default"}) == 1
        assert value("stream_ad_model_promotion", {"machine_group": "default"}) == 3
        assert value("stream_ad_model_promotions_total") == 2
    live = swap.scored()
    version = {(machine, end): number for machine, end, _, number in live}
    for (machine, end), number in version.items():
        began = text_of(180) if machine == LAGGARD else text_of(200)  # when it came, or effect
        assert number == (2 if began <= end < text_of(240) else 1), (machine, end)
    assert set(version.values()) == {1, 2}
    for records in swap.written().values():
        assert [(one.promotion, one.model_version) for one in records] == [(1, 1), (2, 2), (3, 1)]
        assert records[0].first_offset == 0
    assert len(swap.written()) == 2
    assert swap.replayed(tmp_path / "again") == live
    # retention removed what scored in the middle: no other version scores instead of it
    topic, settings = swap.service.topics["input"], swap.service.settings
    shutil.rmtree(swap.registry.folder(2))
    replayed = "replay", "--from-topic", topic, "-c", settings, "-o"
    told = refused(*replayed, tmp_path / "gone")
    assert "was scored by version 2 of default in the live run (promotion 2)" in told
    assert f"versions missing of default in {swap.registry.where}: 2 (removed, as reg" in told
    (since,) = re.findall(r"another folder: --from-time (\S+) or later$", told.strip())
    good(*replayed, tmp_path / "later", "--from-time", since)


class AbortsActivations:
    """A delivery whose first transaction of each later promotion is aborted when all was sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.aborted: list[bytes] = []
        self._deliver = ExactlyOnce.deliver
        aborts = self

        def deliver(once: ExactlyOnce, *arguments: Any) -> None:
            aborts(once, *arguments)

        monkeypatch.setattr(ExactlyOnce, "deliver", deliver)

    def __call__(self, once: ExactlyOnce, outputs: Any, states: Any, *others: Any) -> None:
        new = [one.value for one in states if activations.is_activation(one.key)]
        promotions = [value for value in new if orjson.loads(value)["promotion"] > 1]
        if len(promotions) == 0 or len(self.aborted) >= 2:
            self._deliver(once, outputs, states, *others)
            return
        self.aborted += promotions
        once._producer.begin_transaction()
        delivery.send(once._producer, [*outputs, *states], 5.0)
        once._producer.abort_transaction()
        raise Undelivered("for the test")


def test_a_swap_that_was_interrupted_is_made_again_and_the_replay_follows(
    swapping: Callable[..., Swapping], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    aborts = AbortsActivations(monkeypatch)
    swap = swapping(kafka={"batch_records": 100})
    swap.feed(0, 200)
    with swap.service.worker():
        assert swap.is_scored(200)
        assert swap.is_loaded(swap.promote(2, step=180))
        swap.feed(200, 230)
        assert swap.is_scored(230)
    assert len(aborts.aborted) >= 2
    swap.feed(230, 260)
    with swap.service.worker():  # a successor, which holds both from the beginning
        assert swap.is_scored(260)
    live = swap.scored()
    assert {row[3] for row in live if row[1] >= text_of(200)} == {2}
    for records in swap.written().values():
        assert [one.promotion for one in records] == [1, 2]
    assert swap.replayed(tmp_path / "again") == live


def test_an_activation_that_was_not_written_would_show_in_the_replay(
    swapping: Callable[..., Swapping], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The fault that the tests above see; and what an older service left, which wrote none."""
    swap = swapping()
    swap.feed(0, 200)
    with monkeypatch.context() as patch:
        patch.setattr(activations.Recorded, "next", lambda *_: [])
        with swap.service.worker():
            assert swap.is_scored(200)
    swap.promote(2, step=180)
    swap.feed(200, 240)
    with swap.service.worker():
        assert swap.is_scored(240)
    live = swap.scored()
    assert {row[3] for row in live if row[1] < text_of(200)} == {1}
    assert {row[3] for row in live if row[1] >= text_of(200)} == {2}
    for partition, records in swap.written().items():
        (one,) = records  # with the first batch of whoever writes them
        assert (one.promotion, one.first_offset) == (2, 200 * machines_in(partition))
    again = swap.replayed(tmp_path / "again")
    assert {row[3] for row in again if text_of(180) <= row[1] < text_of(200)} == {2}


def machines_in(partition: int) -> int:
    """Return how many machines a partition has."""
    return sum(home(machine, 2) == partition for machine in MACHINES)


def test_the_first_detector_of_a_group_takes_over_from_the_shared_one(
    swapping: Callable[..., Swapping], spare: Path, plant: Plant, tmp_path: Path
) -> None:
    """It takes effect before it comes: till then scores the shared one, in a replay as well."""
    swap = swapping(groups={"presses": {"match": [LAGGARD]}})
    swap.feed(0, 200)
    with swap.service.worker() as running:
        assert swap.is_scored(200)
        number = swap.registry.add(Detector.load(spare), "presses")
        first = swap.registry.promote(number, time_of(180) * 10**6, "the first", "presses")
        assert swap.is_loaded(swap.announce(first))
        swap.feed(200, 240)
        assert swap.is_scored(240)
        value = running.shell.metrics.registry.get_sample_value
        assert value("stream_ad_model_promotion", {"machine_group": "presses"}) == 1
    clean = {
        (machine, end, scores[0])
        for (machine, start), scores in plant.clean.items()
        if (end := text_of(step_of(start) + LENGTH)) < text_of(240)
    }
    found = {(machine, end, score) for machine, end, score, _ in swap.scored()}
    other = {(machine, end) for machine, end, _ in found - clean}
    assert other == {(LAGGARD, text_of(step)) for step in range(200, 240, HOP)}
    for records in swap.written().values():
        assert [(one.machine_group, one.promotion) for one in records] == [
            ("default", 1),
            ("presses", 1),
        ]
    assert swap.replayed(tmp_path / "again") == swap.scored()


def step_of(text: str) -> int:
    return next(step for step in range(STEPS) if text_of(step) == text)


# ------------------------------------------------------------------ bad, missing, another's


def test_a_bad_artifact_leaves_what_scored_until_it_is_repaired(
    swapping: Callable[..., Swapping], caplog: pytest.LogCaptureFixture
) -> None:
    swap = swapping(kafka={"retry_backoff_s": 0.2})
    weights = swap.registry.folder(2) / "weights.safetensors"
    sound = weights.read_bytes()
    swap.feed(0, 200)
    with swap.service.worker() as running:
        assert swap.is_scored(200)
        promotion = swap.registry.promote(2, time_of(180) * 10**6, "by hand")
        weights.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
        swap.announce(promotion)
        value = running.shell.metrics.registry.get_sample_value
        assert until(lambda: (value("stream_ad_model_load_failures_total") or 0) > 1, PATIENCE_S)
        swap.feed(200, 220)
        assert swap.is_scored(220)
        weights.write_bytes(sound)
        assert swap.is_loaded(promotion)
        swap.feed(220, 240)
        assert swap.is_scored(240)
    (line,) = said(caplog, "a promoted detector cannot be loaded: what scored goes on")
    assert "weights.safetensors is damaged" in line["reason"]
    for _, end, _, version in swap.scored():
        assert version == (2 if end >= text_of(220) else 1)


def a_service_where_version_2_counts(swap: Swapping) -> set[Scored]:
    swap.feed(0, 200)
    swap.promote(2, step=180)
    with swap.service.worker():
        assert swap.is_scored(200)
    found = swap.scored()
    assert {row[3] for row in found if row[1] >= text_of(180)} == {2}
    return found


def test_a_successor_waits_for_what_counts_already(
    swapping: Callable[..., Swapping], caplog: pytest.LogCaptureFixture
) -> None:
    swap = swapping(kafka={"retry_backoff_s": 0.2})
    before = a_service_where_version_2_counts(swap)
    folder = swap.registry.folder(2)
    away = folder.rename(folder.with_name("away"))
    swap.feed(200, 220)
    with swap.service.worker() as running:
        waits = "a promotion counts already that is not loaded: these partitions wait"
        assert until(lambda: bool(said(caplog, waits)), PATIENCE_S)
        assert until(lambda: running.shell.health.not_ready() == "no model is loaded", PATIENCE_S)
        assert len(said(caplog, "a promoted detector cannot be loaded: others score")) == 1
        time.sleep(1)
        assert swap.scored() == before
        assert running.shell.health.stuck() is None
        away.rename(folder)
        assert swap.is_scored(220)
        assert until(lambda: running.shell.health.not_ready() is None, PATIENCE_S)
    assert {row[3] for row in swap.scored() - before} == {2}
    for records in swap.written().values():
        assert [one.promotion for one in records] == [2]


def test_another_registry_is_told_from_a_late_one_and_a_reset_goes_on_with_it(
    swapping: Callable[..., Swapping], plant: Plant, caplog: pytest.LogCaptureFixture
) -> None:
    swap = swapping()
    before = a_service_where_version_2_counts(swap)
    other = {"uri": str(plant.registry)}
    swap.feed(200, 220)
    with swap.service.worker(registry=other):
        cannot = "a promoted detector cannot be loaded: what scored goes on"
        assert until(lambda: bool(said(caplog, cannot)), PATIENCE_S)
        assert "--reset-state" in said(caplog, cannot)[0]["reason"]
        assert swap.scored() == before
    with swap.service.worker(registry=other, reset_state=True):
        assert swap.is_scored(220)
    assert {row[3] for row in swap.scored() - before} == {1}
    for records in swap.written().values():  # those of before stay
        assert [one.promotion for one in records] == [2, 1]
    swap.feed(220, 240)
    with swap.service.worker(registry=other):
        assert swap.is_scored(240)


def test_a_detector_that_is_gone_when_an_old_window_asks_ends_the_worker_for_another_start(
    swapping: Callable[..., Swapping], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise ArtifactNotFound("models/default/000001: no such file")

    swap = swapping()
    monkeypatch.setattr(Pipeline, "process", gone)
    swap.feed(0, LENGTH)
    error = Running(swap.service.config()).ended()
    assert "another start goes on" in str(error)
    assert not isinstance(error, StreamAdError)  # those are for a person


def test_the_loop_loads_nothing(
    swapping: Callable[..., Swapping], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each turn of it is short, however long a detector takes."""
    slow_s = 1.5
    version, process = Registry.version, Worker._process
    turns: list[float] = []

    def slow(*arguments: Any) -> Any:
        time.sleep(slow_s)
        return version(*arguments)

    def noted(worker: Worker, batches: Any) -> Any:
        turns.append(time.monotonic())
        return process(worker, batches)

    swap = swapping()
    swap.feed(0, 170)
    with swap.service.worker():
        assert swap.is_scored(170)
        monkeypatch.setattr(Registry, "version", slow)
        monkeypatch.setattr(Worker, "_process", noted)
        promotion = swap.promote(2, step=180)
        for step in range(170, 190):
            swap.feed(step, step + 1)
            time.sleep(0.1)
        assert swap.is_loaded(promotion)
        swap.feed(190, 220)
        assert swap.is_scored(220)
    longest = max(later - turn for turn, later in pairwise(turns))
    assert longest < slow_s * 0.8
    assert {row[3] for row in swap.scored() if row[1] >= text_of(200)} == {2}
    assert len(said(swap.caplog, "a promotion counts")) >= 1
