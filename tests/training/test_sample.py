"""Which windows a sample keeps: the same however they come, fewer of the old ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_ad.training.sample import Keys, Sample, Starts, Tags, labelled_first, smallest

LIFE = 1_000
B2SUM = "15d8d767d2a6ebd3"  # printf '0\0a' | b2sum -l 64
SURE = 1e-6  # how likely a bound below fails although the law holds


def table(sample: Sample, machines: int, blocks: int, block_ns: int) -> tuple[Keys, Starts, Tags]:
    """Return one window a block of each machine."""
    tags = np.array([sample.tag(f"machine {i}") for i in range(machines)], np.uint64)
    tag, start = np.repeat(tags, blocks), np.tile(np.arange(blocks) * block_ns, machines)
    return sample.keys(tag, start), start, tag


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), limit=st.integers(1, 60), life=st.sampled_from([None, 300]))
def test_what_is_kept_follows_from_the_windows_however_they_come_and_are_dropped(
    seed: int, limit: int, life: int | None
) -> None:
    rng = np.random.default_rng(seed)
    sample = Sample(limit, life, block_ns=40, seed=seed)
    names = rng.integers(0, 4, 200)
    tag = np.array([sample.tag(str(name)) for name in names.tolist()], np.uint64)
    start = rng.choice(10_000, 200, replace=False)
    key = sample.keys(tag, start)
    wanted = sorted(range(200), key=lambda i: (key[i], -start[i], tag[i]))[:limit]
    held = np.zeros(0, np.int64)
    for part in np.array_split(rng.permutation(200), rng.integers(1, 30)):
        held = np.append(held, part)
        held = held[smallest(key[held], start[held], tag[held], limit)]
    assert sorted(held.tolist()) == sorted(wanted)


def test_windows_of_a_block_stay_or_go_together_and_blocks_do_not_hang_together() -> None:
    sample = Sample(10, None, block_ns=100)
    tag = np.full(400, sample.tag("m"))
    key = sample.keys(tag, np.arange(-20_000, 20_000, 100))
    assert len(np.unique(key)) == 400
    inside = sample.keys(tag[:100], np.arange(100))
    assert len(np.unique(inside)) == 1
    # ranks of neighbours: the correlation of n independent pairs has a deviation of 1 / sqrt(n)
    rank = np.argsort(np.argsort(key))
    assert abs(np.corrcoef(rank[:-1], rank[1:])[0, 1]) < 5 / math.sqrt(399)


def test_a_machine_and_a_seed_have_numbers_of_their_own_and_keep_them() -> None:
    """The last is the blake2b digest of the text, as the reference command b2sum -l 64 prints."""
    assert Sample(1, None, 1, seed=1).tag("a") != Sample(1, None, 1, seed=2).tag("a")
    assert Sample(1, None, 1).tag("a") != Sample(1, None, 1).tag("b")
    assert int(Sample(1, None, 1).tag("a")).to_bytes(8, "little").hex() == B2SUM


def test_without_a_half_life_every_age_is_kept_alike() -> None:
    """The keys of n blocks are as independent uniform numbers: Kolmogorov's bound."""
    sample = Sample(1, None, block_ns=7)
    key, _, _ = table(sample, 20, 500, 7)
    u = np.sort(np.exp(-np.exp(key)))
    distance = np.abs(u - (np.arange(10_000) + 0.5) / 10_000).max()
    assert distance < math.sqrt(math.log(2 / SURE) / (2 * 10_000))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_share_kept_of_an_age_halves_with_every_half_life(seed: int) -> None:
    """Below a key chosen beforehand blocks fall one by one, with the chance that their weight says.

    So the number of an age that does is within Bernstein's bound of the sum of their chances.
    """
    sample, lives = Sample(1, LIFE, block_ns=1, seed=seed), 4
    key, start, tag = table(sample, 100, lives * LIFE, 1)
    weight = 2.0 ** (start / LIFE - lives)
    chance = -np.expm1(-0.1 * weight)
    below = key < math.log(0.1) - lives * math.log(2)
    for life in range(lives):
        mine = (start >= life * LIFE) & (start < (life + 1) * LIFE)
        variance = (chance[mine] * (1 - chance[mine])).sum()
        bound = math.sqrt(2 * variance * math.log(2 / SURE)) + 2 / 3 * math.log(2 / SURE)
        assert abs(below[mine].sum() - chance[mine].sum()) < bound < 0.25 * chance[mine].sum()
    assert np.array_equal(smallest(key, start, tag, int(below.sum())), below)


def test_a_half_life_of_a_second_in_our_days_is_told_apart() -> None:
    """Weights of 2 to the power of 1.7e9 are no number; their logarithms are."""
    sample, now = Sample(1, 10**9, 10**9), 1_700_000_000 * 10**9
    start = now - np.arange(200) * 10**9
    key = sample.keys(np.full(200, sample.tag("m")), start)
    assert np.isfinite(key).all()
    assert start[np.argmin(key)] > now - 60 * 10**9


def slow(key: Keys, start: Starts, label: list[int], n: int) -> set[int]:
    """Choose one window after another."""
    order = sorted(range(len(key)), key=lambda i: (key[i], -start[i]))
    places = {0: n // 4, 3: (n - n // 4) // 2, 5: (n - n // 4) // 2}
    sure = {i for v, most in places.items() for i in [i for i in order if label[i] == v][:most]}
    labelled = [i for i in order if label[i] and i not in sure]
    others = [i for i in order if not label[i] and i not in sure]
    return {*sure, *[*labelled, *others][: n - len(sure)]}


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 40), cuts=st.integers(1, 20))
def test_labelled_windows_go_before_others_however_they_come_and_are_dropped(
    seed: int, n: int, cuts: int
) -> None:
    rng = np.random.default_rng(seed)
    label = rng.choice([0, 3, 5], 100, p=rng.dirichlet([1, 1, 1]))
    key, start, tag = rng.random(100), np.arange(100), np.zeros(100, np.uint64)
    held = np.zeros(0, np.int64)
    for part in np.array_split(rng.permutation(100), cuts):
        held = np.append(held, part)
        kept = labelled_first(key[held], start[held], tag[held], label[held].astype(np.int8), n)
        held = held[kept]
    assert set(held.tolist()) == slow(key, start, label.tolist(), n)
