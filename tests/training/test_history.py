"""Which windows are history, however a recording is cut into batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.config import Config, parse_config
from stream_ad.errors import ConfigError, NotEnoughHistory
from stream_ad.progress import Silence
from stream_ad.training.fit import cut_of, train
from stream_ad.training.history import Collector, collect_history, time_at
from stream_ad.transport.base import Batch
from stream_ad.windows import Readings, Windows, WindowSpec

NS = 10**9
CONFIG = parse_config({"windows": {"sensors": ["a"], "period_s": 1, "length": 4, "hop": 2}})
SPEC = WindowSpec.from_config(CONFIG.windows)


class Cut:
    """Readings in batches of given sizes."""

    def __init__(self, readings: Readings, sizes: list[int]) -> None:
        self._readings, self._sizes = readings, sizes

    def rows(self) -> int:
        return len(self._readings)

    def batches(self, position: int = 0) -> Iterator[Batch]:
        at = position
        for size in [*self._sizes, len(self._readings)]:
            part = self._readings.take(slice(at, at + size))
            at = min(at + size, len(self._readings))
            if len(part):
                yield Batch(part, (), at)


def readings(machines: list[str], times: list[float]) -> Readings:
    n = len(times)
    time = np.array([round(t * NS) for t in times], np.int64)
    values = np.arange(n, dtype=np.float32)[:, None]
    return Readings(np.array(machines, object), time, values, np.arange(n))


TWO = readings(["a", "b"] * 40, [t for t in range(40) for _ in range(2)])


@given(sizes=st.lists(st.integers(1, 30), max_size=12), rows=st.integers(3, 80))
def test_batches_do_not_change_the_history(sizes: list[int], rows: int) -> None:
    """The cut is the newest of the first rows: row r is at second (r - 1) // 2."""
    until = (rows - 1) // 2
    ends = [end for end in range(2, until + 1, 2) for _ in "ab"]
    try:
        history = collect_history(Cut(TWO, sizes), CONFIG, SPEC, rows=rows)
    except NotEnoughHistory:
        assert not ends
        return
    assert history.until == until * NS
    got = history.windows.start + SPEC.window_ns
    assert sorted(got // NS) == ends


@pytest.mark.parametrize("rows", [1, 2])
def test_rows_before_any_accepted_reading_are_no_history(rows: int) -> None:
    """A machine's first reading waits for the second: nothing of the rest may slip in."""
    with pytest.raises(NotEnoughHistory, match="no window of history"):
        collect_history(Cut(TWO, []), CONFIG, SPEC, rows=rows)


def test_a_file_of_one_machine_after_another_gives_each_its_past() -> None:
    one_by_one = readings(["a"] * 40 + ["b"] * 40, [*range(40), *range(40)])
    history = collect_history(Cut(one_by_one, [7, 50]), CONFIG, SPEC, rows=20)
    assert history.until == 19 * NS
    ends = (history.windows.start + SPEC.window_ns) // NS
    assert {m: sorted(ends[history.windows.machine == m]) for m in "ab"} == {
        "a": [*range(2, 20, 2)],
        "b": [*range(2, 20, 2)],
    }


def test_one_reading_from_2099_does_not_move_the_cut() -> None:
    times = [float(t) for t in range(40)]
    times[10] = 4_070_908_800.0
    history = collect_history(Cut(readings(["a"] * 40, times), []), CONFIG, SPEC, rows=20)
    assert history.until == 19 * NS


@given(
    parts=st.lists(st.lists(st.integers(0, 10**6), max_size=30), max_size=12),
    limit=st.integers(1, 40),
)
def test_the_newest_windows_are_kept_within_the_limit(parts: list[list[int]], limit: int) -> None:
    kept = Collector(limit)
    for part in parts:
        start = np.array(part, np.int64)
        n = len(start)
        kept.add(Windows(np.full(n, "m", object), start, np.zeros((n, 4, 1), np.float32), start))
    everything = sorted(start for part in parts for start in part)
    newest = kept.newest()
    assert (newest is None) == (not everything)
    if newest is not None:
        assert newest.start.tolist() == everything[-limit:]


@pytest.mark.parametrize("share", [0.5, 0.001, 0.33, 0.99])
def test_without_a_cut_a_share_of_the_records_by_time_is_history(share: float) -> None:
    """Whatever the order in which machines stand in the file, and in spite of a year 2099."""
    times = [float(t) for t in range(40)]
    one_by_one = readings(["a"] * 40 + ["b"] * 41, [*times, 4e9, *times])
    wanted = sorted([*times, *times, 4e9])[int(share * 80)]
    assert time_at(Cut(one_by_one, [7, 50]), share, SPEC) == wanted * NS


def test_an_input_without_times_has_no_history() -> None:
    empty = Cut(readings([], []), [])
    with pytest.raises(NotEnoughHistory, match="0 records"):
        collect_history(empty, CONFIG, SPEC, time=time_at(empty, 0.5, SPEC))


def test_a_cut_is_read_as_the_input_writes_its_times() -> None:
    berlin = parse_config({"input": {"time_zone": "Europe/Berlin"}})
    assert cut_of("2024-07-01 02:00", berlin) == (None, 1_719_792_000 * NS)
    pattern = parse_config({"input": {"time_format": "%d.%m.%Y"}})
    assert cut_of("01.07.2024", pattern) == (None, 1_719_792_000 * NS)
    assert cut_of("2024-07-01T00:00:00Z", pattern) == (None, 1_719_792_000 * NS)
    both = {"time_format": "%d.%m.%Y %H:%M", "time_zone": "Europe/Berlin"}
    local = parse_config({"input": both})
    assert cut_of("2024-07-01T02:00:00", local) == (None, 1_719_792_000 * NS)
    with pytest.raises(ConfigError, match="--train-until"):
        cut_of("1. Juli", Config())


def test_too_few_windows_are_refused_with_both_numbers() -> None:
    history = collect_history(Cut(TWO, []), CONFIG, SPEC, rows=20)
    with pytest.raises(NotEnoughHistory, match=r"has 8 windows and training\.min_windows is 20"):
        train(history, CONFIG, SPEC, Silence())


def muted_by(**keys: dict[str, object]) -> Config:
    windows = {"sensors": ["a"], "period_s": 1, "length": 4, "hop": 2}
    return parse_config(
        {
            "windows": windows | keys.get("windows", {}),
            "alarm": keys.get("alarm", {}),
            "detector": {"epochs": 1},
        }
    )


STOP = {"machines": "b", "from": "1970-01-01T00:00:40Z", "to": "1970-01-01T00:01:00Z"}


@given(sizes=st.lists(st.integers(1, 60), max_size=12))
def test_muted_windows_are_no_history(sizes: list[int]) -> None:
    """A window of 4 s overlaps [40, 60) if it starts in (36, 60); the first starts at -2."""
    config = muted_by(alarm={"mute": [STOP]})
    stream = readings(["a", "b"] * 100, [t for t in range(100) for _ in range(2)])
    history = collect_history(Cut(stream, sizes), config, SPEC, rows=200)
    starts = history.windows.start // NS
    assert sorted(starts[history.windows.machine == "a"]) == [*range(-2, 96, 2)]
    wanted = [*range(-2, 37, 2), *range(60, 96, 2)]
    assert sorted(starts[history.windows.machine == "b"]) == wanted
    assert history.muted == len([*range(38, 60, 2)])


def test_neither_bank_nor_line_know_a_muted_window() -> None:
    config = muted_by(windows={"active_when": {"sensor": "a", "above": 0}})
    rng = np.random.default_rng(0)
    load = np.where(np.arange(600) // 20 % 3 == 1, 0.0, rng.uniform(1, 2, 600))
    stream = readings(["a"] * 600, [float(t) for t in range(600)])
    stream = Readings(stream.machine, stream.time, load[:, None].astype(np.float32), stream.offset)
    history = collect_history(Cut(stream, []), config, SPEC)
    detector = train(history, config, SPEC, Silence())
    scorer = detector._fitted().scorer
    for start in (scorer.bank.start, detector.calibration_.start):
        slots = start[:, None] // NS + np.arange(4)
        assert len(slots) > 20
        assert (load[slots] > 0).all()


def test_a_history_that_is_all_muted_says_so() -> None:
    config = muted_by(windows={"active_when": {"sensor": "a", "above": 1e6}})
    with pytest.raises(
        NotEnoughHistory, match=r"all 38 before the cut are muted by windows\.active"
    ):
        collect_history(Cut(TWO, []), config, SPEC, rows=80)


def test_too_few_windows_beside_muted_ones_are_refused_with_their_number() -> None:
    """In second t machine a shows 2 t, b one more: both are above 59 from second 30 on."""
    config = muted_by(windows={"active_when": {"sensor": "a", "above": 59}})
    history = collect_history(Cut(TWO, []), config, SPEC, rows=80)
    with pytest.raises(NotEnoughHistory, match=r"has 6 windows \(32 muted ones left out\)"):
        train(history, config, SPEC, Silence())
