"""Machine groups: who learns from whom, who scores whom, and whose rules hold."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from stream_ad.config import load_config
from stream_ad.detector import Detector
from stream_ad.groups import Groups
from stream_ad.training.fleet import load_all
from stream_ad.training.registry import Registry
from stream_ad.versions import Version
from stream_ad.windows import WindowSpec
from tests.cli.command import alerts, good, metrics, refused
from tests.cli.recordings import FAULT, LEARNED, MACHINES, plant, write_config, write_csv

PRESSES = {"match": ["m1", "m2"], "alarm": {"m": 1, "n": 1}, "detector": {"k": 3}}
DETECTOR = {"model": "linear", "scorer": "error"}


def config_of(path: Path, groups: dict[str, Any], **sections: Any) -> Path:
    return write_config(path, detector=DETECTOR, groups=groups, **sections)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("fleet") / "p.csv", plant())


def replayed(recording: Path, folder: Path, groups: dict[str, Any], **sections: Any) -> Path:
    config = config_of(folder / "c.yaml", groups, **sections)
    until = LEARNED * len(MACHINES)
    good("replay", recording, "-c", config, "-o", folder / "out", "--train-until", until)
    return folder / "out"


def learned_from(folder: Path) -> set[str]:
    return set(Detector.load(folder).calibration_.machine.tolist())


def versions_of(folder: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    with (folder / "scores.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["machine_id"], set()).add(row["model_version"])
    return found


def test_each_group_learns_from_its_own_machines_and_scores_them(
    recording: Path, tmp_path: Path
) -> None:
    out = replayed(recording, tmp_path, {"press": PRESSES})
    assert learned_from(out / "model") == {"m3"}
    assert learned_from(out / "model-2") == {"m1", "m2"}
    assert versions_of(out) == {"m1": {"2"}, "m2": {"2"}, "m3": {"1"}}
    assert orjson.loads((out / "model-2" / "card.json").read_bytes())["group"] == "press"


def test_a_machine_scores_as_in_a_replay_of_its_group_alone(
    recording: Path, tmp_path: Path
) -> None:
    out = replayed(recording, tmp_path, {"press": PRESSES})
    alone = tmp_path / "alone"
    alone.mkdir()
    rows = [row for row in plant() if row[0] in {"m1", "m2"}]
    file = write_csv(alone / "p.csv", rows)
    config = write_config(alone / "c.yaml", detector=DETECTOR | {"k": 3}, alarm={"m": 1, "n": 1})
    good("replay", file, "-c", config, "-o", alone / "out", "--train-until", 2 * LEARNED)

    def scores(folder: Path, names: set[str]) -> list[tuple[str, ...]]:
        with (folder / "scores.csv").open(newline="") as table:
            return [
                (r["machine_id"], r["window_start"], r["raw_score"], r["p_value"])
                for r in csv.DictReader(table)
                if r["machine_id"] in names
            ]

    assert scores(out, {"m1", "m2"}) == scores(alone / "out", {"m1", "m2"})
    names = {event["machine_group"] for event in alerts(out) if event["machine_id"] == FAULT[0]}
    assert names == {"press"}


def test_with_every_machine_in_a_group_the_default_learns_from_all(
    recording: Path, tmp_path: Path
) -> None:
    out = replayed(recording, tmp_path, {"all": {"match": ["m*"]}})
    assert learned_from(out / "model") == set(MACHINES) == learned_from(out / "model-2")
    assert versions_of(out) == {name: {"2"} for name in MACHINES}


def test_a_group_with_too_little_history_is_scored_by_the_default(
    recording: Path, tmp_path: Path
) -> None:
    few = {"match": ["m1"], "training": {"min_windows": 1_000}}
    out = replayed(recording, tmp_path, {"few": few})
    assert versions_of(out) == {name: {"1"} for name in MACHINES}
    assert not (out / "model-2").exists()


def test_a_group_without_history_begins_when_it_has_enough_windows(
    recording: Path, tmp_path: Path
) -> None:
    """``m9`` appears when the others are scored; until it has enough the default scores it."""
    rows = plant(3 * LEARNED)
    late = [["m9", *row[1:]] for row in rows[LEARNED * len(MACHINES) :] if row[0] == "m1"]
    file = write_csv(tmp_path / "p.csv", sorted([*rows, *late], key=lambda row: int(row[1])))
    young = {"match": ["m9"], "training": {"min_windows": 30, "every_windows": 500}}
    training = {"lead_s": 0, "every_windows": 500}
    config = config_of(tmp_path / "c.yaml", {"young": young}, training=training)
    out = tmp_path / "out"
    good("replay", file, "-c", config, "-o", out, "--train-until", LEARNED * len(MACHINES))
    tried = metrics(out)["trainings"]
    assert [(one["group"], one["kind"]) for one in tried if "version" in one] == [
        ("young", "cold_start")
    ]
    assert versions_of(out)["m9"] == {"1", "2"}
    assert learned_from(out / "model-2") == {"m9"}


def test_train_fills_a_registry_that_a_replay_scores_with(recording: Path, tmp_path: Path) -> None:
    uri = tmp_path / "r"
    config = config_of(tmp_path / "c.yaml", {"press": PRESSES})
    said = good("train", recording, "-c", config, "-o", uri, "--train-until", LEARNED * 3).out
    assert "of group press" in said
    settings = load_config(config)
    spec, groups = WindowSpec.from_config(settings.windows), Groups(settings)
    versions = load_all(Registry(str(uri)), spec, groups)
    assert {(one.model_id, one.number) for one in versions} == {("default", 1), ("press", 1)}
    scoring = config_of(tmp_path / "s.yaml", {"press": PRESSES}, registry={"uri": str(uri)})
    good("replay", recording, "-c", scoring, "-o", tmp_path / "out")
    one = replayed(recording, tmp_path, {"press": PRESSES})

    def raw(folder: Path) -> list[tuple[str, str, str]]:
        with (folder / "scores.csv").open(newline="") as table:
            return [
                (r["machine_id"], r["window_start"], r["raw_score"]) for r in csv.DictReader(table)
            ]

    assert raw(tmp_path / "out") == raw(one)


def test_a_comparison_is_of_one_group(recording: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path / "c.yaml", {"press": PRESSES})
    said = refused("train", recording, "-c", config, "-o", tmp_path / "r", "--compare")
    assert "--compare" in said


def test_the_version_in_effect_is_the_groups_own_or_the_default() -> None:
    from stream_ad.config import parse_config

    config = parse_config({"groups": {"press": {"match": ["p*"]}}})
    versions = [
        Version(object(), number, since, group)  # type: ignore[arg-type]
        for number, (since, group) in enumerate(
            [(0, "default"), (100, "press"), (200, "default"), (50, "press")], 1
        )
    ]
    machine = np.array(["p", "p", "p", "o", "o"], object)
    end = np.array([40, 60, 300, 150, 300])
    # the last one of press replaces the one before it, which takes effect later
    assert Groups(config).active(versions, machine, end).tolist() == [0, 3, 3, 0, 2]
