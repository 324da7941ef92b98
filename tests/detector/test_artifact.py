"""Artifacts: whole or not at all, verified by digest, never unpickled."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import orjson
import pytest
import torch

from stream_ad.config import AlarmConfig
from stream_ad.detector import Detector
from stream_ad.detector.artifact import (
    ARRAYS,
    CARD,
    WEIGHTS,
    card_digest,
    read_artifact,
    sealed,
    write_artifact,
)
from stream_ad.errors import ArtifactCorrupt, ArtifactMismatch, ArtifactNotFound, OutputError
from tests.detector.streams import quick, waves


@pytest.fixture(scope="module")
def detector() -> Detector:
    return quick(steps=5)


@pytest.fixture
def saved(detector: Detector, tmp_path: Path) -> Path:
    detector.save(tmp_path / "model")
    return tmp_path / "model"


def rewrite_card(path: Path, **changes: object) -> None:
    card = orjson.loads((path / CARD).read_bytes())
    (path / CARD).write_bytes(sealed(card | changes))


def test_a_loaded_detector_gives_the_same_bytes(detector: Detector, saved: Path) -> None:
    loaded, x = Detector.load(saved), waves(50, seed=3)
    for name in ("raw", "error", "sensor_error"):
        assert (
            getattr(loaded.score(x), name).tobytes() == getattr(detector.score(x), name).tobytes()
        )
    ours, theirs = detector.explain(x), loaded.explain(x)
    for name in ("share", "evidence", "expected_window", "neighbour_distance", "neighbour_start"):
        assert getattr(ours, name).tobytes() == getattr(theirs, name).tobytes()
    assert (ours.neighbour_machine == theirs.neighbour_machine).all()


def test_everything_that_was_learned_comes_back(detector: Detector, saved: Path) -> None:
    loaded, x = Detector.load(saved), waves(50, seed=3)
    assert (loaded.spec, loaded.sensors) == (detector.spec, detector.sensors)
    assert (loaded.channels, loaded.report_) == (detector.channels, detector.report_)
    np.testing.assert_array_equal(loaded.known, detector.known)
    np.testing.assert_array_equal(loaded.predict(x), detector.predict(x))
    raw = detector.score(x).raw
    np.testing.assert_array_equal(loaded.line_.p_value(raw), detector.line_.p_value(raw))
    np.testing.assert_array_equal(loaded.calibration_.raw, detector.calibration_.raw)
    assert (loaded.calibration_.machine == detector.calibration_.machine).all()


@pytest.mark.parametrize("budget", [0.001, 1.0, 1e6])
def test_a_budgets_line_comes_back_and_can_be_changed_again(tmp_path: Path, budget: float) -> None:
    mine, alarm = quick(steps=5), AlarmConfig(budget_per_machine_day=budget)
    mine.set_budget(alarm).save(tmp_path / "m")
    loaded, raw = Detector.load(tmp_path / "m"), np.linspace(0, 50, 99)
    assert loaded.line_.to_card() == mine.line_.to_card()
    assert loaded.line_.p_value(raw).tobytes() == mine.line_.p_value(raw).tobytes()
    assert loaded.line_.static_score(raw).tobytes() == mine.line_.static_score(raw).tobytes()
    other = AlarmConfig(budget_per_machine_day=5000)
    assert loaded.set_budget(other).line_.line == mine.set_budget(other).line_.line


def test_loading_leaves_the_global_random_state_alone(saved: Path) -> None:
    before = torch.get_rng_state()
    Detector.load(saved)
    assert torch.equal(torch.get_rng_state(), before)


def test_saving_what_was_loaded_writes_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    Detector.load(saved).save(tmp_path / "again")
    for name in (CARD, WEIGHTS, ARRAYS):
        assert (tmp_path / "again" / name).read_bytes() == (saved / name).read_bytes()
    assert card_digest(saved) == card_digest(tmp_path / "again")


def test_the_card_is_readable_and_says_what_it_is(detector: Detector, tmp_path: Path) -> None:
    detector.save(tmp_path / "m", promoted="first of its group", effective_from=5)
    text = (tmp_path / "m" / CARD).read_text()
    assert len(text.splitlines()) > 40  # indented, for people
    card = orjson.loads(text)
    assert card["settings"]["model"] == "ae"
    assert card["index"] == "exact"
    assert card["sensors"][1]["name"] == "s1"
    assert card["sensors"][1]["unit"] == "bar"
    assert card["sensors"][1]["centre"] == pytest.approx(20, abs=0.5)
    assert card["history"]["from"] == "1970-01-01T00:00:00Z"
    assert card["history"]["to"] == "1970-01-01T00:16:00Z"  # 120 windows of 8 s
    assert len(card["history"]["sha256"]) == 64
    assert set(card["versions"]) == {"stream_ad", "python", "torch", "numpy"}
    assert (card["promoted"], card["effective_from"]) == ("first of its group", 5)
    assert Detector.load(tmp_path / "m").card["promoted"] == "first of its group"


@pytest.mark.parametrize("name", [CARD, WEIGHTS, ARRAYS])
def test_a_missing_file_is_not_found(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(ArtifactNotFound, match=name):
        Detector.load(saved)


def test_a_missing_folder_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ArtifactNotFound, match="nothing"):
        Detector.load(tmp_path / "nothing")
    with pytest.raises(ArtifactNotFound):
        card_digest(tmp_path / "nothing")


@pytest.mark.parametrize("name", [CARD, WEIGHTS, ARRAYS])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_corrupt(saved: Path, name: str, keep: float) -> None:
    file = saved / name
    file.write_bytes(file.read_bytes()[: int(keep * file.stat().st_size)])
    with pytest.raises(ArtifactCorrupt, match=f"{name}.*copy the whole folder again"):
        Detector.load(saved)


@pytest.mark.parametrize("name", [WEIGHTS, ARRAYS])
@pytest.mark.parametrize("place", [0, 100, -1])
def test_one_flipped_bit_is_corrupt(saved: Path, name: str, place: int) -> None:
    data = bytearray((saved / name).read_bytes())
    data[place] ^= 1
    (saved / name).write_bytes(data)
    with pytest.raises(ArtifactCorrupt, match=r"SHA-256.*: copy the whole folder again.*or train"):
        Detector.load(saved)


@pytest.mark.parametrize("name", [WEIGHTS, ARRAYS, CARD])
def test_files_of_another_detector_are_corrupt(saved: Path, name: str, tmp_path: Path) -> None:
    quick(seed=5, steps=5).save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / name, saved / name)
    with pytest.raises(ArtifactCorrupt, match="its card says"):
        Detector.load(saved)


@pytest.mark.parametrize(
    "changes",
    [
        {"settings": {}},
        {"settings": None},
        {"sensors": []},
        {"windows": {"length": 5}},
        {"line": {}},
        {"sensors": [{"name": "s0"}] * 9},
    ],
)
def test_a_card_that_does_not_fit_its_files_is_corrupt(
    saved: Path, changes: dict[str, object]
) -> None:
    rewrite_card(saved, **changes)
    with pytest.raises(ArtifactCorrupt, match=r"do not fit.*copy the whole folder again"):
        Detector.load(saved)


@pytest.mark.parametrize("key", ["settings", "windows", "sensors", "fit", "line"])
def test_a_card_without_a_part_is_corrupt_and_says_which(saved: Path, key: str) -> None:
    card = orjson.loads((saved / CARD).read_bytes())
    for spoiled in (card | {key: 3}, {name: card[name] for name in card if name != key}):
        (saved / CARD).write_bytes(sealed(spoiled))
        with pytest.raises(ArtifactCorrupt, match=rf"'{key}' is missing"):
            Detector.load(saved)


@pytest.mark.parametrize(
    ("name", "value"), [("scorer", "luck"), ("k", 0), ("model", None), ("max_extrapolation", "x")]
)
def test_a_card_with_an_impossible_setting_is_corrupt(
    saved: Path, name: str, value: object
) -> None:
    settings = orjson.loads((saved / CARD).read_bytes())["settings"]
    rewrite_card(saved, settings=settings | {name: value})
    with pytest.raises(ArtifactCorrupt, match=rf"detector\.{name} = "):
        Detector.load(saved)


@pytest.mark.parametrize("text", ["[]", "{}", '{"files": 3}'])
def test_some_other_json_is_not_a_card(saved: Path, text: str) -> None:
    (saved / CARD).write_text(text)
    with pytest.raises(ArtifactCorrupt, match="not the card"):
        Detector.load(saved)


def test_another_format_is_a_mismatch(saved: Path) -> None:
    rewrite_card(saved, format=99)
    with pytest.raises(ArtifactMismatch, match="99"):
        Detector.load(saved)


def test_an_artifact_is_replaced_as_a_whole(saved: Path, detector: Detector) -> None:
    (saved / "old.txt").write_text("of the old one")
    detector.save(saved)
    assert sorted(p.name for p in saved.iterdir()) == sorted([CARD, WEIGHTS, ARRAYS])
    assert [p.name for p in saved.parent.iterdir()] == ["model"]


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, detector: Detector) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="not an artifact"):
        detector.save(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_failed_write_leaves_the_old_artifact(
    saved: Path, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = card_digest(saved)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        detector.save(saved, promoted="never")
    assert card_digest(saved) == before
    assert [p.name for p in saved.parent.iterdir()] == ["model"]


def test_a_path_below_a_file_cannot_be_written(tmp_path: Path, detector: Detector) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "model"):
        with pytest.raises(OutputError):
            detector.save(path)


def test_arrays_come_back_bit_by_bit(tmp_path: Path) -> None:
    arrays = {
        "a": np.array([[1.5, np.nan], [np.inf, -0.0]]),
        "b": np.arange(6, dtype=np.int64).reshape(2, 3).T,
        "c": np.empty((0, 4), np.float32),
    }
    write_artifact(tmp_path / "x", {"who": "me"}, arrays, {})
    card, weights, nothing = read_artifact(tmp_path / "x")
    assert card["who"] == "me"
    assert nothing == {}
    for name, array in arrays.items():
        assert weights[name].dtype == array.dtype
        assert weights[name].tobytes() == np.ascontiguousarray(array).tobytes()
