"""Outputs as bytes: rows of ``scores.csv``, lines of the two JSON files beside it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import fields
from functools import lru_cache

import orjson

from stream_ad.records import IncidentEvent
from stream_ad.transport.base import DeadLetter, ScoreRow
from stream_ad.windows.spec import rfc3339

COLUMNS = tuple(field.name for field in fields(ScoreRow))
SCORES_HEAD = ",".join(COLUMNS).encode() + b"\n"


def score_lines(rows: Iterable[ScoreRow]) -> bytes:
    r"""Return rows of ``scores.csv``.

    Floats are written so that reading them gives the same bits; booleans are 0 and 1, an
    absent incident is empty.

    Examples
    --------
    >>> row = ScoreRow("a,b", 0, 1_500_000_000, 0.1, 1.0, True, 0.1, 2e-9, None, 1)
    >>> score_lines([row])
    b'"a,b",1970-01-01T00:00:00Z,1970-01-01T00:00:01.5Z,0.1,1.0,1,0.1,2e-09,,1\n'
    """
    return "".join(
        [
            f"{csv_cell(r.machine_id)},{rfc3339(r.window_start)},{rfc3339(r.window_end)},"
            f"{r.score},{r.p_value},{r.alarm:d},{r.static_score},{r.raw_score},"
            f"{r.incident_id or ''},{r.model_version}\n"
            for r in rows
        ]
    ).encode()


def incident_lines(events: Iterable[IncidentEvent]) -> bytes:
    """Return lines of ``alerts.jsonl``."""
    return "".join([f"{event.model_dump_json()}\n" for event in events]).encode()


def dead_letter_lines(letters: Iterable[DeadLetter], topic: str | None = None) -> bytes:
    r"""Return lines of ``dead_letters.jsonl``; bytes that are no text stand in base64.

    Letters from a topic say which one and which partition.

    Examples
    --------
    >>> letter = DeadLetter(3, b"\xff", 1, "ab", "InvalidJson", "no JSON")
    >>> orjson.loads(dead_letter_lines([letter]))["value_base64"]
    '/w=='
    """
    newline = orjson.OPT_APPEND_NEWLINE
    return b"".join([orjson.dumps(_letter(letter, topic), option=newline) for letter in letters])


def _letter(letter: DeadLetter, topic: str | None) -> dict[str, object]:
    tree: dict[str, object] = {}
    if topic is not None:
        tree = {"topic": topic, "partition": letter.partition}
    tree |= {
        "offset": letter.offset,
        "error_class": letter.error_class,
        "error_message": letter.error_message,
        "length": letter.length,
        "sha256": letter.sha256,
    }
    try:
        return tree | {"value": letter.value.decode()}
    except UnicodeDecodeError:
        return tree | {"value_base64": b64encode(letter.value).decode()}


@lru_cache(maxsize=16_384)
def csv_cell(text: str) -> str:
    """Return a text as a CSV cell, in quotes where it needs them.

    Examples
    --------
    >>> csv_cell("a"), csv_cell("a, b")
    ('a', '"a, b"')
    """
    if not text or any(sign in text for sign in ',"\r\n') or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text
