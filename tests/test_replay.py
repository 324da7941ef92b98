"""Replays: the same bytes always, whatever the file's shape; folders, history, columns."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import orjson
import pyarrow as pa
import pytest
from pyarrow import parquet

from stream_ad.errors import OutputError
from stream_ad.transport.durable import Folder
from tests.cli.command import alerts, good, metrics, outputs, refused, scores
from tests.cli.recordings import (
    FAULT,
    HOP,
    LEARNED,
    LENGTH,
    MACHINES,
    PERIOD,
    SENSORS,
    Row,
    text_of,
    write_config,
    write_csv,
)
from tests.cli.recordings import plant as rows_of_plant
from tests.conftest import Plant


def test_the_same_file_twice_gives_the_same_bytes(plant: Plant, tmp_path: Path) -> None:
    for name in ("one", "two"):
        good("replay", plant.recording, "-c", plant.learning, "-o", tmp_path / name)
    assert outputs(tmp_path / "one") == outputs(tmp_path / "two")
    assert alerts(tmp_path / "one")
    assert len(scores(tmp_path / "one")) > 100


# --- the folder ---


def test_a_finished_folder_starts_anew_and_other_files_are_left_alone(
    plant: Plant, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = ("replay", plant.recording, "-c", plant.scoring, "-o", out)
    good(*arguments)
    first = outputs(out)
    (out / "notes.txt").write_text("mine")
    (out / "scores.csv").write_text("spoilt")
    again = good(*arguments)
    assert "goes on" not in again.err
    assert outputs(out) == first
    assert (out / "notes.txt").read_text() == "mine"


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("until", ["foo", "0", "3", "1704200000"])
def test_a_run_that_cannot_learn_leaves_a_finished_folder_as_it_was(
    plant: Plant, tmp_path: Path, until: str
) -> None:
    out = tmp_path / "out"
    arguments = ("replay", plant.recording, "-c", plant.learning, "-o", out)
    good(*arguments)
    before = files(out)
    assert before.keys() >= {"checkpoint.json", "model/card.json", *outputs(out)}
    refused(*arguments, "--train-until", until)
    assert files(out) == before


def test_a_run_without_detectors_leaves_a_finished_folder_as_it_was(
    plant: Plant, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    good("replay", plant.recording, "-c", plant.scoring, "-o", out)
    before = files(out)
    config = write_config(tmp_path / "c.yaml", registry={"uri": str(tmp_path / "nothing")})
    refused("replay", plant.recording, "-c", config, "-o", out)
    assert files(out) == before


def test_a_run_that_fails_before_its_first_commit_leaves_a_finished_folder_as_it_was(
    plant: Plant, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = ("replay", plant.recording, "-c", plant.scoring, "-o", out)
    good(*arguments)
    before = files(out)
    with mock.patch("stream_ad.pipeline.Pipeline.process", side_effect=OutputError("broken")):
        refused(*arguments)
    assert files(out) == before


def test_a_finished_folder_takes_another_run(plant: Plant, tmp_path: Path) -> None:
    out = tmp_path / "out"
    good("replay", plant.recording, "-c", plant.learning, "-o", out)
    good("replay", plant.recording, "-c", plant.scoring, "-o", out)
    assert scores(out) == plant.clean


@pytest.mark.parametrize("name", ["scores.csv", "alerts.jsonl"])
def test_a_run_never_writes_over_its_own_input(plant: Plant, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(plant.recording.read_bytes())
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    for out in (tmp_path, link):
        said = refused("replay", file, "-c", plant.scoring, "-o", out)
        assert f"would write {name}, its own input" in said
    assert file.read_bytes() == plant.recording.read_bytes()


def test_two_runs_at_once_in_one_folder_are_refused(plant: Plant, tmp_path: Path) -> None:
    out = tmp_path / "out"
    held = Folder(out)
    try:
        said = refused("replay", plant.recording, "-c", plant.scoring, "-o", out)
    finally:
        held.close()
    assert "another run is writing this folder" in said
    good("replay", plant.recording, "-c", plant.scoring, "-o", out)


def test_a_folder_that_cannot_be_written_is_refused(plant: Plant, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "deeper"):
        said = refused("replay", plant.recording, "-c", plant.scoring, "-o", out)
        assert "cannot be written" in said or "a file stands where a folder is wanted" in said
        assert "cannot" in refused("replay", plant.recording, "-o", out)
        assert "cannot" in refused("train", plant.recording, "-c", plant.learning, "-o", out)
    with pytest.raises(OutputError):
        Folder(tmp_path / "file")


# --- the same recording in other shapes ---


def as_csv(folder: Path, rows: list[Row]) -> tuple[Path, dict[str, Any]]:
    return write_csv(folder / "a.csv", rows), {}


def as_dialect(folder: Path, rows: list[Row]) -> tuple[Path, dict[str, Any]]:
    file = folder / "a.csv"
    with file.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out, delimiter=";")
        table.writerow(["Anlage", "Zeit", *SENSORS])
        for machine, at, *cells in rows:
            # Berlin is an hour ahead of UTC in January
            local = text_of((at - 1_704_067_200_000) / 60_000 + 60).removesuffix("Z")
            table.writerow(
                [machine, local.replace("T", " "), *(c.replace(".", ",") for c in cells)]
            )
    return file, {
        "fields": {"machine_id": "Anlage", "time": "Zeit"},
        "csv": {"delimiter": ";", "decimal": ","},
        "time_zone": "Europe/Berlin",
    }


def as_gzip(folder: Path, rows: list[Row]) -> tuple[Path, dict[str, Any]]:
    file = folder / "a.csv.gz"
    file.write_bytes(gzip.compress(write_csv(folder / "a.csv", rows).read_bytes()))
    return file, {}


def as_jsonl(folder: Path, rows: list[Row]) -> tuple[Path, dict[str, Any]]:
    file = folder / "a.jsonl"
    with file.open("wb") as out:
        for machine, at, *cells in rows:
            values = dict(zip(SENSORS, map(float, cells), strict=True))
            record = {"machine_id": machine, "time": at, "values": values}
            out.write(orjson.dumps(record) + b"\n")
    return file, {}


def as_others_jsonl(folder: Path, rows: list[Row]) -> tuple[Path, dict[str, Any]]:
    file = folder / "a.ndjson"
    with file.open("wb") as out:
        for machine, at, *cells in rows:
            values = dict(zip(SENSORS, cells, strict=True))
            record = {"dev": {"id": machine}, "ts": at // 1000, "unit": 5, **values}
            out.write(orjson.dumps(record) + b"\n")
    fields = {"machine_id": "dev.id", "time": "ts", "values": "."}
    return file, {"fields": fields, "time_unit": "s"}


def as_long(folder: Path, rows: list[Row]) -> tuple[Path, dict[str, Any]]:
    file = folder / "a.jsonl"
    with file.open("wb") as out:
        for machine, at, *cells in rows:
            for sensor, value in zip(SENSORS, cells, strict=True):
                record = {
                    "machine_id": machine,
                    "time": at,
                    "sensor": sensor,
                    "value": float(value),
                }
                out.write(orjson.dumps(record) + b"\n")
    return file, {"format": "long"}


def as_parquet(folder: Path, rows: list[Row]) -> tuple[Path, dict[str, Any]]:
    columns = list(zip(*rows, strict=True))
    table = pa.table(
        {
            "machine_id": pa.array(columns[0]).dictionary_encode(),
            "time": pa.array(columns[1], pa.int64()).cast(pa.timestamp("ms", "UTC")),
            **{s: pa.array(map(float, c)) for s, c in zip(SENSORS, columns[2:], strict=True)},
        }
    )
    parquet.write_table(table, folder / "a.parquet", row_group_size=100)
    return folder / "a.parquet", {}


SHAPES = [as_csv, as_dialect, as_gzip, as_jsonl, as_others_jsonl, as_long, as_parquet]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_a_recording_gives_the_same_bytes(
    plant: Plant,
    tmp_path: Path,
    shape: Callable[[Path, list[Row]], tuple[Path, dict[str, Any]]],
) -> None:
    file, section = shape(tmp_path, rows_of_plant())
    config = write_config(tmp_path / "c.yaml", input=section, registry={"uri": str(plant.registry)})
    good("replay", file, "-c", config, "-o", tmp_path / "out")
    whole = plant.recording.parent / "clean"
    for name in ("scores.csv", "alerts.jsonl"):
        assert (tmp_path / "out" / name).read_bytes() == (whole / name).read_bytes()


@pytest.fixture(scope="session")
def from_csv(plant: Plant, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Return scores and alerts of a replay that learns from the CSV file."""
    out = tmp_path_factory.mktemp("learned")
    until = text_of(LEARNED)
    good("replay", plant.recording, "-c", plant.learning, "-o", out, "--train-until", until)
    return results(out)


