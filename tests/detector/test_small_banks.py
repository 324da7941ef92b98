"""Small banks equal their definition, and see what one large bank of the same rows cannot."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from stream_ad.detector.joined_rows import JoinedRows
from stream_ad.detector.scaling import Scaler
from stream_ad.detector.small_banks import (
    BANKS,
    HEARD,
    LEAST,
    LINES,
    NEAR,
    PART,
    POOL,
    SENSORS,
    SIZES,
    SmallBanks,
)
from stream_ad.detector.units import TailUnits
from tests.detector.test_joined import joined_of

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]
SCALED, RANGES = range(len(LINES))


def rows_of(n: int = 300, sensors: int = 4, seed: int = 0) -> Rows:
    """Return windows of one slot of sensors that move together."""
    rng = np.random.default_rng(seed)
    mixed = np.random.default_rng(9).normal(size=(sensors, sensors))
    return np.asarray(rng.normal(size=(n, 1, sensors)) @ mixed, np.float32)


def held_by(banks: SmallBanks, bank: int) -> NDArray[np.int64]:
    held: NDArray[np.int64] = banks.members[bank][banks.members[bank] >= 0]
    return held


def seen_by(banks: SmallBanks, bank: int, rows: Rows) -> Floats:
    """Return rows (n, C) as a bank weighs them, in double precision."""
    wide = rows.astype(np.float64)
    plain = wide if banks.line[bank] == SCALED else 3 * np.sinh(wide / 3)
    seen: Floats = plain * banks.weights[bank]
    return seen


def slow(banks: SmallBanks, x: Rows) -> tuple[Floats, Floats]:
    """Return amounts and parts of windows one bank after another, as the words say."""
    rows = np.nan_to_num(x[:, 0])
    said: list[list[Floats]] = [[], []]
    parts = np.zeros((len(x), 2, x.shape[2]))
    for bank, line in enumerate(banks.line):
        own, odd = (seen_by(banks, bank, each) for each in (banks.rows, rows))
        own = own[held_by(banks, bank)]
        far = cdist(odd, own, "cityblock")
        usual = banks.usual[bank]
        said[line].append(np.log(far.min(axis=1) / usual + NEAR))
        parts[:, line] += np.abs(odd - own[far.argmin(axis=1)]) / usual
    most = [np.sort(np.array(each), axis=0)[-HEARD:].mean(axis=0) for each in said]
    return np.stack(most, axis=1), parts / BANKS


@pytest.mark.parametrize(("n", "sensors"), [(2, 1), (30, 3), (300, 9)])
def test_amounts_and_parts_equal_the_definition(n: int, sensors: int) -> None:
    banks, odd = SmallBanks.fit(rows_of(n, sensors), 0), 3 * rows_of(40, sensors, seed=1)
    amounts, parts = banks(odd)
    wanted, wanted_parts = slow(banks, odd)
    np.testing.assert_allclose(amounts, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(parts, wanted_parts, rtol=1e-4, atol=1e-5)


def test_usual_is_the_median_distance_of_the_rows_that_a_bank_does_not_hold() -> None:
    banks = SmallBanks.fit(rows_of(), 0)
    for bank in range(0, len(banks.line), 17):
        seen, held = seen_by(banks, bank, banks.rows), held_by(banks, bank)
        far = cdist(np.delete(seen, held, axis=0), seen[held], "cityblock").min(axis=1)
        assert banks.usual[bank] == pytest.approx(np.median(far), rel=1e-5)


def test_shares_of_ranges_are_distances_of_the_raw_values() -> None:
    """City block over what each sensor spans, whatever scaler the rows have been through."""
    raw = rows_of(400, 5) * np.float32(7) + np.float32(100)
    raw[:5] *= 40  # far into the squash
    scaler = Scaler.fit(raw)
    banks = SmallBanks.fit(scaler.scale(raw), 0)
    for bank in range(BANKS, len(banks.line), 7):
        plain = raw[:, 0].astype(np.float64) / np.ptp(raw[:, 0], axis=0)
        plain *= banks.weights[bank] > 0
        own, seen = plain[held_by(banks, bank)], seen_by(banks, bank, banks.rows)
        found = cdist(seen, seen[held_by(banks, bank)], "cityblock")
        np.testing.assert_allclose(found, cdist(plain, own, "cityblock"), rtol=2e-3, atol=2e-3)


def test_what_the_scaler_made_alike_weighs_alike() -> None:
    banks = SmallBanks.fit(rows_of(), 0)
    for bank in range(BANKS):
        assert banks.line[bank] == SCALED
        assert set(banks.weights[bank]) <= {0.0, 1.0}


@pytest.mark.parametrize("n", [2, 9, 40, 200, 5_000])
def test_banks_stay_small_different_and_within_the_pool(n: int) -> None:
    sensors = 20
    banks = SmallBanks.fit(rows_of(n, sensors), 0)
    assert len(banks.rows) == min(n, POOL)
    most = min(max(LEAST, len(banks.rows) // PART), len(banks.rows) - 1)
    for bank in range(len(banks.line)):
        held = held_by(banks, bank)
        assert len(held) == len(np.unique(held))
        assert len(held) == min(SIZES[bank % len(SIZES)], most)
        looks = int((banks.weights[bank] > 0).sum())
        assert SENSORS[0] * sensors <= looks <= SENSORS[1] * sensors


def test_a_window_has_the_same_bits_in_any_batch_and_order() -> None:
    banks, x = SmallBanks.fit(rows_of(300, 7), 0), rows_of(600, 7, seed=5)
    whole, sensors = banks(x)
    order = np.random.default_rng(0).permutation(600)
    for rows in (order, order[:7], order[:1], order[7:264]):
        again, parts = banks(x[rows])
        np.testing.assert_array_equal(again, whole[rows])
        np.testing.assert_array_equal(parts, sensors[rows])


def test_the_seed_decides_and_numpys_own_generator_is_left_alone() -> None:
    x, odd = rows_of(), rows_of(9, seed=1)
    before = str(np.random.get_state())  # noqa: NPY002 - it must not move
    first, again, other = (SmallBanks.fit(x, seed)(odd)[0] for seed in (3, 3, 4))
    assert str(np.random.get_state()) == before  # noqa: NPY002
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_its_arrays_say_is_all_that_it_is() -> None:
    banks, odd = SmallBanks.fit(rows_of(), 0), rows_of(9, seed=1)
    again = SmallBanks(**{name: getattr(banks, name).copy() for name in SmallBanks.names()})
    np.testing.assert_array_equal(again(odd)[0], banks(odd)[0])
    assert all(given == wanted for given, wanted in banks.expected(1, 4).values())
    assert any(given != wanted for given, wanted in banks.expected(1, 5).values())


def test_a_missing_value_is_its_sensors_median() -> None:
    x = rows_of()
    x[::7, 0, 1] = np.nan
    full = np.nan_to_num(x)  # scaled: the median lies at 0
    np.testing.assert_array_equal(SmallBanks.fit(x, 0)(x)[0], SmallBanks.fit(full, 0)(full)[0])


def test_a_sensor_that_stood_still_shows_when_it_moves() -> None:
    x = rows_of()
    x[:, 0, 2] = 0
    usual, moved = x[:20], x[:20].copy()
    moved[:, 0, 2] = 30
    banks = SmallBanks.fit(x, 0)
    assert (banks(moved)[0] > banks(usual)[0]).all()
    assert (banks(moved)[1].argmax(axis=2) == 2).all()


def test_equal_rows_and_huge_values_give_finite_numbers() -> None:
    same = np.zeros((50, 1, 3), np.float32)
    huge = rows_of()
    huge[0] = 120  # what the scaler makes of 1e18
    for x in (same, huge):
        for part in SmallBanks.fit(x, 0)(
            np.concatenate([same[:1, :, :1].repeat(x.shape[2], 2), x])
        ):
            assert np.isfinite(part).all()


@pytest.mark.parametrize("line", [SCALED, RANGES])
def test_anomalies_that_were_learned_from_are_seen(line: int) -> None:
    """Ten of a kind among 400 rows: each finds its like in one large bank, and in most small."""
    alike = [rows_of(10, seed=seed) / 20 + np.float32(8) for seed in (1, 2)]
    x = np.concatenate([rows_of(400), alike[0]])
    test = np.concatenate([rows_of(200, seed=1), alike[1]])
    truth = np.arange(len(test)) >= 200
    nearest = NearestNeighbors(n_neighbors=5).fit(x[:, 0]).kneighbors(test[:, 0])[0].mean(axis=1)
    banks = SmallBanks.fit(x, 0)
    assert roc_auc_score(truth, nearest) < 0.2
    assert roc_auc_score(truth, banks(test)[0][:, line]) > 0.9


@pytest.mark.parametrize("line", [SCALED, RANGES])
def test_what_lies_between_two_kinds_of_normal_is_seen(line: int) -> None:
    kinds = np.repeat([-6, 6], 300)[:, None, None].astype(np.float32)
    noise = np.random.default_rng(0).normal(size=(840, 1, 4)).astype(np.float32) / 2
    x, usual, odd = noise[:600] + kinds, noise[600:800] + kinds[200:400], noise[800:]
    amounts = SmallBanks.fit(np.asarray(x, np.float32), 0)(np.concatenate([usual, odd]))[0]
    truth = np.arange(240) >= 200
    assert roc_auc_score(truth, amounts[:, line]) > 0.99


def test_joined_rows_take_the_mean_of_the_lines_in_tail_units_the_ranges_twice() -> None:
    rng, bank = np.random.default_rng(0), joined_of()
    lines, odd = rng.normal(size=(200, 2)), 3 * rng.normal(size=(30, 2))
    joined = JoinedRows(bank.bank, bank.index, k=3, alpha=0.5)
    joined.calibrate(lines)
    each = [TailUnits.fit(lines[:, i])(odd[:, i]) for i in range(2)]
    raw = joined.score(np.zeros((30, 2), np.float32), np.zeros(30), odd)
    np.testing.assert_allclose(raw, (each[SCALED] + 2 * each[RANGES]) / 3, rtol=1e-12)
    again = JoinedRows(bank.bank, bank.index, k=3, alpha=0.5)
    again.recall(joined.arrays())
    np.testing.assert_array_equal(again.join(odd), raw)
