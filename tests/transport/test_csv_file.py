"""CSV: dialects, damaged rows, and blocks that must not matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pytest

from stream_ad.errors import ConfigError, InputError
from stream_ad.transport import csv_file, lines
from tests.transport.recordings import assert_same, config_of, read, readings

HEAD = "machine_id,time,a,b\n"
AB = config_of(("a", "b"))


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "file.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "m,5,1.5,2\nm,6,,4\n",
        "\ufeff" + HEAD + "m,5,1.5,2\nm,6,,4",
        HEAD.replace("\n", "\r\n") + "m,5,1.5,2\r\n\r\nm,6,,4\r\n",
        "\n\n" + HEAD + "\nm,5,1.5,2\n\nm,6,,4\n\n",
        '"machine_id","time","a","b"\n"m","5","1.5","2"\n"m","6","","4"\n',
        "time,b,other,machine_id,a\n5,2,x,m,1.5\n6,4,,m,\n",
        "machine_id, time, a , b\nm,5, 1.5,2 \nm,6, ,4\n",
        "machine_id,time,a,b,\nm,5,1.5,2,\nm,6,,4,\n",
        "machine_id,time,a,b,x,x\nm,5,1.5,2,,\nm,6,NaN,4,,\n",
        (HEAD + "m,5,1.5,2\nm,6,,4\n").replace("\n", "\r"),
    ],
)
def test_dialects_of_the_same_table_read_alike(tmp_path: Path, text: str) -> None:
    batch = read(write(tmp_path, text), AB)
    rows = readings(batch)
    assert rows.machine.tolist() == ["m", "m"]
    assert rows.time.tolist() == [5_000_000, 6_000_000]
    np.testing.assert_array_equal(rows.values, np.array([[1.5, 2], [np.nan, 4]], np.float32))
    assert (batch.position, list(batch.dead), dict(batch.counts)) == (2, [], {})


def test_semicolon_decimal_comma_and_local_time(tmp_path: Path) -> None:
    config = config_of(
        ("Temperatur", "Druck"),
        csv={"delimiter": ";", "decimal": ","},
        time_format="%d.%m.%Y %H:%M",
        time_zone="Europe/Berlin",
        fields={"machine_id": None, "time": "Zeit"},
    )
    path = write(tmp_path, "Zeit;Temperatur;Druck\n01.07.2024 02:00;21,5;1.000\n")
    batch = read(path, config)
    rows = readings(batch)
    assert rows.machine.tolist() == ["machine"]
    assert rows.time[0] == 1_719_792_000 * 10**9  # 2024-07-01T00:00:00Z
    assert rows.values[0, 0] == 21.5
    assert np.isnan(rows.values[0, 1])
    assert batch.counts == {"not_a_number": 1}


def test_a_quoted_newline_is_part_of_its_cell(tmp_path: Path) -> None:
    batch = read(write(tmp_path, HEAD + '"one\nname",5,1,2\nm,6,3,4\n'), AB)
    assert readings(batch).machine.tolist() == ["one\nname", "m"]
    assert batch.position == 2


def test_text_in_a_number_costs_its_cell_only(tmp_path: Path) -> None:
    batch = read(write(tmp_path, HEAD + "m,5,warm,2\nm,6,3,4\n"), AB)
    rows = readings(batch)
    np.testing.assert_array_equal(rows.values, np.array([[np.nan, 2], [3, 4]], np.float32))
    assert batch.counts == {"not_a_number": 1}
    assert not batch.dead


def test_ragged_rows_are_dead_letters_with_their_text(tmp_path: Path) -> None:
    batch = read(write(tmp_path, HEAD + "m,5,1,2\nm,6,3\n\nm,7,3,4,5\nm,8,5,6\n"), AB)
    assert readings(batch).offset.tolist() == [0, 3]
    assert readings(batch).time.tolist() == [5_000_000, 8_000_000]
    assert [(letter.offset, letter.value) for letter in batch.dead] == [
        (1, b"m,6,3"),
        (2, b"m,7,3,4,5"),
    ]
    assert batch.dead[0].error_class == "InvalidRow"
    assert batch.dead[0].error_message == "a row of 3 cells: allowed is 4, as in the header"
    assert batch.position == 4


def test_unreadable_times_and_machines_are_dead_letters_with_their_row(tmp_path: Path) -> None:
    batch = read(write(tmp_path, HEAD + "m,soon,1,2\n,5,1,2\nm,5,1,2\n"), AB)
    assert readings(batch).offset.tolist() == [2]
    time, machine = batch.dead
    assert (time.error_class, machine.error_class) == ("InvalidTime", "InvalidName")
    assert time.error_message.startswith("time = 'soon': allowed is RFC 3339")
    assert machine.error_message.startswith("machine_id = '': allowed is 1 to 249 characters")
    assert orjson.loads(time.value)["machine_id"] == "m"


def test_a_quote_that_never_closes_costs_its_line_only(tmp_path: Path) -> None:
    text = HEAD + 'm,5,1,2\n"m,6,1,2\nm,7,1,2\nm,8,warm,2\n'
    batch = read(write(tmp_path, text), AB)
    assert readings(batch).time.tolist() == [5_000_000, 7_000_000, 8_000_000]
    assert [letter.offset for letter in batch.dead] == [1]
    assert batch.position == 4


def test_bytes_that_are_no_utf_8_cost_their_row_or_cell(tmp_path: Path) -> None:
    text = HEAD.encode() + b"s\xe4ge,5,1,2\nm,6,\xb0,2\nm,7,3\xff\n\xff\nm,8,3,4\n"
    batch = read(write(tmp_path, text), AB)
    assert readings(batch).time.tolist() == [6_000_000, 8_000_000]
    assert [letter.error_class for letter in batch.dead] == ["InvalidName"] + ["InvalidRow"] * 2
    assert batch.counts == {"not_a_number": 1}


def test_bytes_in_columns_that_nobody_reads_do_not_matter(tmp_path: Path) -> None:
    text = b"note,machine_id,time,a,b\n\xff,m,5,1,2\n"
    assert readings(read(write(tmp_path, text), AB)).machine.tolist() == ["m"]


def test_a_line_beyond_the_limit_is_a_dead_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_blocks(monkeypatch, 64)
    config = config_of(("a", "b"), limits={"record_bytes": 100})
    text = HEAD + "m,5,1,2\n" + "x" * 1000 + "\nm,6,1,2\n"
    batch = read(write(tmp_path, text), config)
    assert readings(batch).offset.tolist() == [0, 2]
    assert [(d.offset, d.length, d.error_class) for d in batch.dead] == [
        (1, 1000, "RecordTooLarge")
    ]
    assert_from_every_position(write(tmp_path, text), config)


@pytest.mark.parametrize("size", [8, 64, 200, 1000])
def test_size_of_blocks_and_start_position_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    rng = np.random.default_rng(size)
    kinds = ["m-{0},{0},{0}.5,2", "m,{0},warm,", ",{0},1,2", "m,{0}", "", 'm,{0},"1","{0}"']
    rows = [kinds[rng.integers(len(kinds))].format(number) for number in range(60)]
    path = write(tmp_path, HEAD + "\n".join(rows) + "\n")
    whole = read(path, AB)
    small_blocks(monkeypatch, size)
    assert_same(read(path, AB), whole)
    assert_from_every_position(path, AB)


def small_blocks(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    real = lines.read_blocks

    def small(path: Path, longest: int, *, quotes: bool) -> object:
        return real(path, longest, quotes=quotes, size=size)

    monkeypatch.setattr(csv_file, "read_blocks", small)


def assert_from_every_position(path: Path, config: object) -> None:
    whole = read(path, config)  # type: ignore[arg-type]
    rows = readings(whole)
    for position in range(whole.position):
        left = read(path, config, position)  # type: ignore[arg-type]
        kept = rows.take(rows.offset >= position)
        assert readings(left).offset.tolist() == kept.offset.tolist()
        assert readings(left).values.tobytes() == kept.values.tobytes()
        assert [d.offset for d in left.dead] == [
            d.offset for d in whole.dead if d.offset >= position
        ]
        assert left.position == whole.position


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("\n \n", r"no column 'machine_id', 'time', 'a', 'b'"),
        ("\n\n", "the file is empty"),
        (HEAD, "there is a header but no row"),
        (HEAD + "\r\n\n", "there is a header but no row"),
        ("machine_id,Time,a\n1,2,3\n", r"no column 'time', 'b'; the file has machine_id, Time, a"),
        ("machine_id,Time,a\n1,2,3\n", r"did you mean 'time' -> 'Time'\?"),
        ("time,a,b\n1,2,3\n", r"input\.fields\.machine_id: null stands for one machine"),
        ("machine_id;time;a;b\n1;2;3;4\n", r"the file has machine_id;time;a;b"),
        (HEAD.replace("b", "a") + "m,1,2,3\n", r"column 'a' stands there 2x"),
        (b"machine_id,time,\xb0C\n", "no header of CSV in UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_is_an_input_error(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read(write(tmp_path, text), AB)


def test_a_wrong_delimiter_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "machine_id;time;a;b\nm;1;2;3\n")
    with pytest.raises(InputError, match=r"input\.csv\.delimiter: ';'"):
        read(path, AB)


def test_a_sensor_that_is_also_the_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"windows\.sensors = 'time'"):
        read(write(tmp_path, HEAD + "m,5,1,2\n"), config_of(("a", "time")))


def test_windows_in_a_table_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"input\.format = 'window'"):
        read(write(tmp_path, HEAD + "m,5,1,2\n"), config_of(("a", "b"), format="window"))