def results(out: Path) -> tuple[bytes, bytes]:
    return (out / "scores.csv").read_bytes(), (out / "alerts.jsonl").read_bytes()


@pytest.mark.parametrize("shape", SHAPES[3:])
def test_learning_from_another_shape_gives_the_same_bytes(
    tmp_path: Path,
    from_csv: tuple[bytes, bytes],
    shape: Callable[[Path, list[Row]], tuple[Path, dict[str, Any]]],
) -> None:
    file, section = shape(tmp_path, rows_of_plant())
    config = write_config(tmp_path / "c.yaml", input=section)
    good("replay", file, "-c", config, "-o", tmp_path / "out", "--train-until", text_of(LEARNED))
    assert results(tmp_path / "out") == from_csv


def one_after_another(rows: list[Row]) -> list[Row]:
    return [row for machine in MACHINES[::-1] for row in rows if row[0] == machine]


def at_random(rows: list[Row]) -> list[Row]:
    rng = np.random.default_rng(5)
    left = {machine: [row for row in rows if row[0] == machine] for machine in MACHINES}
    drawn = rng.permutation([row[0] for row in rows])
    return [left[str(machine)].pop(0) for machine in drawn]


@pytest.mark.parametrize("order", [one_after_another, at_random])
def test_machines_mixed_anew_give_the_same_bytes(
    plant: Plant,
    tmp_path: Path,
    from_csv: tuple[bytes, bytes],
    order: Callable[[list[Row]], list[Row]],
) -> None:
    """Each machine's rows keep their order; which machine comes when does not matter."""
    file = write_csv(tmp_path / "mixed.csv", order(rows_of_plant()))
    out = tmp_path / "out"
    good("replay", file, "-c", plant.learning, "-o", out, "--train-until", text_of(LEARNED))
    assert results(out) == from_csv


