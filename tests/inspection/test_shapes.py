from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stream_ad.errors import InputError
from stream_ad.inspection import Inspection, inspect
from stream_ad.transport.files import open_source
from stream_ad.windows import WindowSpec
from tests.inspection.files import csv, flow, iso, jsonl, parquet, temp, times

N = 240


def names(found: Inspection) -> list[str]:
    return [sensor.name for sensor in found.config().windows.sensors]


def used(path: Path, found: Inspection) -> int:
    """Return how many records a replay with the written config reads, none of them dead."""
    config = found.config()
    batches = list(open_source(path, config, WindowSpec.from_config(config.windows)).batches())
    assert not [letter for batch in batches for letter in batch.dead]
    return sum(len(batch.records) for batch in batches)


def says(found: Inspection, *words: str) -> bool:
    return any(all(word in note for word in words) for note in found.notes)


def test_reading_records_of_our_own(tmp_path: Path) -> None:
    records = (
        {"machine_id": f"m{n % 2}", "time": t, "values": {"temp": v, "flow": v}}
        for n, (t, v) in enumerate(zip(iso(N), temp(N), strict=True))
    )
    path = jsonl(tmp_path / "a.jsonl", records)
    found = inspect(path)
    fields = found.config().input.fields
    assert (fields.machine_id, fields.time, fields.values) == ("machine_id", "time", "values")
    assert names(found) == ["temp", "flow"]
    assert used(path, found) == N


def test_flat_records_with_foreign_names(tmp_path: Path) -> None:
    records = (
        {"deviceId": "p-1", "ts": int(t.timestamp() * 1000), "temp": v, "note": "ok"}
        for t, v in zip(times(N), temp(N), strict=True)
    )
    path = jsonl(tmp_path / "a.ndjson", records)
    found = inspect(path)
    fields = found.config().input.fields
    assert (fields.machine_id, fields.time, fields.values) == ("deviceId", "ts", ".")
    assert names(found) == ["temp"]
    assert says(found, "text", "note (ok)")
    assert used(path, found) == N


def test_nested_records_become_dotted_paths(tmp_path: Path) -> None:
    records = (
        {"meta": {"device": {"id": 7}, "seq": 3}, "data": {"when": t, "m": {"a": v, "b": v}}}
        for t, v in zip(iso(N), temp(N), strict=True)
    )
    path = jsonl(tmp_path / "a.jsonl", records)
    found = inspect(path)
    fields = found.config().input.fields
    assert (fields.machine_id, fields.time) == ("meta.device.id", "data.when")
    assert (fields.values, names(found)) == ("data.m", ["a", "b"])
    assert says(found, "`meta.seq`", "`data.m`")
    assert used(path, found) == N


def long_rows(count: int) -> list[dict[str, Any]]:
    return [
        {"asset": "p", "tag": tag, "ts": t, "val": v, "quality": q}
        for t, v, q in zip(iso(count), temp(count), ["Good"] * (count - 1) + ["Bad"], strict=True)
        for tag in ("temp", "flow", "rpm")
    ]


