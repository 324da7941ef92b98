import csv
import json
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from simulators import Chunk, Factory
from simulators.dialect import Dialect
from simulators.records import reading_records, time_texts, time_zone, window_records
from simulators.stream import joined
from simulators.writers import WRITERS, write_csv, write_faults, write_jsonl, write_parquet

FACTORY = Factory(machines=2, sensors=4, seed=3, losses_per_day=20)
FAULTS = FACTORY.schedule(2, 1500 * 60.0)


def chunks(rows: int = 700) -> list[Chunk]:
    return list(FACTORY.readings(1500, faults=FAULTS, chunk_rows=rows))


WHOLE = joined(chunks())
NAMES = list(WHOLE.layout.sensor_names)
LABELLED = Dialect(label="label")


def read_csv(path: Path, delimiter: str = ",", decimal: str = ".") -> pa.Table:
    return pyarrow.csv.read_csv(
        path,
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter),
        convert_options=pyarrow.csv.ConvertOptions(decimal_point=decimal),
    )


def values_of(table: pa.Table) -> np.ndarray:
    return np.column_stack([table[name].to_numpy() for name in NAMES])


def test_the_stream_has_what_the_tests_are_about() -> None:
    assert np.isnan(WHOLE.values).any()
    assert 0 < WHOLE.label.mean() < 1


@pytest.mark.parametrize(
    ("delimiter", "decimal"), [(",", "."), (";", ","), ("\t", "."), ("|", ",")]
)
def test_csv_reads_back_equal_in_every_dialect(
    tmp_path: Path, delimiter: str, decimal: str
) -> None:
    path = tmp_path / "a.csv"
    dialect = Dialect(delimiter=delimiter, decimal=decimal, label="anomaly")
    assert write_csv(chunks(), path, dialect) == 3000
    table = read_csv(path, delimiter, decimal)
    assert table.column_names == ["time", "machine_id", *NAMES, "anomaly"]
    assert np.array_equal(values_of(table), WHOLE.values, equal_nan=True)
    assert table["machine_id"].to_pylist() == WHOLE.machine_id.tolist()
    assert table["anomaly"].to_pylist() == WHOLE.label.tolist()
    time = table["time"].cast(pa.timestamp("ns", "UTC")).cast(pa.int64())
    assert time.to_pylist() == WHOLE.time.tolist()


