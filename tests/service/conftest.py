"""What tests of the running service share: topics with settings, and what a replay gives."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from stream_ad.service import worker
from stream_ad.service.health import Health
from stream_ad.service.worker import Worker
from tests.cli import recordings
from tests.conftest import Plant
from tests.kafka.fixtures import CreateTopic
from tests.service.clock import Clock
from tests.service.running import Replayed, Service

COMPACTED = ("state", "labels", "models")


class Closing(Worker):
    """A worker that lets go of its clients after an error too, as its process would."""

    def run(self) -> None:
        try:
            super().run()
        except BaseException:
            self.close()
            raise


@pytest.fixture(autouse=True)
def _closing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "Worker", Closing)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(40, 120, clock)


@pytest.fixture
def make(
    kafka: str,
    create_topic: CreateTopic,
    unique: Callable[[str], str],
    plant: Plant,
    tmp_path: Path,
) -> Callable[..., Service]:
    """Make the topics and settings of a service: ``make(partitions=2, kafka={...}, ...)``."""

    def make(
        partitions: int = 1,
        topic_settings: Mapping[str, dict[str, str]] | None = None,
        **sections: Any,
    ) -> Service:
        topics = {
            kind: create_topic(
                kind,
                partitions if kind in {"input", "state"} else 1,
                **({"cleanup_policy": "compact"} if kind in COMPACTED else {}),
                **(topic_settings or {}).get(kind, {}),
            )
            for kind in ("input", "alerts", "scores", "dead_letter", *COMPACTED)
        }
        settings = {
            "bootstrap_servers": [kafka],
            "group_id": unique("group"),
            "session_timeout_s": 3,
            "transaction_timeout_s": 5,
            "topics": topics,
            "client": {"metadata_max_age_ms": 1000},
        } | sections.pop("kafka", {})
        sections.setdefault("registry", {"uri": str(plant.registry)})
        file = recordings.write_config(tmp_path / "service.yaml", kafka=settings, **sections)
        return Service(kafka, topics, file)

    return make


@pytest.fixture(scope="session")
def replayed(plant: Plant) -> Replayed:
    """Scores and incident events of the file replay."""
    folder = plant.scoring.parent / "clean"
    with (folder / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    scores = sorted((row["machine_id"], row["window_end"], float(row["score"])) for row in rows)
    lines = (folder / "alerts.jsonl").read_bytes().splitlines()
    return scores, [orjson.loads(line) for line in lines]
