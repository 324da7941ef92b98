from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from stream_ad.errors import ConfigError, InputError
from stream_ad.inspection import inspect
from stream_ad.transport.files import open_source
from stream_ad.windows import Readings, WindowSpec
from tests.inspection.files import START, csv, iso, jsonl, temp, times

N = 240


def read_back(path: Path, **asked: str) -> list[datetime]:
    """Return the times as a replay with the written config reads them."""
    config = inspect(path, **asked).config()
    (batch,) = open_source(path, config, WindowSpec.from_config(config.windows)).batches()
    assert isinstance(batch.records, Readings)
    assert not batch.dead
    return [
        datetime.fromtimestamp(0, UTC) + timedelta(microseconds=ns // 1000)
        for ns in batch.records.time.tolist()
    ]


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("%Y-%m-%dT%H:%M:%SZ", None),
        ("%Y-%m-%d %H:%M:%S", None),
        ("%Y-%m-%dT%H:%M:%S+00:00", None),
        ("%Y-%m-%d %H:%M", None),
        ("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S"),
        ("%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M"),
        ("%d.%m.%Y, %H:%M", "%d.%m.%Y, %H:%M"),
        ("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M"),
        ("%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M"),
        ("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M:%S %p"),
        ("%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M:%S"),
        ("%d-%b-%Y %H:%M", "%d-%b-%Y %H:%M"),
        ("%d.%m.%y %H:%M", "%d.%m.%y %H:%M"),
        ("%Y%m%d %H:%M:%S", "%Y%m%d %H:%M:%S"),
        ("%Y%m%dT%H%M%S", "%Y%m%dT%H%M%S"),
        ("%Y%m%d%H%M%S", "%Y%m%d%H%M%S"),
        ("%d/%m/%Y %H:%M:%S.%f", "%d/%m/%Y %H:%M:%S.%f"),
        ("%d/%m/%Y %H:%M:%S+0000", "%d/%m/%Y %H:%M:%S%z"),
    ],
)
def test_times_of_each_spelling_read_back(
    tmp_path: Path, pattern: str, written: str | None
) -> None:
    texts = [f'"{time.strftime(pattern)}"' for time in times(N)]
    path = csv(tmp_path / "a.csv", ["When", "temp"], [texts, temp(N)])
    assert read_back(path) == times(N)
    assert inspect(path).config().input.time_format == written


@pytest.mark.parametrize(
    ("unit", "per_second"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)]
)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_epoch_units_are_found_by_magnitude(
    tmp_path: Path, unit: str, per_second: int, kind: str
) -> None:
    stamps = [int(time.timestamp()) * per_second for time in times(N)]
    if kind == "csv":
        path = csv(tmp_path / "a.csv", ["ts", "temp"], [stamps, temp(N)])
    else:
        records = ({"ts": t, "temp": v} for t, v in zip(stamps, temp(N), strict=True))
        path = jsonl(tmp_path / "a.jsonl", records)
    assert inspect(path).config().input.time_unit == unit
    assert read_back(path) == times(N)


def test_float_epochs_keep_their_parts_of_a_second(tmp_path: Path) -> None:
    stamps = [time.timestamp() for time in times(N, 0.25)]
    path = csv(tmp_path / "a.csv", ["time", "temp"], [stamps, temp(N)])
    assert inspect(path).config().windows.period_s == 0.25
    assert read_back(path) == times(N, 0.25)


@pytest.mark.parametrize(("name", "unit"), [("t", "s"), ("time_ms", "ms"), ("Time [s]", "s")])
def test_times_that_count_from_zero_are_taken_and_noted(
    tmp_path: Path, name: str, unit: str
) -> None:
    names = [name if name != "Time [s]" else "time"]
    path = csv(tmp_path / "a.csv", [*names, "temp"], [[n * 10 for n in range(N)], temp(N)])
    found = inspect(path)
    assert found.config().input.time_unit == unit
    assert any("counts from 0" in note for note in found.notes)


@pytest.mark.parametrize("pattern", ["%m/%d/%Y", "%d/%m/%Y"])
def test_day_and_month_are_told_apart_by_order_where_no_day_is_above_12(
    tmp_path: Path, pattern: str
) -> None:
    days = [START.replace(month=month, day=day) for month in range(1, 13) for day in range(1, 13)]
    path = csv(
        tmp_path / "a.csv", ["date", "temp"], [[d.strftime(pattern) for d in days], temp(144)]
    )
    found = inspect(path)
    assert found.config().input.time_format == pattern
    assert not any("could be" in note for note in found.notes)


def test_day_and_month_that_nothing_tells_apart_are_noted(tmp_path: Path) -> None:
    start = datetime(2024, 3, 4, tzinfo=UTC)
    texts = [t.strftime("%d/%m/%Y %H:%M") for t in times(N, 60, start)]
    found = inspect(csv(tmp_path / "a.csv", ["time", "temp"], [texts, temp(N)]))
    assert any("%d/%m/%Y" in note and "%m/%d/%Y" in note for note in found.notes)


def test_naive_times_are_noted_as_utc_unless_a_zone_is_given(tmp_path: Path) -> None:
    zone = ZoneInfo("Europe/Berlin")
    texts = [t.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") for t in times(N)]
    path = csv(tmp_path / "a.csv", ["time", "temp"], [texts, temp(N)])
    assert any("read as UTC" in note for note in inspect(path).notes)
    assert "# time_zone: Europe/Berlin" in inspect(path).to_yaml()
    zoned = inspect(path, time_zone="Europe/Berlin")
    assert zoned.config().input.time_zone == "Europe/Berlin"
    assert not any("read as UTC" in note for note in zoned.notes)
    assert read_back(path, time_zone="Europe/Berlin") == times(N)


def test_an_unknown_zone_is_a_config_error(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", ["time", "temp"], [iso(N), temp(N)])
    with pytest.raises(ConfigError, match=r"time_zone.*Mars"):
        inspect(path, time_zone="Mars/Olympus")


def test_times_with_a_zone_are_not_noted(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", ["time", "temp"], [iso(N), temp(N)])
    assert not any("zone" in note for note in inspect(path).notes)


def test_a_second_column_of_times_is_no_sensor(tmp_path: Path) -> None:
    stamps = [int(time.timestamp() * 1000) for time in times(N)]
    path = csv(tmp_path / "a.csv", ["received_ms", "time", "temp"], [stamps, iso(N), temp(N)])
    found = inspect(path)
    assert found.config().input.fields.time == "time"
    assert [sensor.name for sensor in found.config().windows.sensors] == ["temp"]
    assert any("`received_ms`" in note for note in found.notes)


def test_the_asked_time_column_is_taken(tmp_path: Path) -> None:
    stamps = [int(time.timestamp() * 1000) for time in times(N)]
    path = csv(tmp_path / "a.csv", ["received_ms", "time", "temp"], [stamps, iso(N), temp(N)])
    config = inspect(path, time_column="received_ms").config()
    assert config.input.fields.time == "received_ms"
    config = inspect(path, time_column="time").config()
    assert [sensor.name for sensor in config.windows.sensors] == ["temp"]
    with pytest.raises(InputError, match=r"'tim'.*did you mean 'time'"):
        inspect(path, time_column="tim")
    with pytest.raises(InputError, match=r"'tim'.*the file has `received_ms`, `temp`"):
        inspect(path, time_column="tim", machine_column="time")  # not what is already taken
    with pytest.raises(InputError, match=r"'tim'.*the file has `received_ms`"):
        inspect(path, machine_column="tim")
    with pytest.raises(InputError, match=r"'tim'.*the file has `received_ms`"):
        inspect(path, time_column="time", label_column="tim")
    with pytest.raises(InputError, match=r"'tmp'.*did you mean 'temp'"):
        inspect(path, label_column="tmp")
    with pytest.raises(InputError, match=r"temp.*does not read as times"):
        inspect(csv(tmp_path / "b.csv", ["temp", "x"], [["warm"] * N, temp(N)]), time_column="temp")


def test_a_column_of_times_is_found_by_its_cells(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", ["Messung am", "temp"], [iso(N), temp(N)])
    assert inspect(path).config().input.fields.time == "Messung am"


def test_date_and_time_of_day_in_two_columns_are_refused(tmp_path: Path) -> None:
    dates = [t.strftime("%d.%m.%Y") for t in times(N)]
    clocks = [t.strftime("%H:%M:%S") for t in times(N)]
    path = csv(tmp_path / "a.csv", ["Datum", "Uhrzeit", "temp"], [dates, clocks, temp(N)])
    with pytest.raises(InputError, match=r"two columns, 'Datum' and 'Uhrzeit'"):
        inspect(path)


def test_times_newest_first_are_refused(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", ["time", "temp"], [iso(N)[::-1], temp(N)])
    with pytest.raises(InputError, match="oldest first"):
        inspect(path)


def test_some_unreadable_times_do_not_matter(tmp_path: Path) -> None:
    stamps = iso(N)
    for row in np.random.default_rng(0).choice(N, 12, replace=False):
        stamps[row] = "soon"
    found = inspect(csv(tmp_path / "a.csv", ["time", "temp"], [stamps, temp(N)]))
    assert found.config().windows.period_s == 60
