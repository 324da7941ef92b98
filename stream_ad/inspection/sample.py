"""A bounded sample of a recording, as columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stream_ad.config import CsvConfig

HEAD_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows from the head and, of a large file, from its middle and end.

    Parameters
    ----------
    kind : str
        ``csv``, ``json`` or ``parquet``.
    columns : dict of str to Array (n,)
        By column name or, in JSON, dotted path.
    block : int64 array (n,)
        Which contiguous piece of the file a row belongs to, ascending.
    rows : int
        Rows of the whole file, estimated unless ``complete``.
    complete : bool
        Whether the sample is the whole file.
    dialect : CsvConfig
        Of CSV.
    parents : dict of str to (str, str)
        Of JSON: the path of the object that holds a column (``.`` = the record), and its key.
    records : list of dict
        Of JSON: some records as they came.
    longest : int
        Of JSON: bytes of the longest record.
    notes : list of str
        What the user should know about the file.
    """

    kind: str
    columns: dict[str, pa.Array]
    block: NDArray[np.int64]
    rows: int
    complete: bool
    dialect: CsvConfig = field(default_factory=CsvConfig)
    parents: dict[str, tuple[str, str]] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    longest: int = 0
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.block)
