"""What a full bank keeps: rare states, and common ones as dense as they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.detector.ares import Ares
from stream_ad.detector.bank import Bank
from stream_ad.detector.coreset import FEWEST, thin
from stream_ad.detector.index import ExactIndex

Z = np.ndarray


def evenly(n: int, most: int) -> Z:
    return np.linspace(0, n - 1, most).astype(np.int64)


def cycle(n: int, rng: np.random.Generator) -> Z:
    """Return latents of a machine that repeats one cycle, with noise."""
    phase = 2 * np.pi * np.arange(n) / 37.3
    waves = np.stack([np.sin(phase), np.cos(phase), np.sin(2 * phase), np.cos(2 * phase)], axis=1)
    return (waves + 0.05 * rng.normal(size=(n, 4))).astype(np.float32)


def lonely(bank: Z, z: Z) -> Z:
    """Return the local outlier factors of latents among a bank."""
    names, n = np.full(len(bank), "m", object), len(bank)
    whole = Bank(bank, np.zeros(n), names, np.arange(n), np.ones(n, np.int64), np.zeros(n, bool))
    return Ares(whole, ExactIndex(bank), k=10, alpha=1.0).score(z, np.zeros(len(z)))


def test_a_state_of_one_thousandth_stays_and_is_still_ordinary_when_it_returns() -> None:
    rng = np.random.default_rng(0)
    history, visit = cycle(20_000, rng), slice(7_000, 7_020)
    elsewhere = np.array([0.0, 0, 4, 0], np.float32)
    history[visit] = elsewhere + 0.3 * history[visit]
    again = elsewhere + 0.3 * cycle(100, rng)
    kept, even = thin(history, 1_000), evenly(20_000, 1_000)
    stayed = [np.isin(rows, np.arange(7_000, 7_020)).sum() for rows in (kept, even)]
    assert stayed == [FEWEST, 1]
    whole = np.quantile(lonely(history, again), 0.9)
    assert np.quantile(lonely(history[kept], again), 0.9) < 1.1 * whole
    assert np.quantile(lonely(history[even], again), 0.1) > 1.5 * whole


def test_common_states_are_judged_as_by_even_thinning() -> None:
    rng = np.random.default_rng(1)
    history, fresh = cycle(20_000, rng), cycle(500, rng)
    history[300:320] += 5
    kept, even = thin(history, 2_000), evenly(20_000, 2_000)
    ours, theirs = lonely(history[kept], fresh), lonely(history[even], fresh)
    np.testing.assert_allclose(
        np.quantile(ours, [0.1, 0.5, 0.9]), np.quantile(theirs, [0.1, 0.5, 0.9]), rtol=0.05
    )


def test_common_states_keep_their_shares_and_their_spread_over_time() -> None:
    """One of 70 % and one of 30 % still are after a bank is filled by a twentieth."""
    rng = np.random.default_rng(2)
    first = rng.random(40_000) < 0.7
    history = np.where(first[:, None], 0, 50) + rng.uniform(-1, 1, size=(40_000, 3))
    kept = thin(history.astype(np.float32), 2_000)
    assert first[kept].mean() == pytest.approx(0.7, abs=0.05)
    assert np.histogram(kept, bins=8, range=(0, 40_000))[0] == pytest.approx(250, rel=0.1)


def test_rare_states_never_take_more_than_a_quarter() -> None:
    """A history of strangers, each farther off than all before, changes little."""
    history = np.cumsum(np.arange(3_000.0))[:, None].astype(np.float32)
    kept = thin(history, 1_024)
    assert len(np.intersect1d(kept, evenly(3_000, 1_024))) > 200
    assert np.histogram(kept, bins=4, range=(0, 3_000))[0].min() > 0.75 * 1_024 / 4


@given(st.integers(2, 400), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_the_bank_is_full_to_its_cap_in_time_order_each_row_once(
    n: int, most: int, seed: int
) -> None:
    z = np.random.default_rng(seed).integers(0, 9, size=(n, 2)).astype(np.float32)
    kept = thin(z, most)
    assert len(kept) == min(n, most)
    assert (np.diff(kept) > 0).all()
    assert kept[0] >= 0
    assert kept[-1] < n
    np.testing.assert_array_equal(kept, thin(z, most))


@pytest.mark.parametrize("most", [2, 3, 100, 127])
def test_a_bank_too_small_for_states_is_even_in_time(most: int) -> None:
    z = np.random.default_rng(3).normal(size=(500, 2)).astype(np.float32)
    np.testing.assert_array_equal(thin(z, most), evenly(500, most))


def test_every_state_too_small_to_thin_is_kept_whole() -> None:
    z = np.linspace(0, 1, 6_000, dtype=np.float32)[:, None]
    z[1_000:1_003] += 100
    z[2_000:2_010] += 300
    kept = thin(z, 512)
    assert np.isin([*range(1_000, 1_003), *range(2_000, 2_010)], kept).all()


@given(st.integers(0, 60), st.integers(1, 100), st.integers(0, 2**32 - 1))
def test_of_what_is_sure_a_quarter_of_the_room_is_kept_evenly(
    count: int, most: int, seed: int
) -> None:
    """All of it, or as many as a quarter of the room; the rest is thinned as it would be alone."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(200, 2)).astype(np.float32)
    sure = np.zeros(200, bool)
    sure[rng.permutation(200)[:count]] = True
    kept = thin(z, most, sure)
    room = min(count, max(1, most // 4))
    assert len(kept) == len({*kept}) == most
    assert sure[kept].sum() == room
    others = np.flatnonzero(~sure)
    alone = others[thin(z[others], most - room)] if most > room else others[:0]
    assert kept[~sure[kept]].tolist() == alone.tolist()


def test_a_latent_is_sure_if_any_window_that_has_it_is() -> None:
    z = np.array([[1.0], [2.0], [1.0], [3.0]], np.float32)
    sure = np.array([False, False, True, False])
    bank = Bank.build(z, np.zeros(4), np.array(["m"] * 4, object), np.arange(4), 9, sure)
    assert (bank.z[:, 0].tolist(), bank.sure.tolist()) == ([1, 2, 3], [True, False, False])
