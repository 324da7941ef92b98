"""Whatever stands in a file: one clear sentence, or a masked and counted value."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Key, alerts, good, metrics, refused, run, scores
from tests.cli.recordings import (
    HOP,
    LEARNED,
    LENGTH,
    MACHINES,
    SENSORS,
    STEPS,
    Row,
    text_of,
    time_of,
    write_config,
    write_csv,
)
from tests.cli.recordings import plant as rows_of_plant
from tests.conftest import Plant

Change = Callable[[list[Row]], None]
YEAR_2099 = 4_070_908_800_000


def place(machine: str, step: int) -> int:
    """Return the row of a machine's step."""
    return step * len(MACHINES) + MACHINES.index(machine)


def windows_over(machine: str, steps: range) -> set[Key]:
    """Return the windows that hold one of these steps."""
    starts = range(0, STEPS, HOP)
    return {(machine, text_of(s)) for s in starts if s < steps.stop and s + LENGTH > steps.start}


def replayed(plant: Plant, folder: Path, rows: list[Row]) -> tuple[dict[Key, Any], Any]:
    """Return the scores and metrics of changed rows under the plant's own detector."""
    file = write_csv(folder / "changed.csv", rows)
    good("replay", file, "-c", plant.scoring, "-o", folder / "out")
    return scores(folder / "out"), metrics(folder / "out")


def cell(value: object) -> Change:
    def change(rows: list[Row]) -> None:
        rows[place("m1", 203)][2] = value

    return change


@pytest.mark.parametrize(
    ("value", "counted"),
    [
        ("warm", {"not_a_number": 1}),
        ("true", {"not_a_number": 1}),
        ("1,5 bar", {"not_a_number": 1}),
        ("", {}),
        ("NaN", {}),
        ("inf", {}),
        ("-Infinity", {}),
        ("1e42", {"out_of_float32": 1}),
        ("-1e42", {"out_of_float32": 1}),
        ("1e999", {}),
        ("1e30", {}),
        ("-3.4e38", {}),
        ("1e-44", {}),
    ],
)
def test_a_strange_cell_touches_only_the_windows_over_it(
    plant: Plant, tmp_path: Path, value: str, counted: dict[str, int]
) -> None:
    rows = rows_of_plant()
    cell(value)(rows)
    found, said = replayed(plant, tmp_path, rows)
    touched = windows_over("m1", range(203, 204))
    assert found.keys() == plant.clean.keys()
    changed = {key for key in found if found[key] != plant.clean[key]}
    assert changed == touched
    assert {k: v for k, v in said["counts"].items() if k not in {"records", "late"}} == counted


@pytest.mark.parametrize("value", ["1e30", "-1e30", "-3.4e38"])
def test_an_enormous_value_is_scored_as_far_above_the_line(
    plant: Plant, tmp_path: Path, value: str
) -> None:
    rows = rows_of_plant()
    cell(value)(rows)
    found, _ = replayed(plant, tmp_path, rows)
    assert all(found[key][0] > 2 for key in windows_over("m1", range(203, 204)))


@pytest.mark.parametrize(
    ("at", "row", "counted"),
    [
        (place("m1", 200), ["m1", YEAR_2099, "0", "0", "0"], {"jump": 1}),
        (0, ["m1", YEAR_2099, "0", "0", "0"], {"jump": 1}),
        (3 * STEPS, ["m1", YEAR_2099, "0", "0", "0"], {"jump": 1}),
        (place("m1", 200), ["m1", time_of(50), "9", "9", "9"], {"late": 1}),
        (place("m1", 200), ["m1", 0, "9", "9", "9"], {"late": 1}),
        (place("m1", 200), ["m1", "soon", "9", "9", "9"], {"dead_letters": 1}),
        (place("m1", 200), ["m1", "", "9", "9", "9"], {"dead_letters": 1}),
        (place("m1", 200), ["m1", "1e999", "9", "9", "9"], {"dead_letters": 1}),
        (place("m1", 200), ["", time_of(200), "9", "9", "9"], {"dead_letters": 1}),
        (place("m1", 200), ["m1", time_of(200), "9", "9"], {"dead_letters": 1}),
        (place("m1", 200), ["m1", time_of(200), "9", "9", "9", "9"], {"dead_letters": 1}),
        (place("m1", 200), ["m4", time_of(200), "9", "9", "9"], {"jump": 1}),
    ],
    ids=[
        "2099",
        "2099 first",
        "2099 last",
        "backwards",
        "1970",
        "no time",
        "empty time",
        "endless time",
        "no machine",
        "too few cells",
        "too many cells",
        "one row of a machine",
    ],
)
def test_a_strange_row_is_counted_and_changes_no_score(
    plant: Plant, tmp_path: Path, at: int, row: Row, counted: dict[str, int]
) -> None:
    rows = rows_of_plant()
    rows.insert(at, row)
    found, said = replayed(plant, tmp_path, rows)
    assert found == plant.clean
    assert {k: said["counts"].get(k, 0) for k in counted} == counted
    lines = (tmp_path / "out" / "dead_letters.jsonl").read_text().splitlines()
    assert len(lines) == counted.get("dead_letters", 0)