# --- the end of history ---


def test_windows_that_end_within_the_history_are_not_scored(plant: Plant, tmp_path: Path) -> None:
    until = text_of(LEARNED)
    out = tmp_path / "out"
    good("replay", plant.recording, "-c", plant.learning, "-o", out, "--train-until", until)
    assert min(start for _, start in scores(out)) == text_of(LEARNED - 4)
    windows = metrics(out)["windows"]
    assert windows["scored"] == len(scores(out))
    assert windows["before_model"] + windows["scored"] == windows["closed"]
    # the first of each machine begins half a window before its first reading
    assert windows["before_model"] == 3 * LEARNED // 4


def test_rows_and_their_newest_time_are_the_same_history(plant: Plant, tmp_path: Path) -> None:
    for name, until in (("rows", 3 * LEARNED), ("time", text_of(LEARNED - 1))):
        out = tmp_path / name
        good("replay", plant.recording, "-c", plant.learning, "-o", out, "--train-until", until)
    assert outputs(tmp_path / "rows") == outputs(tmp_path / "time")


@pytest.mark.parametrize("until", ["soon", "0", "-5", "", "1.5.2024", "2024-13-01T00:00:00Z"])
def test_an_end_of_history_that_is_none_is_refused(
    plant: Plant, tmp_path: Path, until: str
) -> None:
    arguments = (plant.recording, "-c", plant.learning, "-o", tmp_path / "out")
    assert "--train-until" in refused("replay", *arguments, f"--train-until={until}")
    assert "--train-until" in refused("train", *arguments, f"--train-until={until}")


def test_a_history_beyond_the_file_leaves_nothing_to_score_and_says_so(
    plant: Plant, tmp_path: Path
) -> None:
    out, until = tmp_path / "out", "2030-01-01T00:00:00Z"
    answer = good(
        "replay", plant.recording, "-c", plant.learning, "-o", out, "--train-until", until
    )
    assert scores(out) == {}
    assert "nothing was scored" in answer.out


# --- columns named on the command line ---


