"""The same readings in any shape of file give the same bits as record by record."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_ad.transport.decode import Decoder
from tests.transport.recordings import (
    SENSORS,
    Row,
    assert_same,
    config_of,
    json_record,
    read,
    readings,
    spec_of,
    together,
    write_csv,
    write_jsonl,
    write_parquet,
)

TIMES = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.datetimes().map(lambda moment: moment.isoformat(sep=" ")),
    st.sampled_from(["1700000000000", "", "soon", "2024-01-01T00:00:00.123456789Z"]),
)
NAMES = st.one_of(
    st.sampled_from(["press-1", 'a "quoted", name', "säge", "NA", " x ", "", "x" * 250]),
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0\ufffd"), max_size=5),
)
TEXT_CELLS = st.one_of(
    st.floats().map(repr),
    st.integers().map(str),
    st.sampled_from(["", "NaN", "null", "warm", "1,5", " 2.5 ", "+1", "1e400", "1e39", "-0"]),
)


def rows_of(cells: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Row]]:
    row = st.tuples(NAMES, TIMES, st.tuples(*[cells] * len(SENSORS)))
    return st.lists(row, min_size=1, max_size=25)


@settings(deadline=None)
@given(rows_of(TEXT_CELLS))
def test_text_in_csv_parquet_and_json(rows: Sequence[Row]) -> None:
    config = config_of()
    decoder = Decoder(config.input, config.limits, spec_of(config))
    record_by_record = [
        decoder.decode([(offset, json_record(row))]) for offset, row in enumerate(rows)
    ]
    with tempfile.TemporaryDirectory() as folder:
        expected = read(write_jsonl(Path(folder, "a.jsonl"), rows), config)
        assert_same(expected, together(record_by_record))
        assert_same(expected, read(write_csv(Path(folder, "a.csv"), rows), config))
        assert_same(expected, read(write_parquet(Path(folder, "a.parquet"), rows), config))


@settings(deadline=None)
@given(rows_of(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.none())))
def test_numbers_in_csv_parquet_and_json(rows: Sequence[Row]) -> None:
    config = config_of()
    with tempfile.TemporaryDirectory() as folder:
        expected = read(write_jsonl(Path(folder, "a.jsonl"), rows), config)
        assert_same(expected, read(write_csv(Path(folder, "a.csv"), rows), config))
        assert_same(expected, read(write_parquet(Path(folder, "a.parquet"), rows), config))


QUALITIES = st.sampled_from(["192", "0", "", "good", 192, None])


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(NAMES, TIMES, st.sampled_from(["a", "b", "other", ""]), TEXT_CELLS, QUALITIES),
        min_size=1,
        max_size=25,
    )
)
def test_long_records_in_csv_and_json(rows: Sequence[tuple[Any, ...]]) -> None:
    config = config_of(("a", "b"), format="long", good_quality=[192, "good"])
    keys = ("machine_id", "time", "sensor", "value", "quality")
    records = [dict(zip(keys, row, strict=True)) for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder, "a.jsonl")
        lines.write_bytes(b"\n".join(map(orjson.dumps, records)))
        wide = [(row[0], row[1], row[2:]) for row in rows]
        table = write_csv(Path(folder, "a.csv"), wide, keys[2:])
        assert_same(read(lines, config), read(table, config))


def test_wide_and_long_shapes_hold_the_same_values(tmp_path: Path) -> None:
    rows: list[Row] = [("m", f"{time}", (time + 0.25, None, "x")) for time in range(5)]
    wide = readings(read(write_csv(tmp_path / "wide.csv", rows), config_of()))
    cells = [(m, t, (s, v)) for m, t, vs in rows for s, v in zip(SENSORS, vs, strict=True)]
    path = write_csv(tmp_path / "long.csv", cells, ("sensor", "value"))
    tall = readings(read(path, config_of(format="long")))
    for place in range(len(SENSORS)):
        assert tall.values[place :: len(SENSORS), place].tobytes() == (
            wide.values[:, place].tobytes()
        )
