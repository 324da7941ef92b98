"""From an empty registry to detectors that follow each other; and what may go wrong on the way."""

from __future__ import annotations

import csv
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream_ad.config import Config
from stream_ad.errors import RegistryError
from stream_ad.records import ModelRecord
from stream_ad.service import trainer
from stream_ad.service.leadership import Leadership, NotLeading
from stream_ad.training import fit, retraining
from stream_ad.training.promotions import Promotion
from stream_ad.training.registry import Registry
from stream_ad.transport.kafka.announcer import Announcer
from stream_ad.transport.kafka.delivery import Undelivered
from stream_ad.transport.kafka.labels import TrainRequest, write_request
from tests.cli.command import good
from tests.cli.recordings import plant, time_of, write_config, write_csv
from tests.faults.worker import Event, Worker
from tests.kafka_cluster.waiting import until
from tests.service.running import Score, Service, said
from tests.service.teaching import Teaching, teaching

Make = Callable[..., Service]
SOON_S = 60.0
LOADED = "a promoted detector is loaded"
COMMAND = [sys.executable, "-c", "from stream_ad.cli import main; main()", "trainer", "--config"]
FIRST, SECOND, STEPS = 130, 300, 420
ROWS = [row for row in plant(STEPS) if row[0] != "m2"]  # which has a fault
# A fit takes a moment, and the gate has seen too little to be strict.
SECTIONS: dict[str, dict[str, Any]] = {
    "detector": {"model": "linear", "scorer": "error"},
    "drift": {"max_per_day": 1e3, "max_total": 1e3},
    "training": {
        "min_windows": 30,
        "lead_s": 120,
        "gate": {"recall_loss": 1, "worst_loss": 1},
    },
}


def rows(since: int, until_: int) -> list[list[Any]]:
    return [row for row in ROWS if time_of(since) <= row[1] < time_of(until_)]


@dataclass
class Place:
    """A service that begins without a detector."""

    service: Service
    registry: Registry
    sections: dict[str, Any]

    def config(self, **training: Any) -> Config:
        """Return the settings, those of trainings changed."""
        return self.service.config(
            **self.sections | {"training": self.sections["training"] | training}
        )

    def promotions(self) -> list[Promotion]:
        return self.registry.promotions()

    def promoted(self, number: int) -> bool:
        return until(lambda: len(self.promotions()) >= number, SOON_S)

    def announced(self) -> list[tuple[int, int]]:
        """Return promotion and version of each announcement."""
        told = [ModelRecord.model_validate_json(row.value) for row in self.service.read("models")]
        return [(one.promotion, one.model_version) for one in told]

    def is_announced(self, number: int) -> bool:
        return until(lambda: number in dict(self.announced()), SOON_S)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(trainer, "PACE_S", 0.1)
    monkeypatch.setattr(trainer, "REGISTRY_S", 0.3)
    caplog.set_level(logging.INFO, "stream_ad")


@pytest.fixture
def place(make: Make, tmp_path: Path) -> Place:
    folder = str(tmp_path / "models")
    return Place(make(partitions=2), Registry(folder), SECTIONS | {"registry": {"uri": folder}})


# ------------------------------------------------------------ the whole way