def test_columns_of_the_command_line_are_laid_over_the_config(plant: Plant, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    text = plant.recording.read_text()
    file.write_text(text.replace("machine_id,time,", "unit,stamp,", 1))
    named = ("--time-column", "stamp", "--machine-column", "unit")
    good("replay", file, "-c", plant.scoring, "-o", tmp_path / "out", *named)
    assert scores(tmp_path / "out") == plant.clean


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--label-column", "a"], "a column that is not a sensor"),
        (["--label-column", "time"], "a column that is not a sensor, time or machine"),
        (["--label-column", "machine_id"], "a column that is not a sensor, time or machine"),
        (["--label-column", "fault"], "fault"),
        (["--time-zone", "Mars/Olympus"], "Mars/Olympus"),
        (["--time-column", "a"], "time"),
        (["--machine-column", "time"], "time"),
        (["--time-column", "nowhere"], "nowhere"),
    ],
    ids=" ".join,
)
def test_options_that_name_something_else_are_refused(
    plant: Plant, tmp_path: Path, options: list[str], words: str
) -> None:
    arguments = ("replay", plant.recording, "-c", plant.scoring, "-o", tmp_path / "out")
    assert words in refused(*arguments, *options)


# --- planned stops ---


def with_stop(plant: Plant, path: Path, machines: str) -> Path:
    """Write the scoring settings with a stop while the fault of the plant lasts."""
    steps = FAULT[1]
    stop = {"machines": machines, "from": text_of(steps.start), "to": text_of(steps.stop)}
    return write_config(
        path,
        registry={"uri": str(plant.registry)},
        alarm={"budget_per_machine_day": 50, "mute": [stop]},
    )


def test_a_stop_of_other_machines_changes_no_byte(plant: Plant, tmp_path: Path) -> None:
    config = with_stop(plant, tmp_path / "c.yaml", "mill-*")
    for name, settings in (("with", config), ("without", plant.scoring)):
        good("replay", plant.recording, "-c", settings, "-o", tmp_path / name)
    assert outputs(tmp_path / "with") == outputs(tmp_path / "without")
    assert metrics(tmp_path / "with") == metrics(tmp_path / "without")


def test_a_fault_within_a_stop_is_scored_and_not_told(plant: Plant, tmp_path: Path) -> None:
    """With a column named on the command line, so that the settings are read twice."""
    config, out = with_stop(plant, tmp_path / "c.yaml", "m[12]"), tmp_path / "out"
    answer = good("replay", plant.recording, "-c", config, "-o", out, "--time-column", "time")
    good("replay", plant.recording, "-c", plant.scoring, "-o", tmp_path / "plain")
    machine, steps = FAULT
    stopped = [text_of(step) for step in range(steps.start - LENGTH + HOP, steps.stop, HOP)]
    for folder, told in ((out, False), (tmp_path / "plain", True)):
        opened = [e for e in alerts(folder) if e["machine_id"] == machine and e["score"]]
        assert any(event["window_start"] in stopped for event in opened) == told
    assert scores(out) == plant.clean
    with (out / "scores.csv").open() as file:
        alarms = {
            (r["machine_id"], r["window_start"]) for r in csv.DictReader(file) if r["alarm"] == "1"
        }
    assert alarms
    assert not alarms & {(name, start) for name in ("m1", "m2") for start in stopped}
    said, plain = metrics(out), metrics(tmp_path / "plain")
    assert said["windows"] == plain["windows"] | {"muted": 2 * len(stopped)}
    lost = 2 * len(stopped) * HOP * PERIOD / 86_400
    days = plain["budget"]["scored_machine_days"] - said["budget"]["scored_machine_days"]
    assert days == pytest.approx(lost)
    assert f"{2 * len(stopped)} of them muted" in answer.out
    assert "windows muted" in (out / "report.html").read_text()


def test_a_stop_within_the_history_teaches_nothing(plant: Plant, tmp_path: Path) -> None:
    stop = {"from": text_of(0), "to": text_of(LEARNED // 2)}
    config = write_config(tmp_path / "c.yaml", alarm={"mute": [stop]})
    until = text_of(LEARNED)
    answer = good(
        *("train", plant.recording, "-c", config, "-o", tmp_path / "r", "--train-until", until)
    )
    # of the 40 windows of each machine those that start from -4 to 76 overlap the stop
    assert "history: 57 windows" in answer.err
    assert "63 muted ones left out" in answer.err