def test_long_json_with_foreign_names_and_quality(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", long_rows(N))
    found = inspect(path)
    settings = found.config().input
    assert settings.format == "long"
    assert (settings.fields.machine_id, settings.fields.time) == ("asset", "ts")
    assert (settings.fields.sensor, settings.fields.value) == ("tag", "val")
    assert (settings.fields.quality, settings.good_quality) == ("quality", ("Good",))
    assert names(found) == ["flow", "rpm", "temp"]
    assert found.config().windows.period_s == 60
    assert used(path, found) == 3 * N


def test_long_csv(tmp_path: Path) -> None:
    rows = long_rows(N)
    header = ["machine", "time", "sensor", "value"]
    columns = [[row[key] for row in rows] for key in ("asset", "ts", "tag", "val")]
    path = csv(tmp_path / "a.csv", header, columns, delimiter=";", decimal=",")
    found = inspect(path)
    assert found.config().input.format == "long"
    assert found.config().input.csv.decimal == ","
    assert names(found) == ["flow", "rpm", "temp"]
    assert used(path, found) == 3 * N


def test_the_unit_column_of_a_long_file_is_no_machine(tmp_path: Path) -> None:
    rows = long_rows(N)
    units = {"temp": "C", "flow": "l/min", "rpm": "1/min"}
    header = ["time", "tag", "value", "unit"]
    columns = [[row[key] for row in rows] for key in ("ts", "tag", "val")]
    columns.append([units[row["tag"]] for row in rows])
    found = inspect(csv(tmp_path / "a.csv", header, columns))
    assert found.config().input.fields.machine_id is None
    assert found.config().input.format == "long"


def test_tags_that_never_hold_a_number_are_no_sensors(tmp_path: Path) -> None:
    rows = [(t, tag, v) for t in iso(N) for tag, v in (("temp", 1.5), ("mode", "auto"))]
    columns = [list(column) for column in zip(*rows, strict=True)]
    found = inspect(csv(tmp_path / "a.csv", ["time", "tag", "value"], columns))
    assert names(found) == ["temp"]
    assert says(found, "never a number", "`mode`")


def test_a_slow_tag_gets_a_gap_of_its_own(tmp_path: Path) -> None:
    rows = [
        (t, tag, v)
        for n, (t, v) in enumerate(zip(iso(600, 1.0), temp(600), strict=True))
        for tag in (("a", "b", "slow") if n % 10 == 0 else ("a", "b"))
    ]
    columns = [list(column) for column in zip(*rows, strict=True)]
    windows = inspect(csv(tmp_path / "a.csv", ["time", "tag", "value"], columns)).config().windows
    assert windows.period_s == 1
    assert {s.name: s.max_gap_s for s in windows.sensors} == {"a": None, "b": None, "slow": 10}


def test_a_wide_file_with_a_column_called_value_is_no_long_file(tmp_path: Path) -> None:
    columns = [iso(N), temp(N), ["x"] * N]
    found = inspect(csv(tmp_path / "a.csv", ["timestamp", "value", "name"], columns))
    assert found.config().input.format == "reading"
    assert names(found) == ["value"]


@pytest.mark.parametrize(
    ("codes", "good"),
    [([192, 192, 0], (192,)), ([192, 216, 24], (192, 216)), ([0, 0, 2147483648], (0,))],
)
def test_quality_numbers_of_opc(tmp_path: Path, codes: list[int], good: tuple[int, ...]) -> None:
    rows = [(t, tag, 1.5, codes[n % 3]) for n, t in enumerate(iso(N)) for tag in "ab"]
    columns = [list(column) for column in zip(*rows, strict=True)]
    found = inspect(csv(tmp_path / "a.csv", ["time", "tag", "value", "quality"], columns))
    assert found.config().input.good_quality == good


def test_unknown_quality_codes_are_noted_and_not_used(tmp_path: Path) -> None:
    rows = [(t, tag, 1.5, "X17") for t in iso(N) for tag in "ab"]
    columns = [list(column) for column in zip(*rows, strict=True)]
    found = inspect(csv(tmp_path / "a.csv", ["time", "tag", "value", "quality"], columns))
    assert found.config().input.good_quality is None
    assert says(found, "`quality`", "not known")


def window_record(start: str, length: int) -> dict[str, Any]:
    rows = [[float(n), n / 2] for n in range(length)]
    record = {"machine_id": "m", "start": start, "period_s": 5, "sensors": ["a", "b"]}
    return record | {"values": rows}


def test_window_records(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", (window_record(t, 48) for t in iso(40)))
    found = inspect(path)
    config = found.config()
    assert config.input.format == "window"
    windows = config.windows
    assert (windows.period_s, windows.length, windows.hop) == (5, 48, 12)
    assert names(found) == ["a", "b"]
    assert used(path, found) == 40


def test_asked_columns_of_window_records(tmp_path: Path) -> None:
    records = [window_record(t, 48) | {"trip": n > 30} for n, t in enumerate(iso(40))]
    path = jsonl(tmp_path / "a.jsonl", records)
    assert inspect(path, label_column="trip").label_columns == ["trip"]
    with pytest.raises(InputError, match="--label-column 'nope': no such column"):
        inspect(path, label_column="nope")


def test_windows_whose_start_no_config_can_name_are_refused(tmp_path: Path) -> None:
    records = [window_record(t, 48) for t in iso(40)]
    path = jsonl(tmp_path / "a.jsonl", ({"time": r.pop("start")} | r for r in records))
    for asked in (None, "time"):
        with pytest.raises(InputError, match="no readable start; allowed is `start`"):
            inspect(path, time_column=asked)


def test_one_column_is_not_time_and_machine(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", (window_record(t, 48) for t in iso(40)))
    with pytest.raises(InputError, match="both name 'start'"):
        inspect(path, time_column="start", machine_column="start")


def test_parquet_with_timestamps_and_dictionaries(tmp_path: Path) -> None:
    columns = {
        "recorded": pa.array(times(N), pa.timestamp("us", "UTC")),
        "machine": pa.array(["m1", "m2"] * (N // 2)).dictionary_encode(),
        "temp": pa.array(temp(N), pa.float32()),
        "running": pa.array([True] * N),
        "spectrum": pa.array([[1.0, 2.0]] * N),
    }
    path = parquet(tmp_path / "a.parquet", columns)
    found = inspect(path)
    fields = found.config().input.fields
    assert (fields.machine_id, fields.time) == ("machine", "recorded")
    assert names(found) == ["temp"]
    assert says(found, "true or false", "`running`")
    assert says(found, "lists", "`spectrum`")
    assert used(path, found) == N


def test_long_parquet(tmp_path: Path) -> None:
    rows = long_rows(N)
    columns = {key: [row[key] for row in rows] for key in ("asset", "tag", "ts", "val", "quality")}
    path = parquet(tmp_path / "a.parquet", columns)
    found = inspect(path)
    assert found.config().input.format == "long"
    assert names(found) == ["flow", "rpm", "temp"]
    assert used(path, found) == 3 * N


@pytest.mark.parametrize(
    "name", ["machine", "Machine_ID", "deviceId", "asset no", "Unit", "line", "host", "Anlage"]
)
def test_machine_columns_are_found_by_name(tmp_path: Path, name: str) -> None:
    columns = [iso(N), ["p1", "p2"] * (N // 2), temp(N)]
    found = inspect(csv(tmp_path / "a.csv", ["time", name, "temp"], columns))
    assert found.config().input.fields.machine_id == name


def test_numbered_machines_are_found(tmp_path: Path) -> None:
    columns = [iso(N), [1, 2, 3] * (N // 3), temp(N)]
    found = inspect(csv(tmp_path / "a.csv", ["time", "unit", "temp"], columns))
    assert found.config().input.fields.machine_id == "unit"
    assert names(found) == ["temp"]


def test_a_measured_column_named_like_a_machine_is_a_sensor(tmp_path: Path) -> None:
    columns = [iso(N), [0, 1] * (N // 2), [round(v, 1) for v in temp(N)]]
    found = inspect(csv(tmp_path / "a.csv", ["time", "pump", "line"], columns))
    assert found.config().input.fields.machine_id is None
    assert names(found) == ["pump", "line"]


def test_a_text_column_that_makes_times_unique_names_the_machine(tmp_path: Path) -> None:
    stamps = [t for t in iso(N) for _ in range(3)]
    columns = [stamps, ["nord", "mitte", "süd"] * N, temp(3 * N)]
    found = inspect(csv(tmp_path / "a.csv", ["time", "Halle", "temp"], columns))
    assert found.config().input.fields.machine_id == "Halle"


def test_the_asked_machine_column_is_taken(tmp_path: Path) -> None:
    columns = [iso(N), ["a"] * N, ["x", "y"] * (N // 2), temp(N)]
    path = csv(tmp_path / "a.csv", ["time", "machine", "area", "temp"], columns)
    assert inspect(path, machine_column="area").config().input.fields.machine_id == "area"
    with pytest.raises(InputError, match="--machine-column 'aera'"):
        inspect(path, machine_column="aera")


@pytest.mark.parametrize(
    "name", ["anomaly", "is_anomaly", "label", "fault", "changepoint", "outlier", "Normal/Attack"]
)
@pytest.mark.parametrize("cells", [("0", "1"), ("0.0", "1.0"), ("Normal", "Attack")])
def test_labels_are_no_sensors(tmp_path: Path, name: str, cells: tuple[str, str]) -> None:
    marks = [cells[n > 200] for n in range(N)]
    found = inspect(csv(tmp_path / "a.csv", ["time", name, "temp"], [iso(N), marks, temp(N)]))
    assert names(found) == ["temp"]
    assert found.label_columns == [name]
    assert f"--label-column {name}" in found.to_yaml()


def test_a_measured_column_named_like_a_label_is_a_sensor(tmp_path: Path) -> None:
    columns = [iso(N), [math.sin(n) for n in range(N)]]
    found = inspect(csv(tmp_path / "a.csv", ["time", "fault"], columns))
    assert (names(found), found.label_columns) == (["fault"], [])


def test_the_asked_label_column_is_no_sensor(tmp_path: Path) -> None:
    columns = [iso(N), [n > 200 for n in range(N)], [float(n > 99) for n in range(N)], temp(N)]
    path = csv(tmp_path / "a.csv", ["time", "anomaly", "trip", "temp"], columns)
    found = inspect(path, label_column="trip")
    assert (names(found), found.label_columns) == (["temp"], ["trip", "anomaly"])


def test_what_is_no_sensor_is_left_out_and_said(tmp_path: Path) -> None:
    header = ["time", "row", "comment", "dead", "fixed", "temp", "flow"]
    odd = [*flow(N - 2), "Bad", "Err"]
    columns = [iso(N), range(N), ["fine"] * N, [None] * N, [5.0] * N, temp(N), odd]
    found = inspect(csv(tmp_path / "a.csv", header, columns))
    assert names(found) == ["fixed", "temp", "flow"]
    assert says(found, "counting rows", "`row`")
    assert says(found, "text", "comment (fine)")
    assert says(found, "empty", "`dead`")
    assert says(found, "constant", "`fixed`")
    assert says(found, "no numbers", "flow (2, such as Bad)")


def test_rows_counted_per_machine_are_no_sensor(tmp_path: Path) -> None:
    columns = [iso(N), ["a", "b"] * (N // 2), [n // 2 for n in range(N)], temp(N)]
    found = inspect(csv(tmp_path / "a.csv", ["time", "machine", "cycle", "temp"], columns))
    assert names(found) == ["temp"]


def test_an_index_column_without_a_name_is_no_sensor(tmp_path: Path) -> None:
    found = inspect(csv(tmp_path / "a.csv", ["", "time", "temp"], [range(N), iso(N), temp(N)]))
    assert names(found) == ["temp"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "empty"),
        ("a.csv", "\n\n", "empty"),
        ("a.csv", "time,temp\n", r"header \(`time`, `temp`\) but no row"),
        ("a.csv", "x,y\n1.5,2.5\n3.5,4.5\n", "no column of times among `x`, `y`"),
        ("a.csv", "time,mode\n2024-01-01,on\n2024-01-02,off\n", "no column of numbers"),
        ("a.csv", "clock,y\n10:00,2.5\n10:01,4.5\n", "without a date"),
        ("a.csv", "time,y\nsoon,2.5\nlate,4.5\n", "'time' is named like one.*'soon'"),
        ("a.jsonl", "\n", "empty"),
        ("a.jsonl", '[{"a": 1},\n{"a": 2}]\n', "JSON array.*jq"),
        ("a.jsonl", "time,temp\n1,2\n", "no line is a JSON object"),
        ("a.parquet", "time,temp\n1,2\n", "Parquet"),
        ("a.xlsx", "PK", r"ends in \.csv"),
        ("a.csv", "time,y\n2024-01-01,2.5\n2024-01-01,4.5\n", "one time only"),
        ("a.csv", "time,machine,y\n2024-01-01,a,2\n2024-01-02,b,4\n", "each 'machine' has one"),
    ],
)
def test_files_without_a_stream_are_refused(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        inspect(path)


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: cannot be read"):
        inspect(tmp_path / "none.csv")


def test_an_empty_parquet_table_is_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", {"time": pa.array([], pa.int64())})
    with pytest.raises(InputError, match="no row"):
        inspect(path)


def test_broken_lines_are_counted(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path / "a.jsonl", ({"t": t, "x": v} for t, v in zip(iso(N), temp(N), strict=True))
    )
    path.write_text(path.read_text() + '{"t": \n[1]\n')
    assert says(inspect(path), f"2 of {N + 2} lines are no JSON object")
