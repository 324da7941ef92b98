"""The real command, run within this process: exit code, what it said, and its results."""

from __future__ import annotations

import csv
import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import orjson

from stream_ad.cli import main

Key = tuple[str, str]  # machine_id, window_start


@dataclass(frozen=True)
class Answer:
    """What a finished command left to its caller."""

    code: int
    out: str
    err: str


def run(*arguments: object) -> Answer:
    """Run ``stream-ad`` with these arguments."""
    out, err = io.StringIO(), io.StringIO()
    argv = ["stream-ad", *map(str, arguments)]
    with mock.patch.object(sys, "argv", argv), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        else:
            code = 0
    return Answer(code, out.getvalue(), err.getvalue())


def good(*arguments: object) -> Answer:
    """Run a command that must succeed."""
    answer = run(*arguments)
    assert answer.code == 0, answer.err
    return answer


def refused(*arguments: object) -> str:
    """Run a command that must refuse its input in one sentence; return what it said."""
    answer = run(*arguments)
    assert answer.code == 2, answer
    assert "Traceback" not in answer.err + answer.out
    assert "internal error" not in answer.err
    said = answer.err.strip().splitlines()[-1]
    assert said.startswith("error: "), answer.err
    return said


def metrics(folder: Path) -> Any:
    return orjson.loads((folder / "metrics.json").read_bytes())


def scores(folder: Path) -> dict[Key, tuple[float, float, float]]:
    """Return score, p-value and raw score by window; all of them must be finite numbers."""
    with (folder / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {
        (row["machine_id"], row["window_start"]): (
            float(row["score"]),
            float(row["p_value"]),
            float(row["raw_score"]),
        )
        for row in rows
    }
    assert len(found) == len(rows)
    assert all(abs(number) < float("inf") for row in found.values() for number in row)
    return found


def alerts(folder: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (folder / "alerts.jsonl").read_bytes().splitlines()]


def outputs(folder: Path) -> dict[str, bytes]:
    """Return the bytes of everything that a replay promises to repeat."""
    names = ("scores.csv", "alerts.jsonl", "dead_letters.jsonl", "metrics.json", "report.html")
    return {name: (folder / name).read_bytes() for name in names}
