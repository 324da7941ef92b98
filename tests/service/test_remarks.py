"""What came of nothing is said, and not for each record."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from stream_ad.service import logs
from stream_ad.service.remarks import LETTERS_S, Remarks
from stream_ad.transport.base import DeadLetter
from tests.service.clock import Clock

Lines = Callable[[], list[Any]]
HOUR = 3_600 * 10**9


@pytest.fixture
def remarks(clock: Clock) -> Remarks:
    return Remarks(logs.get(), "plant", 5 * HOUR, clock)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    caplog.set_level(logging.INFO, "stream_ad")
    return lambda: [record.msg for record in caplog.records]


def letter(offset: int) -> DeadLetter:
    return DeadLetter.of(offset, b"{", "InvalidJson", "unexpected end of data")


def test_windows_before_the_model_are_told_at_each_tenfold_with_both_times(
    remarks: Remarks, lines: Lines
) -> None:
    for _ in range(120):
        remarks.committed([], {"before_model": 1, "scored": 4}, [2 * HOUR, None, HOUR])
    assert [line["windows"] for line in lines()] == [1, 10, 100]
    assert lines()[0]["level"] == "warning"
    assert lines()[0]["newest_record"] == "1970-01-01T02:00:00Z"
    assert lines()[0]["history_ends"] == "1970-01-01T05:00:00Z"


def test_where_all_is_scored_nothing_is_said(remarks: Remarks, lines: Lines) -> None:
    remarks.committed([], {"scored": 4}, [9 * HOUR])
    assert lines() == []


def test_dead_letters_are_told_with_cause_and_position_and_then_counted(
    remarks: Remarks, lines: Lines, clock: Clock
) -> None:
    remarks.committed([letter(7)], {}, [])
    for offset in range(8, 100):
        remarks.committed([letter(offset)], {}, [])
    clock.now += LETTERS_S
    remarks.committed([letter(100), letter(101)], {}, [])
    first, second = lines()
    assert first["cause"] == "InvalidJson: unexpected end of data"
    assert (first["topic"], first["partition"], first["offset"]) == ("plant", 0, 7)
    assert (first["since_last_told"], second["since_last_told"]) == (1, 94)
    assert second["offset"] == 101
