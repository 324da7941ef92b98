"""Outputs as bytes."""

from __future__ import annotations

import base64

import orjson
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.transport.base import DeadLetter
from stream_ad.transport.rows import dead_letter_lines, time_text
from stream_ad.windows.spec import rfc3339


@given(st.one_of(st.integers(-(9 * 10**18), 9 * 10**18), st.integers(0, 10**10)))
def test_fast_times_are_the_same_text(ns: int) -> None:
    assert time_text(ns) == rfc3339(ns)


@given(st.binary())
def test_dead_letters_keep_every_byte(value: bytes) -> None:
    (line,) = dead_letter_lines([DeadLetter.of(3, value, "Kind", "why")]).splitlines()
    found = orjson.loads(line)
    text, packed = found.get("value"), found.get("value_base64")
    assert value == (base64.b64decode(packed) if text is None else text.encode())
    assert (found["offset"], found["length"]) == (3, len(value))
    assert (found["error_class"], found["error_message"]) == ("Kind", "why")