def test_without_a_label_there_is_no_label(tmp_path: Path) -> None:
    for name, write in WRITERS.items():
        write(chunks(), tmp_path / name, Dialect())
    assert read_csv(tmp_path / "csv").column_names[-1] == NAMES[-1]
    assert pyarrow.parquet.read_schema(tmp_path / "parquet").names[-1] == NAMES[-1]
    assert "label" not in (tmp_path / "jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["csv", "jsonl"])
def test_bytes_do_not_depend_on_chunks(tmp_path: Path, name: str) -> None:
    for number, rows in enumerate((1, 64, 5000)):
        WRITERS[name](chunks(rows), tmp_path / str(number), LABELLED)
    assert len({(tmp_path / str(number)).read_bytes() for number in range(3)}) == 1


def test_long_rows_are_the_values_that_were_delivered(tmp_path: Path) -> None:
    for name, write in WRITERS.items():
        write(chunks(), tmp_path / name, Dialect("long", label="label"))
    row, sensor = np.nonzero(~np.isnan(WHOLE.values))
    expected = {
        "time": WHOLE.time[row].tolist(),
        "machine_id": WHOLE.machine_id[row].tolist(),
        "sensor": np.array(NAMES)[sensor].tolist(),
        "value": WHOLE.values[row, sensor].tolist(),
        "label": WHOLE.label[row].tolist(),
    }
    lines = (tmp_path / "jsonl").read_text(encoding="utf-8").splitlines()
    tables = [
        read_csv(tmp_path / "csv"),
        pyarrow.parquet.read_table(tmp_path / "parquet"),
        pa.Table.from_pylist([json.loads(line) for line in lines]),
    ]
    for table in tables:
        time = table["time"].cast(pa.timestamp("ns", "UTC")).cast(pa.int64())
        place = table.column_names.index("time")
        assert table.set_column(place, "time", time).to_pydict() == expected


def test_jsonl_readings_read_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    assert write_jsonl(chunks(), path, LABELLED) == 3000
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    values = np.array([[r["values"][name] for name in NAMES] for r in records], dtype=float)
    assert np.array_equal(values, WHOLE.values, equal_nan=True)
    assert [r["time"] for r in records] == time_texts(WHOLE.time)
    assert [r["label"] for r in records] == WHOLE.label.tolist()
    assert set(records[0]) == {"machine_id", "time", "values", "label"}


def test_json_says_null_never_nan() -> None:
    text = json.dumps(list(reading_records(WHOLE)), allow_nan=False)
    assert text.count("null") == np.isnan(WHOLE.values).sum()


def test_parquet_reads_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    assert write_parquet(chunks(), path, LABELLED) == 3000
    table = pyarrow.parquet.read_table(path)
    assert table.schema.field("time").type == pa.timestamp("ns", "UTC")
    assert table["time"].cast(pa.int64()).to_pylist() == WHOLE.time.tolist()
    assert np.array_equal(values_of(table), WHOLE.values, equal_nan=True)
    assert sum(table[name].null_count for name in NAMES) == np.isnan(WHOLE.values).sum()
    assert table["label"].to_pylist() == WHOLE.label.tolist()


def test_local_times_follow_the_clock_change() -> None:
    # Clocks in Berlin went from 02:00 to 03:00 on 2024-03-31, which was 01:00 UTC.
    change = np.datetime64("2024-03-31T01:00", "ns").astype(np.int64)
    time = change + np.array([-60, 0], dtype=np.int64) * 10**9
    texts = time_texts(time, ZoneInfo("Europe/Berlin"))
    assert texts == ["2024-03-31T01:59:00", "2024-03-31T03:00:00"]


def test_local_times_in_files_have_no_mark(tmp_path: Path) -> None:
    dialect = Dialect(delimiter=";", decimal=",", zone=time_zone("Asia/Kolkata"))
    write_csv(chunks(), tmp_path / "a.csv", dialect)
    second = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()[1]
    assert second.startswith("2024-01-01T05:30:00;machine-01;")
    write_parquet(chunks(), tmp_path / "a.parquet", dialect)
    table = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    assert table.schema.field("time").type == pa.timestamp("ns")
    assert table["time"].cast(pa.int64())[0].as_py() - WHOLE.time[0] == 5.5 * 3600 * 10**9


@pytest.mark.parametrize(("period_s", "unit"), [(1.0, 1), (0.5, 5), (0.00025, 8)])
def test_times_have_the_digits_they_need(period_s: float, unit: int) -> None:
    factory = Factory(machines=1, sensors=1, period_s=period_s)
    chunk = next(factory.readings(8))
    texts = time_texts(chunk.time)
    assert {len(text) for text in texts} == {len("2024-01-01T00:00:00Z") + (unit - 1 and unit - 1)}
    parsed = [np.datetime64(text.removesuffix("Z"), "ns").astype(np.int64) for text in texts]
    assert parsed == chunk.time.tolist()


def test_windows_are_whole_masked_and_on_the_grid() -> None:
    length, period_ns = 7, 60 * 10**9
    records = list(window_records(chunks(300), length, label="label"))
    for machine in FACTORY.layout.machine_ids:
        rows = WHOLE[WHOLE.machine_id == machine]
        own = [record for record in records if record["machine_id"] == machine]
        first = int(-(rows.time[0] // period_ns) % length)
        assert len(own) == (len(rows) - first) // length
        for number, record in enumerate(own):
            part = rows[first + number * length : first + (number + 1) * length]
            missing = np.isnan(part.values)
            assert record["start"] == time_texts(part.time[:1])[0]
            assert part.time[0] % (length * period_ns) == 0
            assert record["period_s"] == 60.0
            assert record["sensors"] == NAMES
            assert np.array_equal(record["values"], np.where(missing, 0, part.values))
            assert np.array_equal(record.get("mask", np.zeros_like(missing)), missing)
            assert record["label"] == part.label.max()


def test_the_truth_lies_beside(tmp_path: Path) -> None:
    path = tmp_path / "a.faults.csv"
    write_faults(FAULTS, path, FACTORY.layout, FACTORY.start_ns)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["machine_id", "kind", "sensors", "start", "end", "severity"]
    labelled = np.zeros(len(WHOLE), dtype=bool)
    for row, fault in zip(rows, FAULTS, strict=True):
        assert (row["machine_id"], row["kind"]) == (fault.machine_id, fault.kind)
        assert row["sensors"].split() == list(fault.sensors or NAMES)
        assert float(row["severity"]) == fault.severity
        start, end = (np.datetime64(row[key].removesuffix("Z"), "ns") for key in ("start", "end"))
        time = WHOLE.time.astype("datetime64[ns]")
        labelled |= (time >= start) & (time < end) & (WHOLE.machine_id == row["machine_id"])
    assert not WHOLE.label[~labelled].any()
    assert WHOLE.label[labelled].any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"record": "table"}, "record: 'table' is not one of reading, long, window"),
        ({"decimal": "'"}, "decimal"),
        ({"decimal": ","}, "delimiter: ',' is not allowed beside decimal ','"),
        ({"delimiter": ";;"}, "delimiter: ';;'"),
        ({"delimiter": ""}, "delimiter: ''"),
        ({"label": "time"}, "label: 'time' is not allowed"),
        ({"label": "a,b"}, "label: 'a,b' is not allowed"),
        ({"window_length": 0}, "window_length: 0"),
    ],
)
def test_a_wrong_dialect_is_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Dialect(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_windows_are_json_only(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="jsonl only"):
        WRITERS[name](chunks(), tmp_path / "a", Dialect("window"))


def test_an_unknown_zone_is_named() -> None:
    with pytest.raises(ValueError, match="time zone 'Mars/Olympus' is not known"):
        time_zone("Mars/Olympus")
