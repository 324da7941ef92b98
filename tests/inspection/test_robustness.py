from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stream_ad.errors import InputError
from stream_ad.inspection import inspect
from stream_ad.inspection.csv_sample import sample_csv
from stream_ad.inspection.json_sample import sample_json
from stream_ad.transport.files import open_source
from stream_ad.windows import Readings, WindowSpec
from tests.inspection.files import csv, iso, jsonl, temp

WRITES = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAME = st.sampled_from(
    ["time", "date", "ts", "machine", "unit", "tag", "sensor", "value", "quality", "label", "x"]
) | st.text(max_size=8)
NUMBERS = ("", "0", "1", "192", "-3.5", "1,5", "1e400", "nan", "inf", "1700000000")
TIMES = ("2024-01-01", "2024-01-01T00:00:00Z", "31.12.2024 10:00", "12/31/2024", "20240101")
CELL = st.sampled_from([*NUMBERS, *TIMES, "true", "on", "10:00", '"', "é"]) | st.text(max_size=6)
LEAF = st.none() | st.booleans() | st.integers() | st.floats() | CELL | st.lists(st.integers())
RECORD = st.dictionaries(NAME, LEAF | st.dictionaries(NAME, LEAF, max_size=3), max_size=5)


def judged(path: Path) -> None:
    """Ask for a config that loads, or an error that names the file."""
    try:
        config = inspect(path).config()
    except InputError as error:
        if str(path) not in str(error):
            raise AssertionError(f"an error without the file: {error}") from error
    else:
        assert config.windows.sensors


@WRITES
@given(st.binary(max_size=300))
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet", "a.csv.gz"])
def test_any_bytes_are_judged(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    judged(path)


@WRITES
@given(
    st.sampled_from(",;\t|").flatmap(
        lambda sign: st.tuples(
            st.just(sign),
            st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=8),
            st.lists(NAME, min_size=3, max_size=3),
        )
    )
)
def test_any_table_is_judged(tmp_path: Path, table: tuple[str, list[list[str]], list[str]]) -> None:
    sign, rows, header = table
    path = tmp_path / "a.csv"
    text = "\n".join(sign.join(row) for row in [header, *rows])
    path.write_bytes(text.encode("utf-8", "replace"))
    judged(path)


@WRITES
@given(
    st.sampled_from(["2024-01-{:02}", "{:02}.01.2024", "01/{:02}/2024", "{}", "17000{:02}000"]),
    st.lists(st.tuples(st.integers(1, 28), CELL, CELL, CELL), min_size=2, max_size=40),
    st.lists(NAME, min_size=3, max_size=3),
)
def test_any_columns_beside_times_are_judged(
    tmp_path: Path, form: str, rows: list[tuple[int, str, str, str]], names: list[str]
) -> None:
    path = tmp_path / "a.csv"
    lines = [[form.format(row[0]), *(repr(cell)[1:-1] for cell in row[1:])] for row in rows]
    text = "\n".join(";".join(line) for line in [["time", *names], *lines])
    path.write_bytes(text.encode("utf-8", "replace"))
    judged(path)


@WRITES
@given(st.lists(RECORD, min_size=1, max_size=8))
@example([{"time": 1.7e308}, {"time": 1.7e308}])
def test_any_records_are_judged(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    judged(path)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"PK\x03\x04\x00\x00rest")
    with pytest.raises(InputError, match="binary"):
        inspect(path)


def test_a_damaged_compressed_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"time,x\n" * 1000)[:-12])
    with pytest.raises(InputError, match="cannot be read"):
        inspect(path)


def test_compressed_files_read_like_plain_ones(tmp_path: Path) -> None:
    plain = csv(tmp_path / "a.csv", ["time", "x"], [iso(300), temp(300)])
    packed = tmp_path / "a.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert inspect(packed).config() == inspect(plain).config()


@pytest.mark.parametrize("rows", [10, 1_000])
def test_the_sample_is_bounded_and_reaches_the_end(tmp_path: Path, rows: int) -> None:
    count = 60_000
    columns = [iso(count, 1.0), list(range(count))]
    table = sample_csv(csv(tmp_path / "a.csv", ["time", "n"], columns), rows)
    records = ({"time": t, "n": n} for t, n in zip(*columns, strict=True))
    lines = sample_json(jsonl(tmp_path / "a.jsonl", records), rows)
    for sample in (table, lines):
        numbers = [int(cell) for cell in sample.columns["n"].to_pylist()]
        assert len(sample) <= rows + 4 * 2_000
        assert numbers[:rows] == list(range(rows))
        assert numbers[-1] == count - 1
        assert numbers == sorted(set(numbers))
        assert abs(sample.rows / count - 1) < 0.05


def test_a_file_just_read_whole_is_counted_exactly(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", ["time", "n"], [iso(500), range(500)])
    assert (sample_csv(path, 500).complete, sample_csv(path, 500).rows) == (True, 500)
    assert not sample_csv(path, 499).complete


def test_seconds_with_a_decimal_comma_are_times(tmp_path: Path) -> None:
    seconds = [n / 100 for n in range(300)]
    path = csv(
        tmp_path / "a.csv", ["Time [s]", "x"], [seconds, temp(300)], delimiter=";", decimal=","
    )
    config = inspect(path).config()
    assert (config.input.fields.time, config.input.time_unit) == ("Time [s]", "s")
    assert (config.windows.period_s, config.input.csv.decimal) == (0.01, ",")
    (batch,) = open_source(path, config, WindowSpec.from_config(config.windows)).batches()
    assert isinstance(batch.records, Readings)
    assert batch.records.time.tolist() == [n * 10_000_000 for n in range(300)]
