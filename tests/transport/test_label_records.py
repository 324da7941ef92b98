"""Labels in a file: what was written is read back, the last counts, what is no label is said."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_ad.errors import InputError, OutputError
from stream_ad.records import LabelRecord
from stream_ad.transport.label_records import append_label, parse_label, read_label_records

GOOD: dict[str, Any] = {
    "incident_id": "0123456789abcdef",
    "label": "normal",
    "machine_id": "Presse \u2028 7",
    "machine_group": "default",
    "started_at": "2024-01-01T00:00:00Z",
    "ended_at": "2024-01-01T01:00:00.5Z",
    "labelled_at": "2024-01-02T00:00:00Z",
    "new_normal": "no",
}


def label(number: int, word: str = "normal") -> LabelRecord:
    return LabelRecord.model_validate(GOOD | {"incident_id": f"{number:016x}", "label": word})


@settings(max_examples=50, deadline=None)
@given(said=st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["normal", "anomaly"]))))
def test_the_last_label_of_each_incident_counts(
    said: list[tuple[int, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("labels") / "labels.jsonl"
    path.touch()
    for number, word in said:
        append_label(path, label(number, word))
    found = {int(one.incident_id, 16): one.label for one in read_label_records(path)}
    assert found == dict(said)
    assert len(path.read_bytes().splitlines()) == len(said)


def test_a_label_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "labels.jsonl"
    append_label(path, label(1))
    assert read_label_records(path) == [label(1)]


def test_labels_of_two_commands_at_once_are_both_there(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: append_label(path, label(number)), range(200)))
    found = {int(one.incident_id, 16) for one in read_label_records(path)}
    assert found == set(range(200))


def test_a_line_that_does_not_end_is_not_joined_with_the_next(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_bytes(label(1).model_dump_json().encode())
    append_label(path, label(2))
    assert read_label_records(path) == [label(1), label(2)]


def test_blank_lines_and_a_byte_order_mark_are_no_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    line = label(1).model_dump_json().encode()
    path.write_bytes(b"\xef\xbb\xbf\r\n" + line + b"\r\n  \n")
    assert read_label_records(path) == [label(1)]


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    append_label(path, label(1))
    before = path.read_bytes()
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with (
        mock.patch("stream_ad.transport.label_records.os.fsync", side_effect=full),
        pytest.raises(OutputError, match="No space left"),
    ):
        append_label(path, label(2))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-02T02:00:00+02:00", "2024-01-02T00:00:00Z"),
        ("2024-01-02 00:00:00.250Z", "2024-01-02T00:00:00.25Z"),
        ("1704153600000", "2024-01-02T00:00:00Z"),
    ],
)
def test_times_of_any_zone_come_back_in_utc(text: str, expected: str) -> None:
    assert parse_label(orjson.dumps(GOOD | {"labelled_at": text})).labelled_at == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": "maybe"}, "label: Input should be 'normal' or 'anomaly'"),
        ({"incident_id": "12"}, "incident_id: "),
        ({"who": "me"}, "who: Extra inputs are not permitted"),
        ({"labelled_at": "yesterday"}, "labelled_at = 'yesterday': allowed is RFC 3339"),
        ({"labelled_at": "2024-01-02T00:00:00"}, "with a zone"),
        ({"labelled_at": "2023-12-31T00:00:00Z"}, "labelled_at = .* lies before started_at"),
        ({"ended_at": "2023-12-31T00:00:00Z"}, "ended_at = .* lies before started_at"),
        ({"label": "anomaly", "new_normal": "group"}, "an anomaly is no new normal"),
    ],
)
def test_what_is_no_label_is_said_with_its_line(
    tmp_path: Path, change: dict[str, str], said: str
) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_bytes(b"\n" + orjson.dumps(GOOD) + b"\n\n" + orjson.dumps(GOOD | change))
    with pytest.raises(InputError, match=said) as error:
        read_label_records(path)
    assert str(error.value).startswith(f"{path}, line 4: no label: ")


@pytest.mark.parametrize("content", [b"{", b"[]", b"null", b"\xff\xfe{", b'{"label":'])
def test_a_line_that_is_no_record_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_bytes(orjson.dumps(GOOD) + b"\n" + content + b"\n")
    with pytest.raises(InputError, match="line 2: no label"):
        read_label_records(path)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_a_file_that_cannot_be_read_is_said(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "labels.jsonl")
    with pytest.raises(InputError, match="cannot be read"):
        read_label_records(tmp_path / "labels.jsonl")


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_whatever_stands_there_is_a_label_or_an_error_that_says_so(content: bytes) -> None:
    with pytest.raises(InputError):
        parse_label(content)
