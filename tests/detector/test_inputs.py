"""Arrays of users: shapes are checked, infinities are missing, the input is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from stream_ad.detector.inputs import as_negatives, as_windows
from stream_ad.errors import InputError


def test_rows_become_windows_of_one_slot() -> None:
    assert as_windows(np.ones((4, 3)), "X", None).shape == (4, 1, 3)
    assert as_windows(np.ones((4, 3)), "X", (1, 3)).shape == (4, 1, 3)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e42, -1e42, np.nan])
def test_what_float32_cannot_hold_is_missing(value: float) -> None:
    x = np.array([[1.0, value]])
    before = x.copy()
    np.testing.assert_array_equal(as_windows(x, "X", None), [[[1, np.nan]]])
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("shape", [(), (3,), (3, 0), (2, 4, 0), (1, 2, 3, 4)])
def test_other_shapes_name_themselves_and_what_is_wanted(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"X has shape .*wanted is \(n, d\) or \(n, T, C\)"):
        as_windows(np.zeros(shape), "X", None)


@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 4), (5, 4, 2), (5,)])
def test_the_wanted_shape_is_kept_to(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"negatives has shape .*wanted is \(n, 4, 3\)"):
        as_negatives(np.zeros(shape), (4, 3))


def test_negatives_without_any_value_are_left_out() -> None:
    x = np.ones((3, 4, 2))
    x[1] = np.nan
    x[2, 1:] = np.nan
    np.testing.assert_array_equal(as_negatives(x, (4, 2)), x[[0, 2]])


@pytest.mark.parametrize("count", [0, 5])
def test_negatives_of_which_none_has_a_value_are_an_error(count: int) -> None:
    with pytest.raises(InputError, match=rf"negatives holds {count} windows, none .*or None"):
        as_negatives(np.full((count, 4, 2), np.nan), (4, 2))


@pytest.mark.parametrize("text", [[["a", "b"]], [[1, 2], [3]], [[1, {}]]])
def test_anything_but_numbers_is_an_error(text: object) -> None:
    with pytest.raises(InputError, match="not a number"):
        as_windows(text, "X", None)  # type: ignore[arg-type]


@pytest.mark.parametrize("order", ["F", "C"])
@pytest.mark.parametrize("dtype", [">f8", "i2", "f4", "bool"])
def test_the_result_is_contiguous_native_float32(order: str, dtype: str) -> None:
    x = np.asarray(np.arange(24).reshape(2, 4, 3) % 2, dtype=dtype, order=order)  # type: ignore[call-overload]
    got = as_windows(x, "X", (4, 3))
    assert got.flags.c_contiguous
    assert got.dtype == np.dtype("f4")
    np.testing.assert_array_equal(got, x)
