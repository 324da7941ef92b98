"""What tests of whole commands share: a plant's recording, a detector of it, a clean run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.cli import recordings
from tests.cli.command import Key, good, scores
from tests.kafka.fixtures import create_topic, kafka, runtime, unique  # noqa: F401 - fixtures

# in CI the same examples every time: what a new one finds belongs into a developer's run
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("STREAM_AD__")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "400")  # messages on one line


@dataclass(frozen=True)
class Plant:
    """A recording, the settings that learn from it, and those that score with a registry."""

    recording: Path
    learning: Path
    scoring: Path
    registry: Path
    clean: dict[Key, tuple[float, float, float]]


@pytest.fixture(scope="session")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Plant:
    folder = tmp_path_factory.mktemp("plant")
    file = recordings.write_csv(folder / "plant.csv", recordings.plant())
    learning = recordings.write_config(folder / "learning.yaml")
    registry = folder / "registry"
    scoring = recordings.write_config(folder / "scoring.yaml", registry={"uri": str(registry)})
    until = recordings.LEARNED * len(recordings.MACHINES)
    good("train", file, "-c", learning, "-o", registry, "--train-until", until)
    good("replay", file, "-c", scoring, "-o", folder / "clean")
    return Plant(file, learning, scoring, registry, scores(folder / "clean"))


class Nursery:
    """A process that runs commands in children of its own; see ``tests.cli.nursery``."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[1],
            text=True,
        )

    def run(self, *arguments: object, **request: Any) -> Any:
        """Run a command; return its ``code``, ``seconds``, ``out`` and ``err``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request["arguments"] = [str(argument) for argument in arguments]
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=20)


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    process = Nursery()
    yield process
    process.close()
