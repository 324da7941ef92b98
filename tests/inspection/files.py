"""Recordings of a pump, small and in the spellings that people have."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

START = datetime(2024, 3, 20, 22, 0, 0, tzinfo=UTC)


def times(count: int = 240, step_s: float = 60.0, start: datetime = START) -> list[datetime]:
    return [start + timedelta(seconds=step_s * n) for n in range(count)]


def iso(count: int = 240, step_s: float = 60.0) -> list[str]:
    return [time.isoformat().replace("+00:00", "Z") for time in times(count, step_s)]


def temp(count: int) -> list[float]:
    return [20 + (n * 7 % 13) / 4 for n in range(count)]


def flow(count: int) -> list[float]:
    return [3 + (n * 5 % 11) / 8 for n in range(count)]


def csv(
    path: Path,
    header: Sequence[str],
    columns: Sequence[Any],
    *,
    delimiter: str = ",",
    decimal: str = ".",
    encoding: str = "utf-8",
) -> Path:
    def cell(value: object) -> str:
        text = "" if value is None else str(value)
        return text.replace(".", decimal) if isinstance(value, float) else text

    rows = (delimiter.join(map(cell, row)) for row in zip(*columns, strict=True))
    text = "\n".join([delimiter.join(header), *rows]) + "\n"
    path.write_bytes(text.encode(encoding))
    return path


def jsonl(path: Path, records: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def parquet(path: Path, columns: dict[str, Any], rows_per_group: int | None = None) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=rows_per_group)
    return path
