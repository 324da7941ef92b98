"""Outputs as bytes."""

from __future__ import annotations

import base64

import numpy as np
import orjson
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.transport.base import DeadLetter, ScoreRow
from stream_ad.transport.rows import dead_letter_lines, score_lines


@given(st.one_of(st.integers(-(9 * 10**18), 9 * 10**18), st.integers(0, 10**10)))
def test_times_are_written_to_the_nanosecond_without_zeros_at_the_end(ns: int) -> None:
    row = ScoreRow("m", ns, ns, 0.0, 1.0, False, 0.0, 0.0, None, 1)
    start, end = score_lines([row]).decode().split(",")[1:3]
    whole, decimals = str(np.datetime64(ns, "ns")).split(".")
    decimals = decimals.rstrip("0")
    assert start == end == (f"{whole}.{decimals}Z" if decimals else f"{whole}Z")


@given(st.binary())
def test_dead_letters_keep_every_byte(value: bytes) -> None:
    (line,) = dead_letter_lines([DeadLetter.of(3, value, "Kind", "why")]).splitlines()
    found = orjson.loads(line)
    text, packed = found.get("value"), found.get("value_base64")
    assert value == (base64.b64decode(packed) if text is None else text.encode())
    assert (found["offset"], found["length"]) == (3, len(value))
    assert (found["error_class"], found["error_message"]) == ("Kind", "why")
