"""The course of the day: found where there is one, nothing where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_ad.detector.daily import BINS, DAY, DailyCourse

NAN = np.nan
MINUTE = 60 * 10**9
HOUR = 60 * MINUTE
Starts = NDArray[np.int64]


def starts(days: float, length: int = 12, period: int = 10 * MINUTE, since: int = 0) -> Starts:
    return np.arange(since, since + int(days * DAY), length * period, dtype=np.int64)


def angle(start: Starts, length: int, period: int) -> NDArray[np.float64]:
    """Return the hour of the day of each slot as an angle, (n, T)."""
    return 2 * np.pi * (start[:, None] + np.arange(length) * period) / DAY


def sine(
    start: Starts, length: int = 12, period: int = 10 * MINUTE, noise: float = 0.3, seed: int = 0
) -> NDArray[np.float32]:
    """Return windows (n, T, 1): a sine of one day, and noise."""
    curve = np.sin(angle(start, length, period))
    noisy = curve + np.random.default_rng(seed).normal(scale=noise, size=curve.shape)
    return np.asarray(noisy[..., None], np.float32)


def fitted(x: NDArray[np.float32], start: Starts, period: int = 10 * MINUTE) -> DailyCourse:
    daily = DailyCourse.fit(x, start, period)
    assert daily is not None
    return daily


@pytest.mark.parametrize("since", [0, 1_700_000_000 * 10**9 // DAY * DAY + 7 * HOUR, -3 * DAY])
def test_a_sine_of_one_day_is_found_whenever_the_history_begins(since: int) -> None:
    start = starts(10, since=since)
    daily = fitted(sine(start), start)
    assert daily.course.shape == (BINS, 1)
    wanted = np.sin(angle(start, 12, 10 * MINUTE))
    assert np.abs(daily.at(start, 12)[..., 0] - wanted).max() < 0.35  # of 10 noisy days
    assert np.sqrt(np.mean((daily.at(start, 12)[..., 0] - wanted) ** 2)) < 0.12


def test_the_course_of_bins_is_the_smoothed_mean_by_hand() -> None:
    """One sensor, ten days, high in the first bin of the day only."""
    start = starts(10, length=1)
    x = np.where(start % DAY == 0, 14.4, 0.0).astype(np.float32).reshape(-1, 1, 1)
    daily = fitted(x, start)
    mean = 14.4 / BINS
    high = (10 * 14.4 - 30 * mean) / 31  # three bins of ten cells, and one cell at the mean
    low = (0 - 30 * mean) / 31
    wanted = np.full(BINS, low)
    wanted[[BINS - 1, 0, 1]] = high
    factor = daily.course[0, 0] / high
    assert 0 < factor <= 1
    np.testing.assert_allclose(daily.course[:, 0], factor * wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_noise_has_no_course(seed: int) -> None:
    start = starts(6)
    x = np.random.default_rng(seed).normal(size=(len(start), 12, 3)).astype(np.float32)
    assert DailyCourse.fit(x, start, 10 * MINUTE) is None


@pytest.mark.parametrize("hours", [5, 17, 36])
def test_a_rhythm_of_other_than_a_day_is_not_taken_for_one(hours: float) -> None:
    start = starts(15)
    x = np.sin(angle(start, 12, 10 * MINUTE) * 24 / hours)[..., None].astype(np.float32)
    assert DailyCourse.fit(x, start, 10 * MINUTE) is None


def test_a_slow_drift_is_not_taken_for_a_course() -> None:
    start = starts(9)
    x = np.repeat(start[:, None, None] / DAY, 12, axis=1).astype(np.float32)
    assert DailyCourse.fit(x, start, 10 * MINUTE) is None


@pytest.mark.parametrize("days", [0.1, 1, 1.9, 2])
def test_less_than_three_days_have_no_course(days: float) -> None:
    """Days are counted by the calendar, in UTC."""
    start = starts(days)
    assert DailyCourse.fit(sine(start, noise=0), start, 10 * MINUTE) is None


def test_windows_longer_than_a_day_have_none() -> None:
    start = np.arange(20, dtype=np.int64) * 2 * DAY
    assert DailyCourse.fit(sine(start, 48, HOUR, noise=0), start, HOUR) is None


def test_a_sensor_without_a_course_takes_no_part() -> None:
    start = starts(8)
    x = np.concatenate([sine(start), sine(start, noise=1, seed=1) * 0], axis=2)
    rng = np.random.default_rng(2)
    x = np.concatenate([x, rng.normal(size=x[..., :1].shape)], axis=2).astype(np.float32)
    daily = fitted(x, start)
    assert daily.course[:, 0].any()
    assert not daily.course[:, 1:].any()


def test_a_sensor_never_seen_takes_no_part_and_gaps_do_not_matter() -> None:
    start = starts(8)
    x = np.repeat(sine(start), 2, axis=2)
    x[:, :, 1] = NAN
    x[np.random.default_rng(0).random(x.shape) < 0.2] = NAN
    x[5] = NAN
    daily = fitted(x, start)
    assert not daily.course[:, 1].any()
    whole = fitted(sine(start), start)
    np.testing.assert_allclose(daily.course[:, 0], whole.course[:, 0], atol=0.2)


def test_hours_that_were_never_seen_have_no_course() -> None:
    """A machine that runs from 6 to 18: at night nothing is known, and nothing taken off."""
    start = starts(10)
    start = start[(start % DAY >= 6 * HOUR) & (start % DAY < 18 * HOUR)]
    daily = fitted(sine(start), start)
    night = np.r_[0 : 6 * 6 - 1, 18 * 6 + 1 : BINS]  # but for the neighbours of a bin seen
    assert not daily.course[night].any()
    assert daily.course[6 * 6 : 18 * 6].any(axis=1).all()


@pytest.mark.parametrize("period", [7 * MINUTE, 13_000_000_007, 90 * MINUTE])
def test_periods_that_do_not_divide_the_day(period: int) -> None:
    length = min(12, DAY // period)
    start = np.arange(0, 8 * DAY, length * period, dtype=np.int64)
    daily = fitted(sine(start, length, period), start, period)
    told, wanted = daily.at(start, length)[..., 0], np.sin(angle(start, length, period))
    seen = told != 0  # a long period leaves bins without any cell
    assert seen.mean() > 0.9
    assert np.sqrt(np.mean((told - wanted)[seen] ** 2)) < 0.25


def test_the_order_of_the_windows_does_not_matter() -> None:
    start = starts(8)
    x, order = sine(start), np.random.default_rng(0).permutation(len(start))
    np.testing.assert_array_equal(fitted(x[order], start[order]).course, fitted(x, start).course)


def test_the_course_under_a_window_is_that_of_its_hours_in_utc() -> None:
    course = np.arange(BINS, dtype=np.float32)[:, None]
    daily = DailyCourse(course, 20 * MINUTE)
    start = np.array([0, 5 * DAY + HOUR, DAY - 20 * MINUTE, -10 * MINUTE])
    wanted = [[0, 2, 4], [6, 8, 10], [142, 0, 2], [143, 1, 3]]
    np.testing.assert_array_equal(daily.at(start, 3)[..., 0], wanted)


def test_taking_it_off_lowers_the_variance_of_days_not_learned_from() -> None:
    start = starts(12)
    x = sine(start, noise=0.3)
    past, later = start < 8 * DAY, start >= 8 * DAY
    rest = x[later] - fitted(x[past], start[past]).at(start[later], 12)
    assert rest.var() < 1.3 * 0.3**2 < x[later].var() / 4