def test_from_nothing_to_a_second_detector_though_a_trainer_is_killed(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Every window from the first promotion on is scored once, as in a replay with the same."""
    service, file = place.service, tmp_path / "trainer.yaml"
    config = place.config(every_windows=60)
    file.write_text(yaml.safe_dump(config.model_dump(mode="json", exclude_none=True)))
    service.produce(rows(0, FIRST))
    victim = Worker([*COMMAND, str(file)], tmp_path / "victim.log")
    try:
        assert place.promoted(1), victim.tail()
        with service.worker(**place.sections):
            service.produce(rows(FIRST, SECOND))
            assert victim.wait_for(is_training_again, SOON_S) is not None, victim.tail()
            victim.kill()
            with teaching(config):
                assert place.promoted(2)
                assert place.is_announced(2)
                assert until(lambda: bool(said(caplog, LOADED)), SOON_S)
                service.produce(rows(SECOND, STEPS))
                wanted = replayed(place, tmp_path)
                assert until(lambda: len(service.scores()) >= len(wanted), SOON_S)
    finally:
        victim.kill()
    assert service.scores() == wanted
    versions = {row[1] for row in read_csv(tmp_path / "out" / "scores.csv")}
    assert {"1", "2"} <= versions
    made = place.promotions()
    assert [one.number for one in made] == [number for number, _ in place.announced()]
    assert all(before.version < one.version for before, one in pairwise(made))


def is_training_again(event: Event) -> bool:
    return event.name == "training" and "new windows" in event.fields["said"]


def replayed(place: Place, folder: Path) -> list[Score]:
    """Return the scores that a replay gives with the registry as it stands."""
    recording = write_csv(folder / "all.csv", ROWS)
    sections = {name: keys for name, keys in place.sections.items() if name != "training"}
    config = write_config(folder / "replay.yaml", **sections)
    good("replay", recording, "-c", config, "-o", folder / "out")
    with (folder / "out" / "scores.csv").open(newline="") as file:
        found = [*csv.DictReader(file)]
    return sorted((row["machine_id"], row["window_end"], float(row["score"])) for row in found)


def read_csv(file: Path) -> list[tuple[str, str]]:
    with file.open(newline="") as opened:
        return [(row["machine_id"], row["model_version"]) for row in csv.DictReader(opened)]


# ------------------------------------------------------------ going on


def test_a_restart_goes_on_and_without_a_snapshot_learns_from_the_topic(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    service, config = place.service, place.config(every_windows=1000)
    service.produce(rows(0, FIRST))
    with teaching(config) as first:
        assert place.promoted(1)
        held = taken(first)
    (begins,) = said(caplog, "learns from the earliest records that the topics still have")
    assert "nothing was saved" in begins["reason"]
    with service.worker(**place.sections):
        service.produce(rows(FIRST, STEPS))
        with teaching(config) as second:
            assert read(second, len(rows(FIRST, STEPS)))
            (going_on,) = said(caplog, "goes on from its snapshot")
            assert going_on["windows"] == {"default": held}
            held = taken(second)
    for path in Path(place.registry.where).rglob("buffer.json"):
        path.write_bytes(path.read_bytes()[:-20])
    with teaching(config) as third:
        assert read(third, len(rows(0, STEPS)))
        assert taken(third) == held
    assert "damaged" in said(caplog, begins["event"])[-1]["reason"]
    assert len(place.promotions()) == 1  # none of them trained again for an old cause


def read(one: Teaching, records: int) -> bool:
    return until(lambda: (one.value("trainer_records") or 0) >= records, SOON_S)


def taken(one: Teaching) -> float:
    found = one.value("training_windows", group="default")
    assert found
    return found


def test_of_two_trainers_one_works_and_the_other_takes_over(place: Place) -> None:
    service, config = place.service, place.config()
    with teaching(config) as first:
        assert until(lambda: first.value("trainer_leads") == 1.0, SOON_S)
        with teaching(config) as second:
            service.produce(rows(0, FIRST))
            assert place.promoted(1)
            assert second.value("trainer_leads") == 0.0
            assert second.value("training_windows", group="default") is None
            first.shell.stop()
            assert until(lambda: second.value("trainer_leads") == 1.0, SOON_S)
            assert until(lambda: bool(second.value("training_windows", group="default")), SOON_S)
    assert [one.number for one in place.promotions()] == [1]
    assert place.announced() == [(1, 1)]


# ------------------------------------------------------------ causes


def test_a_person_may_ask_for_a_training(place: Place) -> None:
    service, config = place.service, place.config()
    service.produce(rows(0, FIRST))
    with teaching(config) as one, service.worker(**place.sections):
        assert place.promoted(1)
        service.produce(rows(FIRST, STEPS))
        assert read(one, len(rows(0, STEPS)))
        write_request(config.kafka, TrainRequest(machine_group="default", who="anna"))
        assert place.promoted(2)
        outcome = {"group": "default", "cause": "asked", "outcome": "promoted"}
        assert until(lambda: one.value("trainings_total", **outcome) == 1.0, SOON_S)
    assert place.promotions()[1].reason.startswith("asked for by anna: ")


# ------------------------------------------------------------ trouble


def test_a_training_that_fails_changes_nothing_and_the_next_cause_is_another_try(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service = place.service
    service.produce(rows(0, FIRST))
    with monkeypatch.context() as patch:
        patch.setattr(retraining, "train", fails(MemoryError("no memory for the fit")))
        with teaching(place.config()) as one:
            failed = {"group": "default", "cause": "cold_start", "outcome": "failed"}
            assert until(lambda: one.value("trainings_total", **failed) == 1.0, SOON_S)
            assert not place.registry.numbers()
            assert not place.promotions()
            patch.undo()
            service.produce(rows(FIRST, SECOND))
            assert place.promoted(1)
    (line,) = said(caplog, "training failed")
    assert line["why"] == "MemoryError: no memory for the fit"
    assert line["cause"].endswith("of 30 needed")


def test_whoever_leads_no_more_when_a_fit_is_over_promotes_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, left = place.service, [1]
    require = Leadership.require

    def displaced(leadership: Leadership, term: int) -> None:
        if left and fitted:
            left.pop()
            raise NotLeading("for the test")
        require(leadership, term)

    fitted: list[int] = []

    def noted(*arguments: Any, **named: Any) -> Any:
        fitted.append(1)
        return fit.train(*arguments, **named)

    monkeypatch.setattr(Leadership, "require", displaced)
    monkeypatch.setattr(retraining, "train", noted)
    service.produce(rows(0, FIRST))
    with teaching(place.config()) as one:
        told = {"kind": "NotLeading"}
        assert until(lambda: one.value("trainer_troubles_total", **told) == 1.0, SOON_S)
        assert not place.registry.numbers()
        assert not place.promotions()
        service.produce(rows(FIRST, SECOND))
        assert place.promoted(1)
    assert place.announced() == [(1, 1)]


def test_what_was_promoted_by_hand_or_could_not_be_told_is_announced_later(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell, tries = Announcer.tell, list[int]()

    def at_last(announcer: Announcer, records: Any) -> None:
        tries.append(len(records))
        if len(tries) == 1:
            raise Undelivered("for the test")
        tell(announcer, records)

    monkeypatch.setattr(Announcer, "tell", at_last)
    place.service.produce(rows(0, FIRST))
    with teaching(place.config()):
        assert place.is_announced(1)
        made = place.promotions()[0]
        place.registry.promote(1, made.effective_from, "by hand")
        assert place.is_announced(2)
    assert tries == [1, 1, 1]
    assert place.announced() == [(1, 1), (2, 1)]


def test_a_registry_that_cannot_be_reached_is_told_once_and_waited_for(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place.service.produce(rows(0, FIRST))
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "promotions", fails(RegistryError("the store does not answer")))
        with teaching(place.config(cool_down_s=0)) as one:
            troubles = {"kind": "RegistryError"}
            assert until(lambda: (one.value("trainer_troubles_total", **troubles) or 0) > 1, SOON_S)
            assert one.value("training_windows", group="default") is None  # it may not begin
            patch.undo()
            assert place.promoted(1)
    (line,) = said(caplog, "the trainer tries again; what scores goes on")
    assert line["reason"] == "the store does not answer"


def fails(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail
