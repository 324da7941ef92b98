from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.config import WindowsConfig
from stream_ad.errors import InputError
from stream_ad.inspection import Inspection, inspect
from stream_ad.inspection.grid import Rows, far_ahead, find_disorder, find_length, find_period
from stream_ad.inspection.nice import SENSIBLE, coarser, number, rounded
from tests.inspection.files import START, csv, iso, parquet, temp, times

NS = 10**9


def windows(path: Path) -> WindowsConfig:
    return inspect(path).config().windows


def says(found: Inspection, *words: str) -> bool:
    return any(all(word in note for word in words) for note in found.notes)


def rows(seconds: Sequence[float], machine: list[int] | None = None) -> Rows:
    time = np.array([round(s * NS) for s in seconds], np.int64)
    codes = np.zeros(len(time), np.int64) if machine is None else np.array(machine, np.int64)
    return Rows(time, codes, np.zeros(len(time), np.int64))


@pytest.mark.parametrize("step_s", [0.04, 0.5, 1, 2, 5, 10, 15, 30, 60, 300, 600, 900, 1800, 3600])
def test_the_period_is_the_step(tmp_path: Path, step_s: float) -> None:
    stamps = [int(t.timestamp() * 1000) for t in times(300, step_s)]
    path = csv(tmp_path / "a.csv", ["ts", "temp"], [stamps, temp(300)])
    assert windows(path).period_s == step_s


def test_the_median_step_is_rounded_within_two_percent_only() -> None:
    assert [rounded(s) for s in (59.0, 61.0, 58.0, 0.99, 3661.0)] == [60, 60, 58, 1, 3600]
    assert rounded(7.3456) == 7.35


def test_repeated_times_and_interleaved_machines_do_not_shorten_the_period() -> None:
    seconds = [s + offset for s in range(0, 600, 10) for offset in (0, 0, 3)]
    machine = [m for _ in range(60) for m in (0, 0, 1)]
    period = find_period(rows(seconds, machine))
    assert period is not None
    assert period.seconds == 10


def test_lost_rows_and_one_wrong_year_do_not_change_the_period() -> None:
    rng = np.random.default_rng(1)
    seconds = [float(s) for s in range(0, 5_000, 5) if rng.random() > 0.2]
    seconds[100] = 2e9
    period = find_period(rows(seconds))
    assert period is not None
    assert period.seconds == 5


def test_readings_by_exception_get_a_coarse_grid_and_a_wide_gap(tmp_path: Path) -> None:
    steps = np.random.default_rng(2).exponential(40.0, 3_000)
    stamps = [(START + timedelta(seconds=s)).isoformat() for s in np.cumsum(steps).tolist()]
    path = csv(tmp_path / "a.csv", ["time", "temp"], [stamps, temp(3_000)])
    found = inspect(path)
    chosen = found.config().windows
    # quartile of an exponential of mean 40 s: 40 ln 4 = 55 s; 99 %: 40 ln 100 = 184 s
    assert chosen.period_s == 60
    assert chosen.max_gap_s == 300
    assert says(found, "irregularly")


def test_machines_of_different_paces_are_noted(tmp_path: Path) -> None:
    fast = [(t, "fast") for t in iso(600, 1.0)]
    slow = [(t, "slow") for t in iso(60, 10.0)]
    stamps, machines = zip(*sorted(fast + slow), strict=True)
    path = csv(tmp_path / "a.csv", ["time", "machine", "temp"], [stamps, machines, temp(660)])
    assert says(inspect(path), "different paces", "1 s", "10 s")


def test_in_order_means_no_disorder(tmp_path: Path) -> None:
    assert windows(csv(tmp_path / "a.csv", ["time", "x"], [iso(300), temp(300)])).disorder_s == 0


def test_disorder_covers_how_far_times_go_back(tmp_path: Path) -> None:
    stamps = iso(300)
    for row in range(10, 290, 20):  # each such row comes three minutes late
        stamps[row : row + 4] = [*stamps[row + 1 : row + 4], stamps[row]]
    assert windows(csv(tmp_path / "a.csv", ["time", "x"], [stamps, temp(300)])).disorder_s == 300


