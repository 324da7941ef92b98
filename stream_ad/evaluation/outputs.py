"""A finished run read back from its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_ad.evaluation.judgement import ScoredWindows
from stream_ad.records import IncidentEvent
from stream_ad.windows import WindowSpec


@dataclass(frozen=True, slots=True)
class Run:
    """What a run wrote.

    Parameters
    ----------
    scored : ScoredWindows
    score : float64 array (w,)
        Against each machine's own line.
    events : list of IncidentEvent
        In the order of the file.
    """

    scored: ScoredWindows
    score: NDArray[np.float64]
    events: list[IncidentEvent]


def read_run(folder: Path, spec: WindowSpec) -> Run:
    """Read ``scores.csv`` and ``alerts.jsonl`` of a replay's folder.

    Parameters
    ----------
    folder : Path
    spec : WindowSpec
        The grid of the run.

    Returns
    -------
    Run
        Memory grows with the windows, about 60 bytes each.
    """
    import pyarrow as pa
    from pyarrow import csv

    types = {
        "machine_id": pa.dictionary(pa.int32(), pa.string()),
        "window_start": pa.timestamp("ns", "UTC"),
        "score": pa.float64(),
        "alarm": pa.int8(),
        "static_score": pa.float64(),
    }
    options = csv.ConvertOptions(
        column_types=types, include_columns=list(types), strings_can_be_null=False
    )
    table = csv.read_csv(folder / "scores.csv", convert_options=options).combine_chunks()
    start = table["window_start"].cast(pa.int64()).to_numpy()
    machine = table["machine_id"].unify_dictionaries().combine_chunks()
    names = np.array(machine.dictionary.to_pylist(), object)
    codes = machine.indices.to_numpy()
    scored = ScoredWindows(
        names[codes] if len(names) else np.empty(0, object),
        start,
        start + spec.window_ns,
        table["static_score"].to_numpy(),
        table["alarm"].to_numpy().astype(bool),
    )
    with (folder / "alerts.jsonl").open("rb") as lines:
        events = [IncidentEvent.model_validate_json(line) for line in lines]
    return Run(scored, table["score"].to_numpy(), events)
