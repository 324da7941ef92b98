"""Recorded files: kinds, identity, start positions, and input that cannot be read at all."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream_ad.errors import ConfigError, InputError
from stream_ad.transport.counting import count_rows
from stream_ad.transport.files import kind_of, open_source
from tests.transport.recordings import (
    Row,
    assert_same,
    config_of,
    read,
    readings,
    spec_of,
    write_csv,
    write_jsonl,
    write_parquet,
)

ROWS: list[Row] = [(f"m{n % 3}", f"{n}", (n + 0.5, None, n)) for n in range(40)]


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.csv", write_csv), ("a.jsonl", write_jsonl), ("a.parquet", write_parquet)],
)
def test_reading_on_from_any_position_gives_the_rest(
    tmp_path: Path, name: str, write: Callable[..., Path]
) -> None:
    path = write(tmp_path / name, ROWS)
    config = config_of()
    whole = readings(read(path, config))
    for position in range(len(ROWS)):
        left = readings(read(path, config, position))
        assert left.offset.tolist() == list(range(position, len(ROWS)))
        assert left.values.tobytes() == whole.values[position:].tobytes()
    assert list(open_source(path, config, spec_of(config)).batches(len(ROWS))) == []


@pytest.mark.parametrize(("suffix", "write"), [(".csv", write_csv), (".ndjson", write_jsonl)])
def test_compressed_files_read_like_plain_ones(
    tmp_path: Path, suffix: str, write: Callable[..., Path]
) -> None:
    plain = write(tmp_path / f"a{suffix}", ROWS)
    packed = tmp_path / f"a{suffix}.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert_same(read(packed, config_of()), read(plain, config_of()))


def test_suffixes_may_be_in_capitals(tmp_path: Path) -> None:
    plain, packed = write_csv(tmp_path / "a.csv", ROWS), tmp_path / "A.CSV.GZ"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert_same(read(packed, config_of()), read(plain, config_of()))


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.csv", write_csv), ("a.jsonl", write_jsonl), ("a.parquet", write_parquet)],
)
def test_rows_are_counted_once(tmp_path: Path, name: str, write: Callable[..., Path]) -> None:
    path, config = write(tmp_path / name, ROWS), config_of()
    source = open_source(path, config, spec_of(config))
    assert source.rows() == len(ROWS)
    path.unlink()
    assert source.rows() == len(ROWS)


@pytest.mark.parametrize("suffix", [".csv.gz", ".jsonl.gz", ".parquet"])
def test_counting_the_rows_of_a_cut_file_is_an_input_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".parquet":
        write_parquet(path, ROWS)
    else:
        path.write_bytes(gzip.compress(b'{"a": 1}\n' * 1000))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"a\..*: cannot be read"):
        count_rows(path, kind_of(path))


def test_identity_knows_content_size_and_nothing_else(tmp_path: Path) -> None:
    config = config_of()

    def identity(path: Path) -> str:
        return open_source(path, config, spec_of(config)).identity()

    one, copy = write_csv(tmp_path / "a.csv", ROWS), write_csv(tmp_path / "b.csv", ROWS)
    longer = write_csv(tmp_path / "c.csv", [*ROWS, *ROWS])
    changed = write_csv(tmp_path / "d.csv", [*ROWS[:-1], ("m9", "39", (0.5, None, 1))])
    assert identity(one) == identity(copy)
    assert len({identity(path) for path in (one, longer, changed)}) == 3


@pytest.mark.parametrize("name", ["a.xlsx", "a.txt", "a", "a.json", "a.gz"])
def test_other_kinds_are_named_with_what_is_allowed(name: str) -> None:
    with pytest.raises(InputError, match=r"allowed is a file that ends in \.csv, .*\.parquet"):
        kind_of(Path(name))


def test_absent_files_folders_and_empty_files_are_input_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        kind_of(tmp_path / "a.csv")
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(InputError, match="is no file"):
        kind_of(tmp_path / "b.csv")
    (tmp_path / "c.csv").touch()
    with pytest.raises(InputError, match="the file is empty"):
        kind_of(tmp_path / "c.csv")


def test_json_lines_without_a_record_are_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n \n\n")
    with pytest.raises(InputError, match="the file has no record"):
        read(path, config_of())


def test_a_long_json_line_is_a_dead_letter_and_keeps_its_number(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", ROWS[:2])
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], b"[" * 3_000_000, b"", lines[1]]))
    config = config_of(limits={"record_bytes": 1000})
    batch = read(path, config)
    assert readings(batch).offset.tolist() == [0, 2]
    (letter,) = batch.dead
    assert (letter.offset, letter.length, len(letter.value)) == (1, 3_000_000, 64_000)
    assert readings(read(path, config, 2)).offset.tolist() == [2]


def test_parquet_columns_of_other_kinds_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    columns = {"machine_id": ["m"], "time": [[1]], "a": [1.0], "b": [1.0], "c": [1.0]}
    pq.write_table(pa.table(columns), path)
    with pytest.raises(InputError, match=r"column 'time' is list.*: allowed is text, a number"):
        read(path, config_of())


def test_parquet_of_typed_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    columns = {
        "machine_id": pa.array([1, 2, None, 3]),
        "time": pa.array([5, 6, 7, None], pa.timestamp("ms", "UTC")),
        "a": pa.array([1, 2, 3, 4], pa.int16()),
        "b": pa.array([True, None, False, True]),
        "c": pa.nulls(4),
    }
    pq.write_table(pa.table(columns), path)
    batch = read(path, config_of())
    assert readings(batch).machine.tolist() == ["1", "2"]
    assert readings(batch).time.tolist() == [5_000_000, 6_000_000]
    np.testing.assert_array_equal(readings(batch).values[:, 0], [1, 2])
    assert np.isnan(readings(batch).values[:, 1:]).all()
    assert [letter.error_class for letter in batch.dead] == ["InvalidName", "InvalidTime"]
    assert batch.counts == {"not_a_number": 1}


def test_nanoseconds_in_a_dead_parquet_row_are_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    times = pa.array([1_700_000_000_123_456_789, 5], pa.timestamp("ns"))
    columns = {"machine_id": ["", "m"], "time": times, "a": [1, 1], "b": [1, 1], "c": [1, 1]}
    pq.write_table(pa.table(columns), path)
    (letter,) = read(path, config_of()).dead
    assert b"22:13:20.123456789" in letter.value


@pytest.mark.parametrize("cut", [4, 100, 600])
def test_a_damaged_parquet_file_is_an_input_error(tmp_path: Path, cut: int) -> None:
    path = write_parquet(tmp_path / "a.parquet", ROWS)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"a\.parquet: cannot be read"):
        read(path, config_of())


def test_parquet_without_rows_or_columns_is_an_input_error(tmp_path: Path) -> None:
    empty = {name: pa.array([], pa.float64()) for name in ("time", "a", "b", "c")}
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"machine_id": pa.array([], pa.string()), **empty}), path)
    with pytest.raises(InputError, match="the file has columns but no row"):
        read(path, config_of())
    pq.write_table(pa.table(empty), path)
    with pytest.raises(InputError, match="no column 'machine_id'"):
        read(path, config_of())


def test_many_machines_share_one_text_each(tmp_path: Path) -> None:
    rows: list[Row] = [(f"m{n % 10_000}", f"{n}", (n, 0, 0)) for n in range(20_000)]
    machines = readings(read(write_csv(tmp_path / "a.csv", rows), config_of())).machine
    assert len(set(machines)) == 10_000


@pytest.mark.parametrize("name", ["$key", "$header.ts"])
@pytest.mark.parametrize("write", [write_csv, write_jsonl])
def test_a_file_has_no_keys_and_headers(
    tmp_path: Path, write: Callable[..., Path], name: str
) -> None:
    config = config_of(fields={"time": name})
    path = write(tmp_path / ("a.csv" if write is write_csv else "a.jsonl"), ROWS)
    with pytest.raises(ConfigError, match=r"input\.fields\.time = .*a file has no keys"):
        open_source(path, config, spec_of(config))
