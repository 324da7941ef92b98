"""What is learned as normal moves within its bounds, or an operator says that it may."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_ad.alerting.drift import DAY_NS
from stream_ad.config import DriftConfig
from stream_ad.detector import Detector
from stream_ad.detector.calibration import Calibration
from stream_ad.detector.line import AlarmLine
from stream_ad.errors import ModelError
from stream_ad.training.moved import Account, Level, Moved, levels
from stream_ad.training.poisoning import Movement, check_moved
from stream_ad.training.reference import FEWEST, GROUP, Normal, days
from stream_ad.windows import Windows

HOUR_NS = DAY_NS // 24
QUIET = np.zeros(2)
NOBODY: frozenset[str] = frozenset()


class Known:
    """A reference whose raw score is the first cell of a window, and whose history was calm.

    Median 0, line 1: a raw score is a static score.
    """

    def __init__(self, machines: str = "ab", key: str = "first", base: float = 0.0) -> None:
        n, rng = 24 * 14, np.random.default_rng(0)
        machine = np.array([*machines] * n, object)
        start = np.arange(n).repeat(len(machines)) * HOUR_NS
        raw = 0.2 * rng.normal(size=len(start)) + base
        raw -= np.median(raw) - base
        self.calibration_ = Calibration(machine, start, raw, HOUR_NS, HOUR_NS)
        line = AlarmLine.for_rate(self.calibration_, 0.01, 10)
        self.line_ = replace(line, median=0.0, line=1.0)
        self.known = np.array([True])
        self.card = {"history": {"sha256": key}}

    def score(
        self, values: NDArray[np.float32], start: NDArray[np.int64], machine: object = None
    ) -> Any:
        return SimpleNamespace(raw=values[:, 0, 0].astype(np.float64))


@cache
def known(machines: str = "ab", key: str = "first", base: float = 0.0) -> Any:
    return Known(machines, key, base)


def shown(machine: str, first: float, last: float, static: float | NDArray[np.float64]) -> Windows:
    """Return a window an hour from one day to another, with those scores and a little noise."""
    start = np.arange(int(24 * first), int(24 * last), dtype=np.int64) * HOUR_NS
    noise = 0.05 * np.random.default_rng(len(start)).normal(size=len(start))
    values = (static + noise).astype(np.float32).reshape(-1, 1, 1)
    return Windows(np.array([machine] * len(start), object), start, values, np.arange(len(start)))


def judged(
    windows: list[Windows],
    now: float,
    moved: Moved | None = None,
    *,
    reference: Any = None,
    accepted: frozenset[str] = NOBODY,
    drift: DriftConfig | None = None,
) -> Movement:
    reference = reference or known()
    account = Account(reference, moved)
    found = levels(reference, Windows.concat(windows), 0.5, account, accepted)
    bounds = drift or DriftConfig(max_per_day=1.0, max_total=2.0)
    return check_moved(found, account, bounds, accepted, round(now * DAY_NS))


def still(name: str = "b") -> Windows:
    return shown(name, 0, 20, 0.0)


# ----------------------------------------------------------------- what counts


def test_what_stands_still_has_not_moved_and_may_not_move() -> None:
    """A bound of 0 leaves what chance explains, on twenty factories out of twenty."""
    nothing = DriftConfig(max_per_day=0, max_total=0)
    own = known().calibration_
    for seed in range(20):
        rng = np.random.default_rng(seed)
        raw = rng.permutation(own.raw.astype(np.float32))[: 24 * 20]
        start = np.arange(len(raw)) * HOUR_NS
        name = np.array(["a"] * len(raw), object)
        windows = Windows(name, start, raw.reshape(-1, 1, 1), np.arange(len(raw)))
        found = judged([windows, still()], now=20, drift=nothing)
        assert found.check.passed, found.check.sentence
    assert not judged([shown("a", 0, 20, 0.6), still()], now=20, drift=nothing).check.passed


def test_two_weeks_of_old_windows_do_not_hide_a_new_day() -> None:
    mixed = Windows.concat([shown("a", 0, 19, 0.0), shown("a", 19, 20, 2.5)])
    assert np.median(mixed.values) < 0.1
    found = judged([mixed, still()], now=20, moved=Moved(19 * DAY_NS))
    assert found.beyond[0] == "a"
    assert found.moved.total["a"][0] == pytest.approx(2.5, abs=0.1)
    assert found.moved.total["b"][0] < 0.1


def test_a_quiet_day_does_not_hide_those_since_the_last_promotion() -> None:
    parts = [shown("a", 0, 16, 0.0), shown("a", 16, 19, 2.5), shown("a", 19, 20, 0.0)]
    found = judged([*parts, still()], now=20, moved=Moved(16 * DAY_NS))
    assert found.beyond[0] == "a"
    assert judged([*parts, still()], now=20, moved=Moved(19 * DAY_NS)).check.passed


@pytest.mark.parametrize(("share", "refused"), [(0.0, False), (0.04, False), (0.2, True)])
def test_a_fifth_of_crafted_windows_counts_as_well(share: float, refused: bool) -> None:
    """They leave the median where it was."""
    static = np.where(np.arange(24 * 20) % 25 < 25 * share, 4.0, 0.0)
    found = judged([shown("a", 0, 20, static), still()], now=20)
    assert found.check.passed is not refused
    if refused:
        assert found.moved.total["a"][0] < 0.2
        assert "a tenth of what a showed lately scores at least" in found.check.sentence


def test_who_feeds_the_windows_does_not_widen_what_noise_allows() -> None:
    wild = np.where(np.arange(24 * 20) % 2 == 0, 2.6, 30.0)
    account = Account(known(), None)
    calm, torn = (
        levels(known(), shown("a", 0, 20, static), 0.5, account, NOBODY)["a"]
        for static in (0.0, wild)
    )
    assert np.array_equal(calm.noise, torn.noise)


def test_quieter_than_normal_has_not_moved_nor_who_comes_back_from_there() -> None:
    nothing = DriftConfig(max_per_day=0, max_total=0)
    down = judged([shown("a", 0, 20, -3.0), still()], now=20, drift=nothing)
    assert down.check.passed
    back = [shown("a", 0, 20, -3.0), shown("a", 20, 21, 0.0), still()]
    assert judged(back, now=21, moved=down.moved, drift=nothing).check.passed


def test_a_machine_with_too_few_windows_counts_with_the_group() -> None:
    few = [shown(name, 19, 19.5, 2.6) for name in "cdef"]
    assert all(len(part) < FEWEST for part in few)
    found = judged(few, now=20)
    assert found.moved.total.keys() == {GROUP}
    assert found.beyond == (GROUP,)
    assert "of what the group showed lately" in found.check.sentence
    assert judged(few[:1], now=20).check.sentence.startswith("no machine has enough windows")


# ----------------------------------------------------------------- per day, and in all


def test_a_day_allows_its_share_of_the_way() -> None:
    at = Moved(19 * DAY_NS, {"a": (0.0, 0.0)}, {"a": (0.0, 0.2)}, "first")
    parts = [shown("a", 0, 19, 0.0), shown("a", 19, 20, 1.6)]
    quick = judged(parts, now=20, moved=at)
    assert quick.beyond[0] == "a"
    assert "drift.max_per_day and noise allow 1." in quick.check.sentence
    assert judged(parts, now=21, moved=at).check.passed


def test_a_fault_that_grows_through_several_promotions_is_refused_at_the_bound() -> None:
    """Every step is small; what was learned of it counts on."""
    moved: Moved | None = Moved(14 * DAY_NS)
    reached = []
    for day in range(15, 25):
        grown = 0.4 * (day - 14)
        windows = [shown("a", 0, day - 1, grown - 0.4), shown("a", day - 1, day, grown), still()]
        found = judged(windows, now=day, moved=moved)
        reached.append(grown)
        if not found.check.passed:
            break
        moved = found.moved
    noise = Normal(known()).noise(24, 24)[0]
    assert 2.0 < reached[-1] <= 2.0 + noise + 0.4 + 0.1
    assert "drift.max_total and noise allow" in found.check.sentence
    assert f"{reached[-2]:.1f}" in found.check.sentence  # where it stood at the last promotion


def test_who_is_away_is_not_forgotten() -> None:
    moved = judged([shown("a", 0, 20, 0.9), still()], now=20, moved=Moved(19 * DAY_NS)).moved
    away = judged([still()], now=21, moved=moved)
    assert away.moved.total["a"] == moved.total["a"]
    assert away.moved.zero["a"] == moved.zero["a"]
    assert away.moved.at == 21 * DAY_NS


def test_a_machine_that_nobody_knew_is_held_against_the_group() -> None:
    found = judged(
        [shown("new", 0, 20, 1.9), still()], now=20, moved=Moved(20 * DAY_NS, reference="first")
    )
    assert found.check.passed  # no pace is known of it yet
    found = judged([shown("new", 0, 20, 2.6), still()], now=20)
    assert found.beyond[0] == "new"


# ----------------------------------------------------------------- an operator accepts


def test_an_accepted_machine_may_be_anywhere_and_counts_from_there() -> None:
    parts = [shown("a", 0, 20, 5.0), still()]
    refused = judged(parts, now=20)
    assert refused.beyond[0] == "a"
    assert "if this is the new normal: stream-ad label ID normal --new-normal" in (
        refused.check.sentence
    )
    taken = judged(parts, now=20, accepted=frozenset({"a"}))
    assert taken.check.passed
    assert "an operator accepted the new normal of a" in taken.check.sentence
    assert taken.moved.total["a"] == (0.0, 0.0)
    assert judged(parts, now=21, moved=taken.moved).check.passed
    farther = [shown("a", 0, 21, 5.0), shown("a", 21, 22, 7.6), still()]
    assert judged(farther, now=24, moved=taken.moved).beyond[0] == "a"


def test_all_machines_may_be_accepted_at_once() -> None:
    parts = [shown("a", 0, 20, 5.0), shown("b", 0, 20, 6.0)]
    found = judged(parts, now=20, accepted=frozenset({GROUP}))
    assert found.check.passed
    assert set(found.moved.total.values()) == {(0.0, 0.0)}
    assert found.beyond == ()


def test_an_accepted_machine_does_not_vouch_for_another() -> None:
    """The accepted detector becomes the reference: what b had moved by then still counts."""
    moved = Moved(18 * DAY_NS, {"b": (0.0, 0.0)}, {"b": (0.0, 0.25)}, "first")
    parts = [shown("a", 0, 20, 5.0), shown("b", 0, 20, 1.7)]
    taken = judged(parts, now=20, moved=moved, accepted=frozenset({"a"}))
    assert taken.check.passed
    assert taken.moved.total["b"][0] == pytest.approx(1.7, abs=0.1)
    # the successor holds 1.7 for normal on b: seen by it, another 0.7 is all that was new
    second = known("ab", "second")
    parts = [shown("a", 0, 22, 0.0), shown("b", 0, 22, 0.7)]
    found = judged(parts, now=22, moved=taken.moved, reference=second)
    assert found.beyond == ("b",)
    assert found.moved.total["b"][0] == pytest.approx(2.4, abs=0.15)
    assert found.moved.total["a"][0] < 0.1


# ----------------------------------------------------------------- arithmetic and form


@given(
    levels_at=st.lists(st.floats(-3, 6), min_size=2, max_size=2),
    before=st.floats(0, 3),
    per_day=st.floats(0, 3),
    total=st.floats(0, 4),
    hours=st.integers(0, 96),
)
def test_what_is_allowed_is_the_least_of_both_bounds_and_noise(
    levels_at: list[float], before: float, per_day: float, total: float, hours: int
) -> None:
    moved = Moved(0, {"a": (before, before)}, {"a": (0.0, 0.0)}, "first")
    level = {"a": Level(np.array(levels_at), np.array([0.25, 0.25]))}
    drift = DriftConfig(max_per_day=per_day, max_total=total)
    found = check_moved(level, Account(known(), moved), drift, NOBODY, hours * HOUR_NS)
    allowed = min(total, before + per_day * hours / 24) + 0.25
    assert found.check.passed == all(max(0.0, at) <= allowed for at in levels_at)
    assert found.moved.total["a"] == tuple(max(0.0, at) for at in levels_at)


@given(st.lists(st.integers(0, 9 * 24), min_size=0, max_size=200))
def test_days_are_disjoint_and_of_the_newest_windows(hours: list[int]) -> None:
    start = np.array(hours, np.int64) * HOUR_NS
    blocks = [*days(start)]
    rows = [row for block in blocks for row in block.tolist()]
    assert len(rows) == len(set(rows))
    assert len(start) - len(rows) < FEWEST
    for newer, older in pairwise(blocks):
        assert start[newer].min() >= start[older].max()
    for block in blocks:
        assert len(block) >= FEWEST
        longer = start[block].max() - start[block].min() >= DAY_NS
        assert not longer or len(block) == FEWEST


def test_moved_goes_through_json() -> None:
    moved = judged([shown("a", 0, 20, 0.5), still()], now=20).moved
    assert Moved.from_json(moved.to_json()) == moved


def test_a_reference_without_finite_scores_is_an_error() -> None:
    with pytest.raises(ModelError, match="the reference gives scores that are not finite"):
        levels(known(), shown("a", 0, 20, np.inf), 0.5, Account(known(), None), NOBODY)


def test_a_reference_that_can_score_nothing_says_nothing() -> None:
    assert levels(known(), shown("a", 0, 20, np.nan), 0.5, Account(known(), None), NOBODY) == {}


def test_a_real_reference_has_its_own_history_for_zero() -> None:
    rng = np.random.default_rng(0)
    detector = Detector("linear", "error").fit(rng.normal(size=(300, 6)))
    normal = Normal(detector)
    static = detector.line_.static_score(detector.calibration_.raw)
    assert normal.zero["machine"].tolist() == np.quantile(static, [0.5, 0.9]).tolist()
    assert normal.until == 300 * 10**9