def test_rows_given_twice_score_as_once(plant: Plant, tmp_path: Path) -> None:
    rows = list(itertools.chain.from_iterable(zip(rows_of_plant(), rows_of_plant(), strict=True)))
    found, _ = replayed(plant, tmp_path, rows)
    assert found == plant.clean


def test_of_two_rows_at_one_time_the_later_counts(plant: Plant, tmp_path: Path) -> None:
    rows = rows_of_plant()
    rows.insert(place("m1", 200), ["m1", time_of(200), "77", "77", "77"])
    found, _ = replayed(plant, tmp_path, rows)
    assert found == plant.clean


def test_a_file_in_reverse_is_late_and_scores_nothing_wrong(plant: Plant, tmp_path: Path) -> None:
    found, said = replayed(plant, tmp_path, rows_of_plant()[::-1])
    assert found.keys() <= plant.clean.keys()
    assert said["counts"]["late"] + said["counts"].get("jump", 0) >= 3 * (STEPS - 2)


def test_a_gap_of_days_leaves_what_came_before_and_other_machines_alone(
    plant: Plant, tmp_path: Path
) -> None:
    days = 3 * 1440  # steps; a multiple of the hop, so that windows fall alike
    rows = rows_of_plant()
    for row in rows[place("m1", 200) :]:
        if row[0] == "m1":
            row[1] += days * 60_000
    found, said = replayed(plant, tmp_path, rows)
    before = {k: v for k, v in plant.clean.items() if k[0] != "m1" or k[1] <= text_of(192)}
    assert {k: found[k] for k in before} == before
    # a window into which no reading falls is not made, and those after are the same as ever
    after = {(m, s) for m, s in found if m == "m1" and s >= text_of(200)}
    moved = {("m1", text_of(s + days)) for s in range(200, STEPS - LENGTH, HOP)}
    assert moved <= after <= moved | {("m1", text_of(200 + days - HOP)), ("m1", text_of(200))}
    for step in range(204, STEPS - LENGTH, HOP):
        assert found["m1", text_of(step + days)] == plant.clean["m1", text_of(step)]
    assert said["counts"].get("jump", 0) == 0


def test_one_row_per_machine_scores_nothing_and_says_so(plant: Plant, tmp_path: Path) -> None:
    rows = [[f"m{i}", time_of(200 + i), "0", "0", "0"] for i in range(500)]
    found, said = replayed(plant, tmp_path, rows)
    assert found == {}
    assert said["counts"] == {"jump": 500, "records": 500}


def test_one_row_per_machine_is_no_history(plant: Plant, tmp_path: Path) -> None:
    rows = [[f"m{i}", time_of(i), "0", "0", "0"] for i in range(500)]
    file = write_csv(tmp_path / "a.csv", rows)
    said = refused("replay", file, "-c", plant.learning, "-o", tmp_path / "out")
    assert "no window of history" in said
    assert "windows.length" in said


def test_ten_thousand_machines_take_seconds_and_score_alike(plant: Plant, tmp_path: Path) -> None:
    rows = [
        [f"m{i}", time_of(200 + step), "0.1", "-0.2", "0.05"]
        for step in (0, 3, 8)
        for i in range(10_000)
    ]
    started = time.monotonic()
    found, said = replayed(plant, tmp_path, rows)
    assert time.monotonic() - started < 40
    assert said["machines"] == 10_000
    assert len(found) == said["windows"]["scored"] == 20_000
    assert len(set(found.values())) == 2  # the same readings, so the same score of each window


# --- sensors that are not always there ---