@given(st.lists(st.integers(0, 50), min_size=2, max_size=60))
def test_disorder_is_the_farthest_step_behind_the_newest(lags: list[int]) -> None:
    seconds = [10.0 * n - lag for n, lag in enumerate(lags)]
    expected = max(max(seconds[: n + 1]) - s for n, s in enumerate(seconds))
    # all lie within an hour of each other, and a quantile of 99.9 % of few rows is the largest
    late_s, _ = find_disorder(rows(seconds), 10.0)
    assert late_s <= expected
    if seconds[1] != seconds[0]:
        assert late_s == expected


def test_a_reading_from_2099_is_no_disorder(tmp_path: Path) -> None:
    stamps = iso(300)
    stamps[150] = "2099-01-01T00:00:00Z"
    found = inspect(csv(tmp_path / "a.csv", ["time", "x"], [stamps, temp(300)]))
    assert found.config().windows.disorder_s == 0
    assert says(found, "1 row lies far ahead of all others, such as 2099-01-01T00:00:00Z")
    assert not says(found, "late")
    assert found.summary.endswith(f"to {iso(300)[-1]}")


@pytest.mark.parametrize("place", [0, 7, 29])
def test_rows_of_another_century_are_told_from_a_long_gap(place: int) -> None:
    stamps = [60.0 * n + 9e6 * (n >= 15) for n in range(30)]  # the machine stood for months
    assert not far_ahead(rows(stamps), 60.0).any()
    stamps[place] = 4e9
    ahead = far_ahead(rows(stamps), 60.0)
    assert np.flatnonzero(ahead).tolist() == [place]


def test_a_row_far_ahead_in_the_long_shape_is_left_out(tmp_path: Path) -> None:
    stamps = [t for t in iso(200) for _ in "ab"]
    stamps[101] = "2099-01-01T00:00:00Z"
    columns = [stamps, [*"ab"] * 200, temp(400)]
    found = inspect(csv(tmp_path / "a.csv", ["time", "sensor", "value"], columns))
    assert found.config().input.format == "long"
    assert says(found, "1 row lies far ahead")
    assert "2099" not in found.summary


def test_disorder_beyond_ten_windows_is_cut_and_noted(tmp_path: Path) -> None:
    stamps = [*iso(600)[300:], *iso(600)[:300]]
    path = csv(tmp_path / "a.csv", ["time", "x"], [stamps, temp(600)])
    found = inspect(path)
    chosen = found.config().windows
    assert chosen.period_s is not None
    assert chosen.disorder_s == 10 * chosen.length * chosen.period_s
    assert says(found, "ten windows")


def test_a_sensor_that_reports_less_often_gets_a_gap_of_its_own(tmp_path: Path) -> None:
    slow = [v if n % 5 == 0 else None for n, v in enumerate(temp(300))]
    once = [1.5 if n == 7 else None for n in range(300)]
    path = csv(tmp_path / "a.csv", ["time", "x", "slow", "once"], [iso(300), temp(300), slow, once])
    found = inspect(path)
    gaps = {s.name: s.max_gap_s for s in found.config().windows.sensors}
    assert gaps == {"x": None, "slow": 300, "once": None}
    assert says(found, "too few values", "`once`")


def test_length_and_hop_follow_the_history() -> None:
    # a period of 1 s: 4, 8 and 16 slots divide the 3,600 of an hour
    lengths = [find_length(rows, 1.0) for rows in (10, 1_999, 2_000, 19_999, 20_000)]
    assert lengths == [(16, 4), (16, 4), (32, 8), (32, 8), (64, 16)]


@pytest.mark.parametrize(
    ("period_s", "hops"),
    [
        (60.0, [4, 10, 15]),  # 60 slots an hour: neither 8 nor 16 divide them
        (10.0, [4, 8, 15]),  # 360 = 45 * 8 = 24 * 15
        (300.0, [4, 6, 12]),  # 12
        (0.1, [4, 8, 16]),
        (1800.0, [4, 8, 16]),  # 2: nothing near divides it, so a quarter stays
        (61.7, [4, 8, 16]),  # no whole number of slots makes an hour
        (7.0, [4, 8, 16]),
    ],
)
def test_hop_divides_the_hour_where_one_near_a_quarter_does(
    period_s: float, hops: list[int]
) -> None:
    assert [find_length(rows, period_s)[1] for rows in (10, 2_000, 20_000)] == hops


