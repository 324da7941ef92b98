"""Weaker faults: what shrinks, what stays, against calculations by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.windows.spec import NS
from tests.benchmarks.recordings import Recording
from tests.benchmarks.shrinking import BESIDE, shrunk, weakened

FLAT = np.full(160, 5.0)


def test_a_step_keeps_its_row_and_a_tenth_of_its_height() -> None:
    fault = np.concatenate([np.full(30, 25.0), np.full(30, -5.0)])
    weak = weakened(FLAT, fault, share=0.1)
    assert weak == pytest.approx(np.repeat([7.0, 4.0], 30))


def test_a_ramp_ends_at_a_tenth_of_its_height() -> None:
    ramp = 5 + np.arange(200.0)
    middle = slice(BESIDE, -BESIDE)  # where the median is that of a whole stretch of the ramp
    assert weakened(FLAT, ramp, share=0.1)[middle] == pytest.approx(
        (5 + 0.1 * np.arange(200.0))[middle]
    )


def test_noise_of_normal_size_stays_and_only_the_level_shrinks() -> None:
    """Every third cell is off by 1, so the slow part is flat and the rest is what is off."""
    off = np.where(np.arange(150) % 3 == 0, 1.0, 0.0)
    normal, fault = 5 + off, 45 + off
    # level 5, slow part 45: 5 + (45 - 5) / 10, and the noise on top as it was
    assert weakened(normal, fault, share=0.1) == pytest.approx(9 + off)


def test_shaking_beyond_the_normal_shrinks_to_a_tenth_of_what_is_beyond() -> None:
    off = np.where(np.arange(150) % 3 == 0, 1.0, 0.0)
    normal, fault = 5 + off, 5 + 21 * off
    # rank by rank 21 stands against 1: 1 + (21 - 1) / 10
    assert weakened(normal, fault, share=0.1) == pytest.approx(5 + 3 * off)


def test_a_sensor_that_freezes_or_falls_silent_does_so_here_too() -> None:
    normal = 5 + np.where(np.arange(150) % 3 == 0, 1.0, 0.0)
    assert weakened(normal, np.full(40, 5.0), share=0.1) == pytest.approx(np.full(40, 5.0))
    silent = np.full(40, np.nan)
    assert np.isnan(weakened(normal, silent, share=0.1)).all()


def test_without_a_value_before_nothing_changes() -> None:
    fault = np.arange(40.0)
    assert np.array_equal(weakened(np.full(160, np.nan), fault, share=0.1), fault)


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60),
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60),
)
def test_a_share_of_one_changes_nothing(normal: list[float], fault: list[float]) -> None:
    cells = np.array(fault)
    assert weakened(np.array(normal), cells, share=1.0) == pytest.approx(cells, abs=1e-9)


def _stream() -> Recording:
    """Return a level of 2 with two faults, the second on a level of 4."""
    values = np.full((500, 1), 2.0, np.float32)
    values[200:250], values[250:400], values[400:450] = 12, 4, 24
    label = np.zeros(500)
    label[200:250] = label[400:450] = 1
    label[10] = 1  # inside the training part: not touched
    return Recording("tep", "x", "m", ("a",), 1, 1, 100, np.arange(500) * NS, values, label)


def test_each_fault_is_held_against_the_rows_just_before_it_and_the_rest_is_untouched() -> None:
    plain = _stream()
    weak = shrunk(replace(plain, values=plain.values.copy()))
    assert set(weak.values[200:250, 0]) == {np.float32(3)}  # 2 + 10 / 10
    # 160 normal rows before the second: 150 at 4, 10 at 2; the level is 4
    assert weak.values[400:450, 0] == pytest.approx(np.full(50, 6.0))
    normal = plain.label == 0
    normal[10] = True
    assert np.array_equal(weak.values[normal], plain.values[normal])
    assert weak.training_digest() == plain.training_digest()
    assert (weak.family, weak.name) == ("tep_shrunk", "x")