def learned(folder: Path, rows: list[Row], name: str = "out", **sections: Any) -> Any:
    """Learn from the first half of the rows and score the second."""
    file = write_csv(folder / f"{name}.csv", rows)
    config = write_config(folder / f"{name}.yaml", **sections)
    until = LEARNED * len(MACHINES)
    good("replay", file, "-c", config, "-o", folder / name, "--train-until", until)
    return metrics(folder / name)


def with_first_sensor(value_at: Callable[[int], str]) -> list[Row]:
    rows = rows_of_plant()
    for row in rows:
        row[2] = value_at((row[1] - time_of(0)) // 60_000)
    return rows


def test_a_constant_sensor_leaves_scores_finite_and_shows_when_it_moves(tmp_path: Path) -> None:
    still = with_first_sensor(lambda _: "7")
    moved = with_first_sensor(lambda step: "9" if step >= 300 else "7")
    assert learned(tmp_path, still)["windows"]["scored"] == len(scores(tmp_path / "out"))
    learned(tmp_path, moved, "moved")
    one, other = scores(tmp_path / "out"), scores(tmp_path / "moved")
    over = set.union(*(windows_over(machine, range(300, STEPS)) for machine in MACHINES))
    assert {key for key in one if one[key] != other[key]} == over & one.keys()
    assert all(other[key][0] > max(1, one[key][0]) for key in over & other.keys())


def test_a_sensor_that_appears_after_the_history_neither_feeds_nor_scores(tmp_path: Path) -> None:
    never = learned(tmp_path, with_first_sensor(lambda _: ""))
    late = learned(tmp_path, with_first_sensor(lambda s: "50" if s >= 200 else ""), "late")
    assert scores(tmp_path / "out") == scores(tmp_path / "late")
    assert never["windows"] == late["windows"]
    assert never["windows"]["scored"] > 100


def test_a_sensor_that_vanishes_is_masked_and_the_others_still_find_the_fault(
    tmp_path: Path,
) -> None:
    said = learned(tmp_path, with_first_sensor(lambda s: "" if s >= 200 else "1"))
    assert said["windows"]["too_much_missing"] == 0
    found = [a for a in alerts(tmp_path / "out") if a["kind"] == "process"]
    assert any(a["machine_id"] == "m2" and a["sensors"][0]["name"] == "b" for a in found)
    assert any(a["kind"] == "data_quality" for a in alerts(tmp_path / "out"))


def test_windows_without_any_value_are_counted_and_not_scored(tmp_path: Path) -> None:
    rows = rows_of_plant()
    for row in rows[place("m1", 200) :]:
        row[2:] = ["", "", ""]
    said = learned(tmp_path, rows)
    full = set.union(*(windows_over(machine, range(212, STEPS)) for machine in MACHINES))
    assert not full & scores(tmp_path / "out").keys()
    assert said["windows"]["too_much_missing"] >= 3 * (STEPS - 216) // HOP


def test_all_sensors_without_a_value_are_no_history(plant: Plant, tmp_path: Path) -> None:
    rows = [[machine, at, "", "", ""] for machine, at, *_ in rows_of_plant()]
    file = write_csv(tmp_path / "a.csv", rows)
    said = refused("replay", file, "-c", plant.learning, "-o", tmp_path / "out")
    assert "window" in said


@pytest.mark.parametrize("rows", [1, 5, 3 * LENGTH - 1, 3 * LENGTH + 2])
def test_fewer_rows_of_history_than_a_window_are_refused(
    plant: Plant, tmp_path: Path, rows: int
) -> None:
    arguments = ("replay", plant.recording, "-c", plant.learning, "-o", tmp_path / "out")
    said = refused(*arguments, "--train-until", rows)
    assert "history" in said
    assert "--train-until" in said


def test_names_may_hold_anything_and_stay_data(tmp_path: Path) -> None:
    """Commas, quotes, line breaks and markup come back as they were and run nowhere."""
    odd = 'm2<script>alert("x")</script>,\n"=1+1"'
    sensors = ["<b>a</b>", "b;c", "c d"]
    rows = [[odd if machine == "m2" else machine, *rest] for machine, *rest in rows_of_plant()]
    file = write_csv(tmp_path / "odd.csv", rows, sensors)
    config = write_config(tmp_path / "odd.yaml", windows={"sensors": sensors})
    until = text_of(LEARNED - 1)  # the newest time among the rows that `learned` takes
    good("replay", file, "-c", config, "-o", tmp_path / "odd", "--train-until", until)
    learned(tmp_path, rows_of_plant())
    plain = scores(tmp_path / "out")
    renamed = {(odd if m == "m2" else m, start): value for (m, start), value in plain.items()}
    assert scores(tmp_path / "odd") == renamed
    assert {a["machine_id"] for a in alerts(tmp_path / "odd")} >= {odd}
    page = (tmp_path / "odd" / "report.html").read_text()
    assert "<script>alert" not in page
    assert "<b>a</b>" not in page
    assert "&lt;b&gt;a&lt;/b&gt;" in page


# --- files that are none ---


@pytest.mark.parametrize("verb", ["replay", "train"])
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", b"", ["the file is empty"]),
        ("blank.csv", b"\n\n\n", ["the file is empty"]),
        ("header.csv", b"machine_id,time,a,b,c\n", ["there is a header but no row"]),
        ("less.csv", b"machine_id,time,a,b\nm,1,2,3\n", ["no column 'c'", "the file has"]),
        ("other.csv", b"machine_id;time;a;b;c\nm;1;2;3;4\n", ["input.csv.delimiter: ';'"]),
        ("twice.csv", b"machine_id,time,a,a,b,c\nm,1,2,3,4,5\n", ["column 'a' stands there 2x"]),
        ("wide.csv", "machine_id,time,a,b,c\nm,1,2,3,4\n".encode("utf-16"), ["UTF-16"]),
        ("binary.csv", bytes(range(256)) * 40, ["column"]),
        ("empty.jsonl", b"", ["the file is empty"]),
        ("blank.jsonl", b"\n \n", ["the file has no record"]),
        ("list.jsonl", b"[1, 2]\n" * 30, ["no window of history", "30 not usable"]),
        ("bad.parquet", b"PAR1 this is none", ["cannot be read"]),
        ("empty.parquet", b"", ["the file is empty"]),
        ("a.xlsx", b"PK", ["allowed is a file that ends in", ".csv"]),
        ("broken.csv.gz", b"\x1f\x8b\x08 no", ["cannot be read"]),
    ],
)
def test_a_file_that_holds_nothing_usable_is_refused_with_its_name(
    plant: Plant, tmp_path: Path, verb: str, name: str, content: bytes, words: list[str]
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    said = refused(verb, file, "-c", plant.learning, "-o", tmp_path / "out")
    assert all(word in said for word in words), said
    assert name in said or "no window of history" in said


@pytest.mark.parametrize("verb", ["replay", "train", "init"])
def test_a_file_that_is_not_there_or_a_folder_is_refused(
    plant: Plant, tmp_path: Path, verb: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    more = () if verb == "init" else ("-c", plant.learning, "-o", tmp_path / "out")
    for name in ("absent.csv", "folder.csv"):
        assert name in refused(verb, tmp_path / name, *more)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("header.csv", b"machine_id,time,a\n"),
        ("words.csv", b"x,y\nhello,world\n" * 30),
        ("one.csv", b"time,a\n2024-01-01T00:00:00Z,1\n"),
        ("binary.csv", bytes(range(256)) * 40),
        ("list.jsonl", b"[1, 2]\n" * 30),
        ("bad.parquet", b"PAR1 this is none"),
    ],
)
def test_init_refuses_what_it_cannot_understand(tmp_path: Path, name: str, content: bytes) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    refused("init", file, "-c", tmp_path / "c.yaml")
    assert not (tmp_path / "c.yaml").exists()
    refused("replay", file, "-o", tmp_path / "out")


def test_a_truncated_parquet_file_is_refused(plant: Plant, tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table(
        {"machine_id": ["m"] * 99, "time": range(99), **{s: [0.5] * 99 for s in SENSORS}}
    )
    parquet.write_table(table, tmp_path / "whole.parquet")
    part = (tmp_path / "whole.parquet").read_bytes()[:-40]
    (tmp_path / "part.parquet").write_bytes(part)
    assert "part.parquet" in refused(
        "replay", tmp_path / "part.parquet", "-c", plant.learning, "-o", tmp_path / "out"
    )


def test_no_command_answers_an_unknown_option_with_a_traceback() -> None:
    for arguments in (["replay", "--nonsense"], ["replay"], ["nonsense"], ["config", "nonsense"]):
        answer = run(*arguments)
        assert answer.code == 2
        assert "Traceback" not in answer.err
