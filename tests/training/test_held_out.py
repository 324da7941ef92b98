"""What is held out for the gate never meets what is learned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_ad.errors import NotEnoughHistory
from stream_ad.training.gate import split
from stream_ad.windows import Windows, WindowSpec
from tests.detector.streams import spec_of

SPEC = spec_of(length=4, sensors=1, hop=1)


def windows_at(machine: list[str], start: list[int]) -> Windows:
    n = len(start)
    values = np.arange(n, dtype=np.float32).repeat(4).reshape(n, 4, 1)
    return Windows(
        np.array(machine, object), np.array(start, np.int64) * SPEC.hop_ns, values, np.arange(n)
    )


def row(machines: int, each: int, spec: WindowSpec = SPEC) -> Windows:
    """Return windows of so many machines side by side, without a gap."""
    n = machines * each
    names = np.array([f"m{i % machines}" for i in range(n)], object)
    start = np.arange(n, dtype=np.int64) // machines * spec.hop_ns
    return Windows(names, start, np.zeros((n, 4, 1), np.float32), np.arange(n))


def free(windows: Windows) -> NDArray[np.int64]:
    return np.zeros(len(windows), np.int64)


@st.composite
def some(draw: st.DrawFn) -> tuple[Windows, NDArray[np.int64], float]:
    """Windows of few machines with holes, some of them labelled."""
    machine, start, label = [], [], []
    for name in draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True)):
        steps = draw(st.lists(st.integers(1, 6), min_size=5, max_size=60))
        first = draw(st.integers(0, 40))
        machine += [name] * len(steps)
        start += [first + int(step) for step in np.cumsum(steps)]
        label += draw(
            st.lists(st.sampled_from([0] * 8 + [1, -1]), min_size=len(steps), max_size=len(steps))
        )
    share = draw(st.sampled_from([0.05, 0.2, 0.5]))
    return windows_at(machine, start), np.array(label, np.int64), share


@given(some())
def test_nothing_held_out_overlaps_what_is_learned(
    drawn: tuple[Windows, NDArray[np.int64], float],
) -> None:
    windows, y, share = drawn
    try:
        learned, y_learned, held_out = split(windows, y, SPEC, share)
    except NotEnoughHistory:
        return
    label = dict(zip(windows.offset.tolist(), y.tolist(), strict=True))
    assert [label[o] for o in learned.offset.tolist()] == y_learned.tolist()
    assert all(label[o] == 0 for o in held_out.offset.tolist())
    assert {o for o, told in label.items() if told} <= set(learned.offset.tolist())
    assert len(held_out) >= 4
    assert len(learned) >= 10
    for m, s in zip(held_out.machine, held_out.start.tolist(), strict=True):
        for other, t, told in zip(learned.machine, learned.start.tolist(), y_learned, strict=True):
            if m == other or told == 0:
                assert abs(s - t) >= 2 * SPEC.window_ns


@given(some(), st.randoms(use_true_random=False))
def test_the_order_of_windows_does_not_matter(
    drawn: tuple[Windows, NDArray[np.int64], float], random: object
) -> None:
    windows, y, share = drawn
    order = np.arange(len(windows))
    random.shuffle(order)  # type: ignore[attr-defined]
    try:
        parts = split(windows, y, SPEC, share)
    except NotEnoughHistory:
        with pytest.raises(NotEnoughHistory):
            split(windows.take(order), y[order], SPEC, share)
        return
    again = split(windows.take(order), y[order], SPEC, share)
    for one, other in ((parts[0], again[0]), (parts[2], again[2])):
        assert sorted(one.offset.tolist()) == sorted(other.offset.tolist())


@pytest.mark.parametrize(("machines", "each"), [(1, 400), (3, 2000), (20, 300)])
def test_blocks_of_the_recent_half_are_held_out_in_its_share(machines: int, each: int) -> None:
    windows = row(machines, each)
    learned, _, held_out = split(windows, free(windows), SPEC, 0.2)
    assert held_out.start.min() >= np.median(windows.start)
    assert len(held_out) == pytest.approx(0.2 * len(windows) / 2, rel=0.1)
    lost = len(windows) - len(learned) - len(held_out)
    assert lost <= 1.1 * len(held_out)
    assert learned.start.max() == windows.start.max()  # the newest are learned
    times = np.unique(held_out.start) // SPEC.hop_ns
    blocks = 1 + int((np.diff(times) > 1).sum())
    assert blocks == min(8, int(0.2 * (each / 2 + 3) / 16))
    assert set(held_out.machine) == set(windows.machine)


def test_machines_out_of_step_are_held_out_at_the_same_times() -> None:
    windows = row(2, 600)
    moved = Windows(
        windows.machine,
        windows.start + (windows.machine == "m1") * SPEC.period_ns // 3,
        windows.values,
        windows.offset,
    )
    _, _, held_out = split(moved, free(moved), SPEC, 0.2)
    a, b = (held_out.start[held_out.machine == name] for name in ("m0", "m1"))
    assert abs(len(a) - len(b)) <= 8
    assert abs(a.min() - b.min()) <= SPEC.hop_ns


@pytest.mark.parametrize("count", [1, 7, 15])
def test_too_few_windows_are_refused_with_their_number(count: int) -> None:
    windows = row(1, count)
    with pytest.raises(NotEnoughHistory, match=f"of {count} windows that nobody labelled"):
        split(windows, free(windows), SPEC, 0.2)


def test_the_fewest_that_a_training_may_have_can_be_judged() -> None:
    """``training.min_windows`` is 20 by default; here windows that do not overlap."""
    apart = spec_of(length=4, sensors=1)
    windows = row(1, 20, apart)
    learned, _, held_out = split(windows, free(windows), apart, 0.2)
    assert (len(learned), len(held_out)) == (14, 4)


def test_windows_that_all_start_together_cannot_be_split() -> None:
    windows = row(40, 1)
    with pytest.raises(NotEnoughHistory, match="40 could be held out"):
        split(windows, free(windows), SPEC, 0.2)


def test_everything_labelled_leaves_nothing_to_hold_out() -> None:
    windows = row(1, 100)
    with pytest.raises(NotEnoughHistory, match="of 0 windows that nobody labelled"):
        split(windows, np.ones(100, np.int64), SPEC, 0.2)
