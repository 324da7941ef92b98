from __future__ import annotations

import csv as python_csv
from pathlib import Path

import pytest

from stream_ad.errors import InputError
from stream_ad.inspection import inspect
from stream_ad.transport.files import open_source
from stream_ad.windows import Readings, WindowSpec
from tests.inspection.files import csv, flow, iso, temp, times

N = 240


def names(path: Path) -> list[str]:
    return [sensor.name for sensor in inspect(path).config().windows.sensors]


def plain(path: Path, **dialect: str) -> Path:
    return csv(path, ["time", "temp", "flow"], [iso(N), temp(N), flow(N)], **dialect)


@pytest.mark.parametrize(
    ("delimiter", "decimal"),
    [(",", "."), *((delimiter, decimal) for delimiter in ";\t|" for decimal in ".,")],
)
def test_delimiter_and_decimal_sign_are_found(tmp_path: Path, delimiter: str, decimal: str) -> None:
    config = inspect(plain(tmp_path / "a.csv", delimiter=delimiter, decimal=decimal)).config()
    assert (config.input.csv.delimiter, config.input.csv.decimal) == (delimiter, decimal)
    assert [sensor.name for sensor in config.windows.sensors] == ["temp", "flow"]


def test_quoted_decimal_commas_between_commas_are_refused_with_the_reason(tmp_path: Path) -> None:
    cells = [f'"{value}"'.replace(".", ",") for value in temp(N)]
    with pytest.raises(InputError, match=r"no column of numbers.*separate by ;"):
        inspect(csv(tmp_path / "a.csv", ["time", "temp"], [iso(N), cells]))
    mixed = inspect(
        csv(tmp_path / "b.csv", ["time", "temp", "n"], [iso(N), cells, range(N, 0, -1)])
    )
    assert any("separate by ;" in note for note in mixed.notes)


def test_a_unit_with_a_comma_in_each_header_does_not_make_the_comma_a_delimiter(
    tmp_path: Path,
) -> None:
    path = csv(
        tmp_path / "a.csv",
        ["time", "Temp, C", "Flow, l"],
        [iso(N), temp(N), flow(N)],
        delimiter=";",
        decimal=",",
    )
    assert names(path) == ["Temp, C", "Flow, l"]


def test_quoted_headers_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = csv(
        tmp_path / "a.csv",
        ['"time"', '"temp; inner"', '"flow ""main"""'],
        [iso(N), temp(N), flow(N)],
        delimiter=";",
        encoding="utf-8-sig",
    )
    found = inspect(path)
    assert found.config().input.fields.time == "time"
    assert names(path) == ["temp; inner", 'flow "main"']


def test_spaces_around_names_and_a_delimiter_at_the_end_are_no_columns(tmp_path: Path) -> None:
    path = csv(
        tmp_path / "a.csv", ["time ", " temp", ""], [iso(N), temp(N), [""] * N], delimiter=";"
    )
    assert names(path) == ["temp"]


def test_lines_that_end_in_carriage_return_and_newline_are_read(tmp_path: Path) -> None:
    path = plain(tmp_path / "a.csv")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert names(path) == ["temp", "flow"]


def test_a_latin_1_header_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = csv(
        tmp_path / "a.csv", ["Zeit", "Wärme"], [iso(N), temp(N)], encoding="latin-1", delimiter=";"
    )
    with pytest.raises(InputError, match=r"not UTF-8.*Wärme.*iconv"):
        inspect(path)


def test_latin_1_cells_are_noted(tmp_path: Path) -> None:
    path = csv(
        tmp_path / "a.csv",
        ["time", "temp", "remark"],
        [iso(N), temp(N), ["schön"] * N],
        encoding="latin-1",
    )
    assert any("not UTF-8" in note for note in inspect(path).notes)


@pytest.mark.parametrize("shift", [0, 1])
def test_a_long_file_may_have_wide_characters_anywhere(tmp_path: Path, shift: int) -> None:
    # a cut anywhere lies within a character, for one of the two shifts
    remarks = ["x" * shift + "ä" * 1_000, *["ä" * 1_000] * (N - 1)]
    path = csv(tmp_path / "a.csv", ["time", "temp", "remark"], [iso(N), temp(N), remarks])
    assert names(path) == ["temp"]


def test_utf_16_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="UTF-16"):
        inspect(plain(tmp_path / "a.csv", encoding="utf-16"))


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("sep=;\ntime;temp\n2024-01-01;1\n2024-01-02;2\n", "header must be the first line"),
        ("Export of pump 7\ntime,temp\n2024-01-01,1\n2024-01-02,2\n", "must be the first line"),
        ("2024-01-01 00:00,1.5\n2024-01-01 00:01,1.6\n", "holds values"),
        ("time,temp\n2024-01-01,1,2\n2024-01-02,1,2\n", "header has 2 columns.*3 cells"),
    ],
)
def test_a_first_line_that_is_no_header_is_refused(tmp_path: Path, lines: str, says: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(lines)
    with pytest.raises(InputError, match=says):
        inspect(path)


def test_columns_of_the_same_name_are_left_out_and_noted(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", ["time", "x", "x", "temp"], [iso(N), temp(N), flow(N), temp(N)])
    assert names(path) == ["temp"]
    assert any("same name: `x`" in note for note in inspect(path).notes)


def test_thousands_of_columns_are_sensors_and_the_limit_is_raised(tmp_path: Path) -> None:
    wide = [f"s{n:04}" for n in range(3_000)]
    values = [[float((row * n) % 7) for row in range(40)] for n in range(3_000)]
    path = csv(tmp_path / "a.csv", ["time", *wide], [iso(40), *values])
    config = inspect(path).config()
    assert [sensor.name for sensor in config.windows.sensors] == wide
    assert config.limits.sensors == 3_000


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_the_transport_reads_every_row_with_the_config(tmp_path: Path, delimiter: str) -> None:
    path = plain(tmp_path / "a.csv", delimiter=delimiter, decimal="," if delimiter == ";" else ".")
    config = inspect(path).config()
    source = open_source(path, config, WindowSpec.from_config(config.windows))
    (batch,) = source.batches()
    assert not batch.dead
    assert isinstance(batch.records, Readings)
    assert batch.records.values[:, 0].tolist() == temp(N)
    seconds = (batch.records.time // 10**9).tolist()
    assert seconds == [int(time.timestamp()) for time in times(N)]


def test_the_header_reads_as_the_csv_module_reads_it(tmp_path: Path) -> None:
    header = ["time", '"a,b"', '"c ""d"""', "e f"]
    path = csv(tmp_path / "a.csv", header, [iso(N), temp(N), temp(N), temp(N)])
    assert names(path) == next(python_csv.reader([",".join(header)]))[1:]