@given(st.sampled_from([10.0, 2_000, 20_000]), st.floats(0.001, 90_000))
def test_hop_stays_near_a_quarter_and_windows_keep_their_place_in_the_hour(
    rows: float, period_s: float
) -> None:
    length, hop = find_length(rows, period_s)
    assert 3 * length <= 16 * hop <= 5 * length
    span = round(period_s * NS)
    if any(3600 * NS % (n * span) == 0 for n in range(3 * length // 16, 5 * length // 16 + 1)):
        # so the same windows begin after the full hour every hour
        assert 3600 * NS % (hop * span) == 0


def test_history_counts_readings_of_one_machine(tmp_path: Path) -> None:
    stamps = [t for t in iso(5_000) for _ in "ab"]
    path = csv(
        tmp_path / "a.csv", ["time", "machine", "x"], [stamps, [*"ab"] * 5_000, temp(10_000)]
    )
    assert windows(path).length == 32  # 10,000 rows, 2 machines, half of it: 2,500


def test_a_short_recording_is_noted(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", ["time", "x"], [iso(60), temp(60)])
    assert says(inspect(path), "short", "windows of history")


def test_repeated_times_without_a_machine_column_are_noted(tmp_path: Path) -> None:
    stamps = [t for t in iso(300) for _ in "ab"]
    path = csv(tmp_path / "a.csv", ["time", "x"], [stamps, temp(600)])
    assert says(inspect(path), "50%", "machine column?")


def test_of_a_large_file_only_a_bounded_sample_is_read(tmp_path: Path) -> None:
    count = 120_000
    stamps = iso(count, 1.0)
    machine = ["a" if n < 100_000 else "late" for n in range(count)]
    path = csv(tmp_path / "a.csv", ["time", "machine", "x"], [stamps, machine, temp(count)])
    found = inspect(path)
    assert "about 1" in found.summary
    assert "2 machines" in found.summary
    assert stamps[-1] in found.summary
    estimated = int(found.summary.split()[1].replace(",", ""))
    assert abs(estimated / count - 1) < 0.05
    assert found.config().windows.length == 64
    assert found.config().windows.disorder_s == 0


def test_of_a_large_parquet_file_the_rows_are_known(tmp_path: Path) -> None:
    count = 120_000
    path = parquet(
        tmp_path / "a.parquet", {"time": iso(count, 1.0), "x": temp(count)}, rows_per_group=10_000
    )
    found = inspect(path)
    assert "about 120,000 rows" in found.summary
    assert found.config().windows.period_s == 1


def test_more_machines_than_rows_of_the_first_look_are_read_on(tmp_path: Path) -> None:
    machines = [f"m{n}" for n in range(25_000)]
    stamps = [t for t in iso(3) for _ in machines]
    path = csv(tmp_path / "a.csv", ["time", "machine", "x"], [stamps, machines * 3, temp(75_000)])
    found = inspect(path)
    assert found.config().windows.period_s == 60
    assert found.config().input.fields.machine_id == "machine"


def test_one_row_per_machine_is_refused(tmp_path: Path) -> None:
    machines = [f"m{n}" for n in range(50)]
    path = csv(tmp_path / "a.csv", ["time", "machine", "x"], [iso(50), machines, temp(50)])
    with pytest.raises(InputError, match="one time only"):
        inspect(path)


def test_sensible_durations_ascend_and_are_written_without_exponent() -> None:
    assert list(SENSIBLE) == sorted(set(SENSIBLE))
    assert all(float(number(seconds)) == seconds for seconds in SENSIBLE)


@given(st.floats(1e-6, 3e7))
def test_coarser_is_never_below_and_never_far_above(seconds: float) -> None:
    assert seconds * (1 - 1e-8) <= coarser(seconds) <= 7 * seconds + 1e-6
