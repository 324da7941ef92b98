"""The lines that are compared, and what counts as a labelled anomaly found."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.config import AlarmConfig
from stream_ad.training.recall import opens, raised, runs
from stream_ad.windows import Windows
from tests.detector.streams import spec_of

SPEC = spec_of(length=8, sensors=4)


@given(
    raw=st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30),
    above=st.integers(0, 31),
    line=st.integers(-6, 6).map(float),
)
def test_a_line_is_raised_as_little_as_it_has_to_be(
    raw: list[float], above: int, line: float
) -> None:
    found = raised(line, np.array(raw), above)
    assert found >= line
    assert sum(r > found for r in raw) <= above
    lower = [level for level in (line, *raw) if line <= level < found]
    assert all(sum(r > level for r in raw) > above for level in lower)


@given(
    hops=st.lists(st.integers(0, 12), max_size=8, unique=True).map(sorted),
    m=st.integers(1, 4),
    n=st.integers(1, 6),
    windows=st.integers(1, 13),
)
def test_an_incident_opens_as_m_of_n_says(hops: list[int], m: int, n: int, windows: int) -> None:
    """Counted at every alarm, over the last n hops."""
    alarm = AlarmConfig(m=min(m, n), n=n)
    needed = min(alarm.m, windows)
    counted = any(sum(last - n < hop <= last for hop in hops) >= needed for last in hops)
    assert opens(np.array(hops, np.int64) * 7, windows, alarm, hop_ns=7) == counted


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40)), max_size=25, unique=True))
def test_windows_that_touch_are_one_anomaly(drawn: list[tuple[str, int]]) -> None:
    machine = np.array([name for name, _ in drawn], object)
    start = np.array([at for _, at in drawn], np.int64) * SPEC.period_ns
    values = np.zeros((len(drawn), 8, 4), np.float32)
    windows = Windows(machine, start, values, np.arange(len(drawn)))
    found = [[drawn[row] for row in rows] for rows in runs(windows, SPEC)]
    wanted: list[list[tuple[str, int]]] = []
    for name in "ab":
        for at in sorted(at for own, at in drawn if own == name):
            near = wanted and wanted[-1][-1][0] == name and at - wanted[-1][-1][1] <= SPEC.length
            wanted = [*wanted[:-1], [*wanted[-1], (name, at)]] if near else [*wanted, [(name, at)]]
    assert found == wanted
