"""Settings of a replay: a file, a guess, or a file laid over a guess."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stream_ad.config import read_settings
from stream_ad.progress import Silence
from stream_ad.settings import Columns, settings_for
from tests.cli.command import good, refused
from tests.conftest import Plant


def write(folder: Path, text: str) -> Path:
    file = folder / "part.yaml"
    file.write_text(text)
    return file


def test_every_section_is_optional(plant: Plant, tmp_path: Path) -> None:
    """What a config leaves open about the recording is guessed; what it says goes before."""
    guessed = settings_for(plant.recording, None, Columns(), tmp_path, Silence())
    config = write(tmp_path, "alarm: {m: 1, n: 1}\nwindows: {length: 20, hop: 5}\ninput:\n")
    laid = settings_for(plant.recording, config, Columns(), tmp_path, Silence())
    assert (laid.alarm.m, laid.windows.length, laid.windows.hop) == (1, 20, 5)
    assert laid.windows.sensors == guessed.windows.sensors
    assert laid.windows.period_s == guessed.windows.period_s
    assert laid.input == guessed.input


def test_a_partial_config_is_told_to_the_user(plant: Plant, tmp_path: Path) -> None:
    config = write(tmp_path, "detector: {epochs: 1}\n")
    answer = good("replay", plant.recording, "-c", config, "-o", tmp_path / "out")
    assert "names no sensors or no period: this replay uses what init would write" in answer.err


def test_a_complete_config_is_not_guessed_at(plant: Plant, tmp_path: Path) -> None:
    settings_for(plant.recording, plant.learning, Columns(), tmp_path / "out", Silence())
    assert not (tmp_path / "out").exists()


def test_the_environment_goes_before_file_and_guess(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAM_AD__WINDOWS__LENGTH", "9")
    config = write(tmp_path, "windows: {length: 20}\n")
    assert settings_for(plant.recording, config, Columns(), tmp_path, Silence()).windows.length == 9


def test_more_history_than_rows_is_refused_with_both_numbers(plant: Plant, tmp_path: Path) -> None:
    """An epoch time reads like a number of rows: it must not silently make all of it history."""
    said = refused(
        "replay", plant.recording, "-c", plant.learning, "-o", tmp_path, "--train-until", 1704200000
    )
    assert "--train-until = '1704200000'" in said
    assert "at most the" in said


def test_sensors_without_history_are_named(plant: Plant, tmp_path: Path) -> None:
    """A sensor that was silent while the detector learned is not watched; nobody may miss that."""
    lines = plant.recording.read_text().splitlines()
    wider = tmp_path / "wider.csv"
    wider.write_text("\n".join([lines[0] + ",late", *(line + "," for line in lines[1:])]))
    settings = read_settings(plant.learning, {})
    settings["windows"]["sensors"].append("late")
    config = write(tmp_path, json.dumps(settings))
    out = tmp_path / "out"
    answer = good("replay", wider, "-c", config, "-o", out)
    assert "not watched: late" in answer.err
    assert json.loads((out / "metrics.json").read_text())["sensors_without_history"] == ["late"]
    assert "late" in (out / "report.html").read_text()
