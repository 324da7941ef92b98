"""The alarm line follows its machine as far as it may, and says where that ends."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from stream_ad.alerting import (
    AlertState,
    Details,
    LineState,
    Rules,
    WindowVerdict,
    follow_lines,
    step,
    swallowed_after,
    swallowing_words,
    swallowing_zone,
)
from stream_ad.alerting.drift import BLOCK, BLOCKS, CALM, DAY_NS, FEWEST, REST, Followed
from stream_ad.config import AlarmConfig, DriftConfig
from stream_ad.records import ChannelEvidence, SensorEvidence, incident_id
from stream_ad.windows.spec import NS, rfc3339

MINUTE = 60 * NS
KNOWN = FEWEST * BLOCK  # windows after which what is ordinary is known


def life(seed: int, n: int = 700) -> tuple[NDArray[Any], ...]:
    """Return scores, ends, muted and versions of windows of a machine that drifts at random."""
    rng = np.random.default_rng(seed)
    level = np.repeat(rng.choice([-2.0, 0.0, 0.4, 1.7, 3.5, 9.0], n // 50), 50)
    gaps = rng.choice([1, 1, 1, 7, 90, 5000], n) * MINUTE
    version = np.sort(rng.choice([1, 2, 5], n)) if rng.random() < 0.5 else np.ones(n, int)
    muted = rng.random(n) < 0.1
    return level + rng.normal(0, 0.5, n), np.cumsum(gaps), muted, version


def drifts(seed: int) -> DriftConfig:
    rng = np.random.default_rng([seed, 1])
    return DriftConfig(
        max_per_day=rng.choice([0.3, 2.0, 40.0]),
        max_total=rng.choice([0.2, 3.0, 8.0]),
        report=rng.choice([0.0, 0.5, 9.0]),
    )


def walk(
    line: LineState, scores: ArrayLike, ends: ArrayLike, drift: DriftConfig
) -> NDArray[np.float64]:
    """Follow windows of version 1; return the offset under each."""
    score, end = np.asarray(scores, float), np.asarray(ends, np.int64)
    return follow_lines([line] * len(end), score, end, np.zeros(len(end), bool), 1, drift).offset


def follow(
    line: LineState, scores: ArrayLike, version: int, drift: DriftConfig, hop: int
) -> Followed:
    """Follow further windows, a hop apart, of any version."""
    score = np.asarray(scores, float)
    ends = np.array(steadily(len(score), hop, line.through or 0))
    return follow_lines(
        [line] * len(score), score, ends, np.zeros(len(score), bool), version, drift
    )


def steadily(n: int, hop: int = MINUTE, since: int = 0) -> list[int]:
    return [since + hop * (i + 1) for i in range(n)]


# ------------------------------------------------------------------ the rule against an oracle


class Oracle:
    """All windows are kept, and everything is worked out anew at each."""

    def __init__(self, drift: DriftConfig) -> None:
        self.drift, self.version, self.scores = drift, -1, [0.0]
        self.offset = self.used = self.given_up = 0.0
        self.last: int | None = None
        self.beyond = False

    def see(self, score: float, end: int, version: int) -> tuple[float, bool]:
        if version != self.version:
            self.given_up, self.offset, self.scores = self.given_up + self.offset, 0.0, []
            self.version = version
        before, drift = self.offset, self.drift
        self.scores.append(score)
        full = np.array(self.scores[: len(self.scores) // BLOCK * BLOCK]).reshape(-1, BLOCK)
        if len(full) >= FEWEST and self.last is not None:
            centre = float(np.median(np.median(full, axis=1)[-BLOCKS:]))
            if self.given_up:
                shown = max(centre - REST, 0.0)
                self.used += self.given_up - min(shown, self.given_up)
                self.given_up = 0.0
            left = drift.max_total - self.used
            target = float(np.clip(centre - REST, 0, left))
            step = drift.max_per_day * min((end - self.last) / DAY_NS, 1.0)
            self.offset += float(np.clip(target - self.offset, -step, step))
            opens = max(left + REST, min(drift.report, drift.max_total))
            if self.beyond:
                self.beyond = centre > opens - min(CALM, opens / 2)
            else:
                self.beyond = centre > opens and self.offset >= left - 1e-12
        self.last = end
        return before, self.beyond


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_line_moves_as_the_rule_says(seed: int) -> None:
    (scores, ends, muted, versions), drift = life(seed), drifts(seed)
    line, oracle = LineState(), Oracle(drift)
    for score, end, is_muted, version in zip(scores, ends, muted, versions, strict=True):
        row = np.array([score]), np.array([end]), np.array([is_muted])
        followed = follow_lines([line], *row, int(version), drift)
        if is_muted:
            assert not followed.beyond[0]
            if version == oracle.version:
                assert followed.offset[0] == pytest.approx(oracle.offset, abs=1e-9)
            continue
        offset, beyond = oracle.see(float(score), int(end), int(version))
        assert followed.offset[0] == pytest.approx(offset, abs=1e-9)
        assert followed.beyond[0] == beyond
        assert line.used + line.carried + line.offset <= drift.max_total + 1e-9
    assert (line.used, line.carried) == pytest.approx((oracle.used, oracle.given_up), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_batches_and_saving_at_any_point_change_nothing(seed: int) -> None:
    """In the middle of a block as well, and a move belongs to the window that made it."""
    (scores, ends, muted, versions), drift = life(seed), drifts(seed)
    rng = np.random.default_rng([seed, 2])

    def run(cuts: Sequence[int], *, saved: bool) -> tuple[list[float], list[bool], list[int]]:
        line, offsets, beyond, reports = LineState(), list[float](), list[bool](), list[int]()
        for a, b in pairwise([0, *cuts, len(scores)]):
            for version in np.unique(versions[a:b]):
                rows = a + np.flatnonzero(versions[a:b] == version)
                columns = scores[rows], ends[rows], muted[rows]
                told = follow_lines([line] * len(rows), *columns, int(version), drift)
                offsets += told.offset.tolist()
                beyond += told.beyond.tolist()
                reports += rows[told.reported].tolist()
            if saved:
                record = orjson.dumps(line.to_list())
                line = LineState.from_list(orjson.loads(record))
                assert orjson.dumps(line.to_list()) == record
        return offsets, beyond, reports

    assert run(np.sort(rng.integers(0, 700, 60)).tolist(), saved=True) == run([], saved=False)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), place=st.integers(0, 699))
def test_a_window_never_moves_its_own_line(seed: int, place: int) -> None:
    (scores, ends, _, _), drift = life(seed), drifts(seed)
    other = scores.copy()
    other[place] += 100
    ours, theirs = (walk(LineState(), s, ends, drift) for s in (scores, other))
    assert (ours[: place + 1] == theirs[: place + 1]).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_line_keeps_its_bounds_in_all_and_per_day_of_event_time(seed: int) -> None:
    (scores, ends, _, _), drift = life(seed), drifts(seed)
    offset = walk(LineState(), scores, ends, drift)
    assert ((offset >= 0) & (offset <= drift.max_total)).all()
    # the move that window i + 1 stands under was made by window i, for the time before that
    days = np.minimum(np.diff(ends)[:-1] / DAY_NS, 1)
    assert (np.abs(np.diff(offset)[1:]) <= drift.max_per_day * days + 1e-12).all()


# ------------------------------------------------------------------ by hand


def test_a_shift_is_followed_at_the_pace_once_eight_blocks_are_known() -> None:
    drift, line = DriftConfig(max_per_day=2.0), LineState()
    offset = walk(line, [1.5] * (KNOWN + 200), steadily(KNOWN + 200, DAY_NS // 100), drift)
    # the last window of the eighth block is the first that moves; each moves by 2 / 100
    assert offset[: KNOWN + 1] == pytest.approx([0.0] * KNOWN + [0.02])
    assert offset[KNOWN + 10] == pytest.approx(0.22)
    assert (offset[-1], line.offset, line.beyond) == (1.375, 1.375, False)  # 1.5 less the rest
    assert line.centre == 1.5


def test_a_machine_quieter_than_its_history_gets_no_stricter_line() -> None:
    line = LineState()
    assert set(walk(line, [-3.0] * 400, steadily(400, DAY_NS), DriftConfig())) == {0.0}
    assert line.centre == -3.0


def test_the_line_comes_back_with_the_machine() -> None:
    line, drift = LineState(), DriftConfig(max_per_day=2.0)
    walk(line, [1.0] * 400, steadily(400, DAY_NS // 10), drift)
    assert line.offset == 0.875
    walk(line, [0.0] * 400, steadily(400, DAY_NS // 10, line.through or 0), drift)
    assert (line.offset, line.highest) == (0.0, 0.875)


def test_time_without_windows_counts_as_a_day_at_most() -> None:
    line, drift = LineState(), DriftConfig(max_per_day=0.5)
    walk(line, [2.0] * KNOWN, steadily(KNOWN, 1), drift)
    far = (line.through or 0) + 300 * DAY_NS
    assert not line.follow(2.0, far, drift.model_copy(update={"report": 9.0}))
    assert line.offset == pytest.approx(0.5, abs=1e-6)


def test_a_fault_shorter_than_half_of_what_is_remembered_moves_nothing() -> None:
    line, drift = LineState(), DriftConfig(max_per_day=1000.0)
    scores = [0.0] * BLOCKS * BLOCK + [50.0] * (BLOCKS // 2 - 1) * BLOCK
    assert set(walk(line, scores, steadily(len(scores)), drift)) == {0.0}


def test_scores_that_are_no_numbers_say_nothing() -> None:
    line, drift = LineState(), DriftConfig()
    walk(line, [math.nan, math.inf, -math.inf] * 200, steadily(600), drift)
    assert (line.block, line.medians, line.offset) == ([], [], 0.0)


def test_huge_scores_are_beyond_and_no_overflow() -> None:
    line = LineState()
    walk(line, [1.7e308] * 400, steadily(400, DAY_NS), DriftConfig())
    assert (line.centre, line.offset, line.beyond) == (1.7e308, 3.0, True)


def test_beyond_the_bound_is_said_from_reaching_it_until_the_centre_is_back() -> None:
    drift, line = DriftConfig(max_per_day=16.0, max_total=1.0), LineState()
    ends = steadily(1000, DAY_NS // 128)
    scores = np.where(np.arange(1000) < 600, 1.45, 0.8)
    told = follow_lines([line] * 1000, scores, np.array(ends), np.zeros(1000, bool), 1, drift)
    # an eighth a window from the one that fills block 8: the eighth move reaches the bound of 1
    first = KNOWN - 1 + 7
    assert np.flatnonzero(told.crossed).tolist() == [first]
    # windows 592 to 607 are one block, with a median of 1.125; with 8 blocks of 0.8 after it the
    # median of all is 0.9625, with 9 it is 0.8: below 0.875, a quarter below what opens it
    ended = int(np.flatnonzero(told.beyond)[-1])
    assert told.beyond[first : ended + 1].all()
    assert ended == 608 + 9 * BLOCK - 2


def test_what_a_new_version_shows_again_is_charged_but_once() -> None:
    drift, line = DriftConfig(max_per_day=50.0, max_total=3.0), LineState()
    walk(line, [2.0] * 400, steadily(400, DAY_NS // 50), drift)
    assert line.offset == 1.875
    for version in range(2, 12):
        told = follow(line, [2.0] * 400, version, drift, DAY_NS // 50)
        # its own line first, then what it shows itself, and the whole bound is there for it
        assert told.offset[: KNOWN + 2].tolist() == [0.0] * KNOWN + [1.0, 1.875]
        assert (line.offset, line.used, line.carried) == (1.875, 0.0, 0.0)
        assert not told.beyond.any()


def test_what_a_new_version_has_absorbed_stays_charged() -> None:
    """By hand: 1.875 moved, 0.5 of it is still visible above the rest, so 1.375 are used up."""
    drift, line = DriftConfig(max_per_day=50.0, max_total=3.0), LineState()
    walk(line, [2.0] * 400, steadily(400, DAY_NS // 50), drift)
    follow(line, [0.625] * (KNOWN - 1), 2, drift, DAY_NS // 50)
    assert (line.used, line.carried, line.offset) == (0.0, 1.875, 0.0)
    follow(line, [0.625] * 100, 2, drift, DAY_NS // 50)
    assert (line.used, line.carried, line.offset) == (1.375, 0.0, 0.5)
    told = follow(line, [2.5] * 400, 2, drift, DAY_NS // 50)
    assert line.offset == 1.625  # all that is left
    assert told.beyond[-1]


def test_a_version_too_short_to_be_known_settles_nothing() -> None:
    drift, line = DriftConfig(max_per_day=50.0, max_total=3.0), LineState()
    walk(line, [2.0] * 400, steadily(400, DAY_NS // 50), drift)
    for version in range(2, 30):
        follow(line, [2.0] * (KNOWN - 1), version, drift, DAY_NS // 50)
        assert (line.used, line.carried, line.offset) == (0.0, 1.875, 0.0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 30))
def test_refits_without_drift_cost_nothing(seed: int, n: int) -> None:
    """However many: what is ordinary stays below the rest, so no line ever moves."""
    rng = np.random.default_rng(seed)
    drift, line = DriftConfig(), LineState()
    for version in range(1, n + 1):
        scores = rng.uniform(-1, REST, int(rng.integers(1, 400)))
        follow(line, scores, version, drift, DAY_NS // 96)
    assert (line.used, line.carried, line.offset, line.beyond) == (0.0, 0.0, 0.0, False)


@settings(max_examples=20, deadline=None)
@given(
    rise=st.floats(0.2, 1.5),
    every=st.integers(400, 1000),
    per_day=st.sampled_from([96, 360, 1440]),
    total=st.sampled_from([1.0, 3.0, 8.0]),
)
def test_a_ramp_that_refits_absorb_bit_by_bit_is_told_before_long(
    rise: float, every: int, per_day: int, total: float
) -> None:
    """Every model takes all that has happened before it for normal."""
    drift = DriftConfig(max_per_day=2.0, max_total=total)
    slope = rise / per_day  # a window; slower than the line may move
    # the last centre of a version lags by at most 9 blocks and its first is at most 5 ahead; what
    # lies between is moved and then absorbed, unless the first is not yet above the rest
    last, first = slope * (every - 9 * BLOCK) - REST, max(0.0, slope * 5 * BLOCK - REST)
    assume(last - first >= total / 30 and last + REST > drift.report)
    versions = math.ceil(total / (last - first)) + 2
    line, beyond = LineState(), list[bool]()
    for version in range(1, versions + 1):
        scores = slope * np.arange(every)
        beyond += follow(line, scores, version, drift, DAY_NS // per_day).beyond.tolist()
        assert line.used + line.carried + line.offset <= total + 1e-9
    assert any(beyond)


def test_about_the_level_that_opens_it_one_incident_stands_and_does_not_flicker() -> None:
    """With nothing left to move, at half a line; it ends a quarter lower."""
    drift, line = DriftConfig(max_per_day=50.0, max_total=3.0, report=0.5), LineState()
    walk(line, [3.125] * 400, steadily(400, DAY_NS // 50), drift)
    follow(line, [0.0] * 400, 2, drift, DAY_NS // 50)
    assert (line.used, line.beyond) == (3.0, False)
    rng = np.random.default_rng(0)
    levels = 0.5 + np.repeat(rng.choice([-0.2, 0.1], 60), BLOCKS * BLOCK)
    told = follow(line, levels, 2, drift, DAY_NS // 50)
    assert int(told.crossed.sum()) == 1
    assert told.beyond[-1]
    assert not follow(line, [0.25] * 400, 2, drift, DAY_NS // 50).beyond[-1]


def test_a_line_saved_before_refits_were_known_is_read() -> None:
    line = LineState()
    walk(line, [2.0] * 400, steadily(400, DAY_NS // 50), DriftConfig())
    assert LineState.from_list(line.to_list()[:-1]) == line


def test_a_state_that_forgets_what_is_not_settled_forgives_it() -> None:
    drift, line = DriftConfig(max_per_day=50.0), LineState()
    walk(line, [3.125] * 400, steadily(400, DAY_NS // 50), drift)
    line.begin(2)
    whole, broken = (LineState.from_list(orjson.loads(orjson.dumps(r))) for r in both(line))
    for each in (whole, broken):
        follow(each, [0.0] * KNOWN, 2, drift, DAY_NS // 50)
    assert (whole.used, broken.used) == (3.0, 0.0)


def both(line: LineState) -> tuple[list[Any], list[Any]]:
    """Return the record of a line, and one without what is not settled."""
    return line.to_list(), line.to_list()[:-1]


def test_an_incident_of_drift_outlives_the_model_until_the_new_scores_are_known() -> None:
    drift, line = DriftConfig(max_per_day=50.0, max_total=3.0), LineState()
    walk(line, [9.0] * 400, steadily(400, DAY_NS // 50), drift)
    ends = steadily(400, DAY_NS // 50, line.through or 0)
    rows = np.zeros(400), np.array(ends), np.zeros(400, bool)
    told = follow_lines([line] * 400, *rows, 2, drift)
    assert told.beyond.tolist() == [True] * (KNOWN - 1) + [False] * (400 - KNOWN + 1)
    assert not told.crossed.any()


def test_with_nothing_left_to_move_the_noise_of_a_new_model_is_no_drift() -> None:
    drift, line = DriftConfig(max_per_day=50.0, max_total=3.0), LineState()
    walk(line, [3.125] * 400, steadily(400, DAY_NS // 50), drift)
    for version, level, expected in ((2, 0.1, False), (3, 0.6, True)):
        ends = steadily(400, DAY_NS // 50, line.through or 0)
        rows = np.full(400, level), np.array(ends), np.zeros(400, bool)
        told = follow_lines([line] * 400, *rows, version, drift)
        assert (line.used, line.offset, line.beyond) == (3.0, 0.0, expected)
        assert not told.offset.any()


def test_every_further_move_by_what_is_to_be_reported_is_reported_in_both_directions() -> None:
    drift, line = DriftConfig(max_per_day=1.0, report=0.5), LineState()
    scores = np.repeat([1.5, 0.0], 600)
    ends = np.array(steadily(1200, DAY_NS // 128))  # a hop that makes steps without rounding
    rows = scores, ends, np.zeros(1200, bool)
    told = follow_lines([line] * 1200, *rows, 1, drift)
    # up to 1.375, 1.5 less the rest: at 0.5 and 1.0; down to 0: at 0.5 and 0.0
    assert len(told.reported) == 4
    after = [told.offset[i + 1] for i in told.reported]
    assert after == [0.5, 1.0, 0.5, 0.0]


@pytest.mark.parametrize("still", [{"max_per_day": 0.0}, {"max_total": 0.0}])
def test_a_bound_of_nothing_holds_the_line_still(still: dict[str, float]) -> None:
    line = LineState(offset=1.0, beyond=True)  # as it stood before the settings were changed
    rows = np.full(400, 5.0), np.array(steadily(400, DAY_NS)), np.zeros(400, bool)
    told = follow_lines([line] * 400, *rows, 1, DriftConfig(**still))
    assert not told.offset.any()
    assert not told.beyond.any()
    assert not told.reported


def test_what_a_line_remembers_is_small_and_nothing_before_the_first_window() -> None:
    line = LineState()
    assert line.to_list() == []
    scores = np.random.default_rng(0).normal(size=BLOCK * BLOCKS * 3 - 1)
    walk(line, list(scores), steadily(len(scores), DAY_NS // 96, 10**18), DriftConfig())
    assert (len(line.block), len(line.medians)) == (BLOCK - 1, BLOCKS)
    assert len(orjson.dumps(line.to_list())) < 1_000


def test_a_window_costs_next_to_nothing() -> None:
    n = 4_000
    rows = np.random.default_rng(0).normal(1, 0.3, n), np.array(steadily(n)), np.zeros(n, bool)

    def microseconds() -> float:
        lines = [LineState()] * n
        begin = time.perf_counter()
        follow_lines(lines, *rows, 1, DriftConfig())
        return (time.perf_counter() - begin) / n * 1e6

    assert min(microseconds() for _ in range(7)) < 5


# ------------------------------------------------------------------ what it can swallow


@settings(max_examples=40, deadline=None)
@given(
    size=st.floats(1.01, 3.99),
    clean=st.integers(0, 700),
    hop=st.sampled_from([1, 15, 60]).map(lambda minutes: minutes * MINUTE),
)
def test_a_constant_fault_is_swallowed_when_the_zone_says(
    size: float, clean: int, hop: int
) -> None:
    drift, line = DriftConfig(), LineState()
    days = swallowed_after(size, drift, hop)
    n = clean + math.ceil(days * DAY_NS / hop) + 3
    scores = [0.0] * clean + [size] * (n - clean)
    over = size - walk(line, scores, steadily(n, hop), drift)[clean:] > 1
    windows = int(np.argmin(over))  # the first that is no alarm
    assert not over[-1]
    assert (size - 1) / drift.max_per_day <= windows * hop / DAY_NS <= days + 2 * hop / DAY_NS
    assert line.beyond == (size > drift.max_total + REST and line.offset == drift.max_total)


def test_a_fault_beyond_the_zone_stays_above_the_line_for_ever() -> None:
    drift, line = DriftConfig(), LineState()
    assert swallowed_after(4.01, drift, MINUTE) == math.inf
    offset = walk(line, [4.01] * 1000, steadily(1000, DAY_NS), drift)
    assert (4.01 - offset).min() > 1
    assert line.beyond


@pytest.mark.parametrize(("slope", "heard"), [(1.9, False), (6.0, True)])
def test_a_ramp_no_steeper_than_the_line_is_followed_until_the_bound(
    slope: float, heard: bool
) -> None:
    """Windows of 100 s: what the medians lag behind is small."""
    drift, line, hop = DriftConfig(), LineState(), 100 * NS
    ramp = slope * np.arange(round(3 / slope * DAY_NS / hop)) * hop / DAY_NS
    scores = [0.0] * 300 + ramp.tolist()
    score = np.array(scores) - walk(line, scores, steadily(len(scores), hop), drift)
    assert (score > 1).any() == heard
    assert not line.beyond
    walk(line, [3.5] * 3000, steadily(3000, hop, line.through or 0), drift)
    assert line.beyond


def test_the_zone_says_what_the_settings_mean() -> None:
    zone = swallowing_zone(DriftConfig(max_per_day=1.5, max_total=6.0), 15 * MINUTE)
    assert zone == {
        "moves": True,
        "slope_per_day": 1.5,
        "total": 6.0,
        "delay_days": 160 * 15 / 1440,  # ten blocks of 16
        "silent_up_to": 6.125,
        "quiet_up_to": 7.0,
        "quiet_days": pytest.approx(160 * 15 / 1440 + 4),
    }
    assert orjson.loads(orjson.dumps(zone))["total"] == 6.0
    words = swallowing_words(DriftConfig(), 15 * MINUTE)
    assert "at most 2 a day and 3 in all" in words
    assert "(s - 1) / 2 + 1.7 days" in words
    with_refits = swallowing_words(DriftConfig(), 15 * MINUTE, retrains=True)
    assert with_refits.startswith(words)
    assert "held as well against the" in with_refits
    still = swallowing_zone(DriftConfig(max_per_day=0), MINUTE)
    assert (still["moves"], still["quiet_up_to"], still["quiet_days"]) == (False, 1.0, None)
    assert swallowed_after(1.1, DriftConfig(max_per_day=0), MINUTE) == math.inf


# ------------------------------------------------------------------ its incident


def why(leader: str = "temp") -> Details:
    sensor = SensorEvidence(name=leader, unit=None, share=1.0, expected=1.0, actual=2.0)
    return Details([sensor], [ChannelEvidence(channel="error", share=1.0)], [])


def verdict(
    place: int, score: float, *, drifted: bool = False, known: bool = True
) -> WindowVerdict:
    return WindowVerdict(
        "m",
        place * MINUTE,
        (place + 1) * MINUTE,
        scored=True,
        alarm=score > 1,
        drifted=drifted,
        score=score,
        raw=10 * score,
        line=10.0,
        p=0.5,
        explain=why if known else None,
        model_id="default",
        model_version=7,
    )


def rules(**alarm: object) -> Rules:
    return Rules(AlarmConfig.model_validate({"m": 2, "n": 3} | alarm), MINUTE, ("temp",))


def test_drift_opens_one_incident_and_closes_it_with_the_first_window_that_is_back() -> None:
    state, rule = AlertState(), rules()
    windows = [verdict(0, 0.2), *(verdict(i, 0.3, drifted=True) for i in range(1, 9))]
    results = [step(state, window, rule) for window in [*windows, verdict(9, 0.1)]]
    (number, opened), (last, closed) = (event for r in results for event in r.events)
    name = incident_id("m", "drift", rfc3339(MINUTE))
    assert (number, opened.incident_id, opened.kind, opened.event) == (1, name, "drift", "opened")
    assert (opened.severity, opened.score, opened.raw_score) == ("error", 0.3, 3.0)
    assert (opened.alarm_line, opened.p_value, opened.model_version) == (10.0, 0.5, 7)
    assert opened.sensors[0].name == "temp"
    assert (last, closed.event, closed.closed_reason) == (2, "closed", "recovered")
    assert closed.window_start == rfc3339(9 * MINUTE)
    assert [r.incident_id for r in results] == [None, *[name] * 8, None]
    assert not state.open


def test_a_drifted_window_alone_is_no_alarm_of_the_process() -> None:
    state, rule = AlertState(), rules()
    scores = [0.2, 1.5, 0.2, 1.5, 0.2]
    events = [
        (event.kind, event.event, i)
        for i, score in enumerate(scores)
        for _, event in step(state, verdict(i, score, drifted=True), rule).events
    ]
    assert events == [("drift", "opened", 0), ("process", "opened", 3)]
    assert set(state.open) == {"drift", "process"}
    restored = AlertState.from_dict(orjson.loads(orjson.dumps(state.to_dict())))
    assert restored == state


def test_the_incident_is_described_by_its_highest_window_that_can_be() -> None:
    """Null where nothing is known; once something is, a window without does not take it away."""
    state, rule = AlertState(), rules(m=3)
    (_, opened), *_ = step(state, verdict(0, 0.5, drifted=True, known=False), rule).events
    assert (opened.sensors, opened.evidence, opened.neighbours) == ([], None, None)
    for i, (score, known) in enumerate([(0.8, False), (1.2, True), (1.4, False), (1.1, True)], 1):
        step(state, verdict(i, score, drifted=True, known=known), rule)
        state = AlertState.from_dict(orjson.loads(orjson.dumps(state.to_dict())))
    (_, closed), *_ = step(state, verdict(9, 0.0), rule).events
    assert (closed.score, [s.name for s in closed.sensors]) == (1.2, ["temp"])


def test_a_window_that_is_not_scored_says_nothing_about_drift() -> None:
    state, rule = AlertState(), rules()
    step(state, verdict(0, 0.5, drifted=True), rule)
    assert step(state, WindowVerdict("m", MINUTE, 2 * MINUTE), rule).events == []
    assert "drift" in state.open


def test_drift_below_the_least_severity_is_not_told() -> None:
    state, rule = AlertState(), rules(min_severity="critical")
    results = [step(state, verdict(i, 0.5, drifted=i < 3), rule) for i in range(5)]
    assert [r for r in results if r.events or r.incident_id] == []
    assert state == AlertState()
