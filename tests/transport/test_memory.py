"""Files are streamed: memory does not grow with their size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

MIB = 1 << 20
ROOT = Path(__file__).parents[2]
READ = """
import resource, sys
from pathlib import Path
from stream_ad.transport.files import open_source
from tests.transport.recordings import config_of, spec_of

config = config_of()
source = open_source(Path(sys.argv[1]), config, spec_of(config))
batches = source.batches()
rows = len(next(batches).records)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows += sum(len(batch.records) for batch in batches)
print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def rows_and_growth(path: Path) -> tuple[int, int]:
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    rows, growth = map(int, done.stdout.split())
    return rows, growth


def repeat(path: Path, head: bytes, line: bytes, size: int) -> int:
    block = line * (MIB // len(line))
    with path.open("wb") as file:
        file.write(head)
        for _ in range(size // MIB):
            file.write(block)
    return size // MIB * (MIB // len(line))


@pytest.mark.parametrize(
    "line",
    [b"press-1,2024-01-01T00:00:00Z,1.5,2.5,3.5\n", b"press-1,2024-01-01T00:00:00Z,1.5,2.5,warm\n"],
)
def test_a_large_csv_is_streamed(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "a.csv"
    expected = repeat(path, b"machine_id,time,a,b,c\n", line, 64 * MIB)
    rows, growth = rows_and_growth(path)
    assert rows == expected
    assert growth < 40 * MIB


def test_a_large_parquet_file_of_one_row_group_is_streamed(tmp_path: Path) -> None:
    path, n = tmp_path / "a.parquet", 2_000_000
    rng = np.random.default_rng(0)
    columns = {"time": np.arange(n), "machine_id": pa.array(["m"] * n)}
    columns |= {name: rng.normal(size=n) for name in ("a", "b", "c")}
    pq.write_table(pa.table(columns), path, row_group_size=n)
    rows, growth = rows_and_growth(path)
    assert rows == n
    assert growth < 60 * MIB


def test_a_json_line_of_a_hundred_megabytes_is_never_held(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    record = b'{"machine_id": "m", "time": 5, "values": {"a": 1}}\n'
    path.write_bytes(record)
    with path.open("ab") as file:
        for _ in range(100):
            file.write(b"[" * MIB)
        file.write(b"\n" + record)
    rows, growth = rows_and_growth(path)
    assert rows == 2
    assert growth < 30 * MIB
