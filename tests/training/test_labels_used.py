"""A replay says what became of the labels that it was given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stream_ad.records import LabelRecord
from stream_ad.transport.label_records import append_label
from tests.cli.command import alerts, good, metrics
from tests.cli.recordings import LEARNED, MACHINES, plant, text_of, write_config, write_csv


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("labels") / "p.csv", plant())


def label(name: int, machine: str, at: int, **more: Any) -> LabelRecord:
    return LabelRecord(
        incident_id=f"{name:016x}",
        label="normal",
        machine_id=machine,
        machine_group="default",
        started_at=text_of(200),
        ended_at=text_of(220),
        labelled_at=text_of(at),
        **more,
    )


def replayed(recording: Path, folder: Path, said: list[LabelRecord], **training: Any) -> Any:
    config = write_config(
        folder / "c.yaml", detector={"model": "linear", "scorer": "error"}, training=training
    )
    (folder / "labels.jsonl").touch()
    for one in said:
        append_label(folder / "labels.jsonl", one)
    options = ("-o", folder / "out", "--train-until", LEARNED * len(MACHINES))
    return good("replay", recording, "-c", config, *options, "--labels", folder / "labels.jsonl")


def test_labels_that_nothing_learns_from_are_told_at_once(recording: Path, tmp_path: Path) -> None:
    answer = replayed(recording, tmp_path, [label(1, "m1", 230), label(2, "m1", 240)])
    assert "the labels will not be used: nothing says when to train anew" in answer.err + answer.out
    assert "labels: 0 of 2 learned from, 2 without a training after them" in answer.out
    assert metrics(tmp_path / "out")["labels"] == {
        "given": 2,
        "used": 0,
        "no_such_machine": 0,
        "after_the_end": 0,
        "no_training_after": 2,
        "no_such_incident": 2,
    }


def test_labels_of_what_the_recording_does_not_have_are_told(
    recording: Path, tmp_path: Path
) -> None:
    first = tmp_path / "first"
    first.mkdir()
    replayed(recording, first, [])
    real = next(one for one in alerts(first / "out") if one["event"] == "opened")
    known = label(int(real["incident_id"], 16), real["machine_id"], 265)
    said = [
        known.model_copy(update={"started_at": real["started_at"], "ended_at": None}),
        label(2, "m1", 260),
        label(3, "press-9", 230),
        label(4, "m3", 100_000),
    ]
    answer = replayed(recording, tmp_path, said, every_windows=40, min_windows=10)
    counts = metrics(tmp_path / "out")["labels"]
    assert counts == {
        "given": 4,
        "used": 2,
        "no_such_machine": 1,
        "after_the_end": 1,
        "no_training_after": 0,
        "no_such_incident": 2,
    }
    line = (
        "2 of 4 learned from, 1 of machines that the recording does not have, "
        "1 count from after its end"
    )
    assert f"labels: {line}" in answer.out
    assert "will not be used" not in answer.err + answer.out
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert f"Labels: {line}." in report
    assert "2 labels name incidents that did not open in this run" in report


def test_without_labels_nothing_is_said_of_them(recording: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.yaml", detector={"model": "linear", "scorer": "error"})
    answer = good("replay", recording, "-c", config, "-o", tmp_path / "out")
    assert "labels:" not in answer.out
    assert "labels will not" not in answer.err + answer.out
    assert "labels" not in metrics(tmp_path / "out")
