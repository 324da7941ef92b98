"""Some records of a file of JSON lines, flattened to columns of dotted paths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stream_ad.errors import InputError
from stream_ad.inspection.pieces import read_pieces
from stream_ad.inspection.sample import Sample
from stream_ad.transport.json_text import loads

_DEEPEST = 5
_KEPT = 2_000


def sample_json(path: Path, rows: int) -> Sample:
    """Read the head of a JSONL file and some blocks after it.

    Parameters
    ----------
    path : Path
    rows : int
        Records of the head, at most.

    Raises
    ------
    InputError
        For a file without a JSON object per line.
    """
    pieces = read_pieces(path, rows)
    parts = [list(_records(piece)) for piece in pieces.blocks]
    records = [record for part in parts for record in part]
    if not records:
        raise InputError(f"{path}: {_reason(pieces.blocks[0])}")
    lines = [line for piece in pieces.blocks for line in piece.splitlines() if line.strip()]
    broken = len(lines) - len(records)
    notes = [f"{broken} of {len(lines)} lines are no JSON object"] if broken else []
    columns, parents = _flattened(records)
    return Sample(
        kind="json",
        columns=columns,
        block=np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        rows=len(records) if pieces.complete else round(pieces.lines),
        complete=pieces.complete,
        parents=parents,
        records=records[:_KEPT],
        longest=max(map(len, lines)),
        notes=notes,
    )


def _records(piece: bytes) -> Iterator[dict[str, Any]]:
    for line in piece.splitlines():
        try:
            record = loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record


def _reason(head: bytes) -> str:
    first = head.lstrip()[:60].decode(errors="replace").splitlines()[0]
    if first.startswith("["):
        return "one JSON array; write one record per line, as `jq -c '.[]' OLD > NEW` does"
    return (
        "no line is a JSON object; write one record per line, such as"
        f' {{"machine_id": "m1", "time": "2024-01-01T00:00:00Z", "values": {{"temp": 21.5}}}}.'
        f" The file begins with {first!r}"
    )


def _flattened(
    records: list[dict[str, Any]],
) -> tuple[dict[str, pa.Array], dict[str, tuple[str, str]]]:
    cells: dict[str, list[Any]] = {}
    parents: dict[str, tuple[str, str]] = {}
    for row, record in enumerate(records):
        for path, parent, key, cell in _leaves(record, "", 0):
            column = cells.get(path)
            if column is None:
                column = cells[path] = []
                parents[path] = (parent or ".", key)
            if len(column) <= row:
                column.extend([None] * (row - len(column)))
                column.append(cell)
    for column in cells.values():
        column.extend([None] * (len(records) - len(column)))
    return {path: _array(column) for path, column in cells.items()}, parents


def _leaves(tree: dict[str, Any], parent: str, depth: int) -> Iterator[tuple[str, str, str, Any]]:
    for key, cell in tree.items():
        path = f"{parent}.{key}" if parent else key
        if isinstance(cell, dict) and depth < _DEEPEST:
            yield from _leaves(cell, path, depth + 1)
        else:
            yield path, parent, key, cell


def _array(cells: list[Any]) -> pa.Array:
    kinds = {type(cell) for cell in cells} - {type(None)}
    if kinds == {bool}:
        return pa.array(cells, pa.bool_())
    if kinds == {int} and all(cell is None or abs(cell) < 1 << 63 for cell in cells):
        return pa.array(cells, pa.int64())
    if kinds and kinds <= {int, float}:
        return pa.array([None if cell is None else float(cell) for cell in cells], pa.float64())
    if kinds & {list, dict}:
        # what stands in lists is no cell; that one stands there is all that is kept
        return pa.array([None if cell is None else [] for cell in cells], pa.list_(pa.null()))
    texts = [cell if cell is None or type(cell) is str else str(cell) for cell in cells]
    return pa.array(texts, pa.string())
