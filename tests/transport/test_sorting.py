"""Sorting on disk gives what sorting in memory gives."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_ad.errors import OutputError
from stream_ad.transport.base import ScoreRow
from stream_ad.transport.durable import Folder
from stream_ad.transport.rows import SCORES_HEAD, score_lines
from stream_ad.transport.sorting import alert_key, csv_records, score_key, sort_file

TIMES = st.one_of(st.integers(-(10**18), 10**18), st.integers(0, 30).map(lambda n: n * 10**8))
MACHINES = st.one_of(st.sampled_from(["a", "b", 'q"\n,x', "é"]), st.text(max_size=3))


@settings(deadline=None)
@given(st.lists(st.tuples(MACHINES, TIMES)), st.integers(1, 400))
def test_scores_are_ordered_by_time_and_machine_with_any_memory(
    rows: list[tuple[str, int]], run_bytes: int
) -> None:
    scores = [
        ScoreRow(machine, 0, end, 0.0, 1.0, False, 0.0, 0.0, None, number)
        for number, (machine, end) in enumerate(rows)
    ]
    expected = sorted(scores, key=lambda row: (row.window_end, row.machine_id))
    with tempfile.TemporaryDirectory() as path:
        folder = Folder(Path(path))
        file = Path(path, "scores.csv")
        file.write_bytes(SCORES_HEAD + score_lines(scores))
        sort_file(folder, "scores.csv", score_key, records=csv_records, head=1, run_bytes=run_bytes)
        assert file.read_bytes() == SCORES_HEAD + score_lines(expected)
        assert [entry.name for entry in Path(path).iterdir()] == ["scores.csv"]
        folder.close()


def test_more_runs_than_open_files_are_merged_in_rounds(tmp_path: Path) -> None:
    numbers = [number * 7919 % 5000 for number in range(5000)]
    (tmp_path / "f").write_text("".join(f"{number:04d}\n" for number in numbers))
    folder = Folder(tmp_path)
    sort_file(folder, "f", lambda record: record, run_bytes=20)
    folder.close()
    assert (tmp_path / "f").read_text() == "".join(f"{n:04d}\n" for n in sorted(numbers))


def test_equal_keys_keep_their_order_across_runs(tmp_path: Path) -> None:
    events = [
        {"window_end": "2024-01-01T00:00:00Z", "machine_id": "m", "kind": kind, "n": n}
        for n, kind in enumerate(["process", "data_quality"] * 200)
    ]
    (tmp_path / "f").write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in events))
    folder = Folder(tmp_path)
    sort_file(folder, "f", alert_key, run_bytes=300)
    folder.close()
    found = [orjson.loads(line)["n"] for line in (tmp_path / "f").read_bytes().splitlines()]
    assert found == [*range(1, 400, 2), *range(0, 400, 2)]


def test_a_quote_in_an_alert_is_no_csv_quote(tmp_path: Path) -> None:
    """A unit of inches is one quote in a line of JSON: lines must not be joined over it."""
    events = [
        {"window_end": f"2024-01-01T00:00:0{n}Z", "machine_id": "m", "kind": "process", "u": unit}
        for n, unit in [(3, 'in"'), (1, "bar"), (2, 'a"b')]
    ]
    (tmp_path / "f").write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in events))
    folder = Folder(tmp_path)
    sort_file(folder, "f", alert_key)
    folder.close()
    found = [orjson.loads(line)["u"] for line in (tmp_path / "f").read_bytes().splitlines()]
    assert found == ["bar", 'a"b', 'in"']


def test_a_sorted_file_is_not_written_again(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("head\n1\n1\n2\n")
    before = (tmp_path / "f").stat().st_ino
    folder = Folder(tmp_path)
    sort_file(folder, "f", lambda record: record, head=1)
    folder.close()
    assert (tmp_path / "f").stat().st_ino == before


def test_a_full_disk_leaves_the_unsorted_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f").write_text("2\n1\n")
    folder = Folder(tmp_path)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left on device"):
        sort_file(folder, "f", lambda record: record)
    folder.close()
    assert (tmp_path / "f").read_text() == "2\n1\n"


def test_rows_written_are_rows_read(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    machine = ' a "b",\r\nc '
    row = ScoreRow(machine, 1, 2, 0.1 + 0.2, 5e-324, True, -1e300, 1 / 3, "0123456789abcdef", 7)
    path.write_bytes(SCORES_HEAD + score_lines([row]))
    with path.open(newline="") as file:
        (found,) = csv.DictReader(file)
    assert found["machine_id"] == machine
    assert found["window_end"] == "1970-01-01T00:00:00.000000002Z"
    numbers = [float(found[name]) for name in ("score", "p_value", "static_score", "raw_score")]
    assert numbers == [row.score, row.p_value, row.static_score, row.raw_score]
    assert (found["alarm"], found["incident_id"], found["model_version"]) == (
        "1",
        "0123456789abcdef",
        "7",
    )
