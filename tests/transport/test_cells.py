"""Sensor values: the same float32 from text, numbers and JSON."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.transport.cells import MISSING, number_column, number_rows, one_number, to_float32

TEXTS = st.one_of(
    st.floats().map(repr),
    st.integers().map(str),
    st.sampled_from(sorted(MISSING)),
    st.text("0123456789+-.eExinfaNty() \t", max_size=8),
    st.text(max_size=5),
)


@pytest.mark.parametrize("text", ["1.5", "+1.5", " 1.5 ", "15e-1", "1.50", ".15E1", "1500e-3"])
def test_every_spelling_of_a_number_is_that_number(text: str) -> None:
    assert one_number(text, Counter()) == 1.5
    assert number_column(pa.array([text]), Counter()).tolist() == [1.5]


@pytest.mark.parametrize(
    "text", ["warm", "1,5", "0x10", "1_0", "--1", "1e", "true", "\u0661", "1 2"]
)
def test_text_that_is_no_number_is_missing_and_counted(text: str) -> None:
    counts: Counter[str] = Counter()
    assert one_number(text, counts) is None
    assert np.isnan(number_column(pa.array([text]), counts)).all()
    assert counts == {"not_a_number": 2}


@pytest.mark.parametrize("text", sorted(MISSING))
def test_words_for_nothing_are_missing_and_not_counted(text: str) -> None:
    counts: Counter[str] = Counter()
    assert one_number(f" {text}", counts) is None
    assert np.isnan(number_column(pa.array([text, None]), counts)).all()
    assert not counts


@given(st.lists(TEXTS))
def test_text_cells_and_text_columns_agree(texts: list[str]) -> None:
    by_cell, by_column = Counter[str](), Counter[str]()
    cells = number_rows([[one_number(text, by_cell)] for text in texts], 1)[:, 0]
    numbers = number_column(pa.array(texts, pa.string()), by_column)
    np.testing.assert_array_equal(numbers, cells)
    assert by_column == by_cell


@given(st.lists(st.floats()))
def test_text_and_number_columns_round_alike(numbers: list[float]) -> None:
    texts = pa.array([repr(number) for number in numbers], pa.string())
    from_text = to_float32(number_column(texts, Counter()), Counter())
    direct = to_float32(number_column(pa.array(numbers, pa.float64()), Counter()), Counter())
    assert from_text.tobytes() == direct.tobytes()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_decimal_comma_reads_like_a_point(number: float) -> None:
    text = f"{number:.6f}"
    point = number_column(pa.array([text]), Counter())
    comma = number_column(pa.array([text.replace(".", ",")]), Counter(), ",")
    assert point.tolist() == comma.tolist()


def test_with_a_decimal_comma_a_point_is_no_number() -> None:
    counts: Counter[str] = Counter()
    assert np.isnan(number_column(pa.array(["1.5", "1,5"]), counts, ",")).tolist() == [True, False]
    assert counts == {"not_a_number": 1}


@pytest.mark.parametrize(
    "values",
    [
        pa.array([3, None], pa.int8()),
        pa.array([3, None], pa.uint64()),
        pa.array([3, None], pa.float32()),
        pa.array([Decimal("3.00"), None]),
        pa.array(["3", None]).dictionary_encode(),
        pa.array([3.0, None]).dictionary_encode(),
    ],
)
def test_every_arrow_kind_of_number_is_read(values: pa.Array) -> None:
    assert number_column(values, Counter()).tolist()[0] == 3.0
    assert np.isnan(number_column(values, Counter())[1])


def test_booleans_are_no_numbers() -> None:
    counts: Counter[str] = Counter()
    assert one_number(True, counts) is None
    assert np.isnan(number_column(pa.array([True, False, None]), counts)).all()
    assert counts == {"not_a_number": 3}


def test_columns_without_any_value_are_missing() -> None:
    for kind in (pa.null(), pa.string(), pa.float64()):
        assert np.isnan(number_column(pa.nulls(2, kind), Counter())).all()


LARGEST = float(np.finfo(np.float32).max)


def test_what_float32_cannot_hold_is_missing_and_counted() -> None:
    counts: Counter[str] = Counter()
    values = np.array([LARGEST, -LARGEST, 1e39, -1e300, np.inf, -np.inf, np.nan])
    rounded = to_float32(values, counts)
    assert np.isnan(rounded).tolist() == [False, False] + [True] * 5
    assert counts == {"out_of_float32": 2}


def test_minus_zero_becomes_zero() -> None:
    assert not np.signbit(to_float32(np.array([-0.0, 0.0]), Counter())).any()


@pytest.mark.parametrize("number", [10**400, -(10**400), (1 << 1024) - 1])
def test_whole_numbers_beyond_float64_are_infinite(number: int) -> None:
    assert np.isinf(one_number(number, Counter()))  # type: ignore[arg-type]
    rows: list[list[Any]] = [[number, 1, None]]
    assert np.isinf(number_rows(rows, 3)).tolist() == [[True, False, False]]
