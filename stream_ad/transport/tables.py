"""Columns of a table to readings: what CSV and Parquet have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from stream_ad.config import InputConfig
from stream_ad.transport.base import Batch, DeadLetter
from stream_ad.transport.cells import number_column, to_float32
from stream_ad.transport.distinct import distinct
from stream_ad.transport.fields import brief
from stream_ad.transport.layout import Layout
from stream_ad.transport.quality import GoodQuality
from stream_ad.transport.times import ALLOWED, NAT, TimeReader
from stream_ad.windows.batches import Readings
from stream_ad.windows.spec import WindowSpec

ONE_MACHINE = "machine"  # the name of the only machine of an input without machine ids
LONGEST_NAME = 249
NAME_ALLOWED = f"1 to {LONGEST_NAME} characters of UTF-8"


class TableDecoder:
    """Turns column chunks into batches; the same bits as record by record.

    Parameters
    ----------
    config : InputConfig
    spec : WindowSpec

    Examples
    --------
    >>> from stream_ad.config import WindowsConfig
    >>> spec = WindowSpec.from_config(WindowsConfig(sensors=["a"], period_s=1))
    >>> decoder = TableDecoder(InputConfig(), spec)
    >>> columns = {"machine_id": pa.array(["m", ""]), "time": pa.array([5, 6]),
    ...            "a": pa.array(["1.5", "2"])}
    >>> batch = decoder.batch(columns, np.arange(2), [], 2)
    >>> batch.records.values, batch.dead[0].error_message
    (array([[1.5]], dtype=float32), "machine_id = '': allowed is 1 to 249 characters of UTF-8")
    """

    def __init__(self, config: InputConfig, spec: WindowSpec) -> None:
        self.layout = Layout.of(config, spec.names)
        self._fields = config.fields
        self._long = config.format == "long"
        self._decimal = config.csv.decimal
        self._names = spec.names
        self._times = TimeReader(config)
        self._quality = GoodQuality(config)

    def batch(
        self,
        columns: Mapping[str, pa.Array],
        offsets: NDArray[np.int64],
        dead: Iterable[DeadLetter],
        position: int,
    ) -> Batch:
        """Return the batch of one chunk.

        Parameters
        ----------
        columns : mapping of str to Array (n,)
            By the names of the layout.
        offsets : int64 array (n,)
            Rows of the input.
        dead : iterable of DeadLetter
            Rows that were no rows.
        position : int
            The row after this chunk.
        """
        counts: Counter[str] = Counter()
        columns = {name: plain(column) for name, column in columns.items()}
        machine, named = self._machines(columns, len(offsets))
        time = self._times.column(columns[self._fields.time], counts)
        known, place = self._places(columns, len(offsets))
        verdicts = {
            str(self._fields.machine_id): named,
            self._fields.sensor: known,
            self._fields.time: time != NAT,
        }
        good = np.logical_and.reduce([*verdicts.values()])
        rejected = [*dead, *_rejected(columns, offsets, verdicts, good)]
        rejected.sort(key=lambda letter: letter.offset)
        kept = good & (place >= 0)
        if not kept.all():
            rows = pa.array(np.flatnonzero(kept))
            columns = {name: column.take(rows) for name, column in columns.items()}
            machine, time, place, offsets = machine[kept], time[kept], place[kept], offsets[kept]
        values = self._values(columns, place, counts)
        return Batch(Readings(machine, time, values, offsets), rejected, position, counts)

    def _machines(
        self, columns: Mapping[str, pa.Array], rows: int
    ) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
        if self._fields.machine_id is None:
            return np.full(rows, ONE_MACHINE, object), np.ones(rows, bool)
        names, valid, codes = name_codes(columns[self._fields.machine_id])
        return np.array(names, object)[codes], valid[codes]

    def _places(
        self, columns: Mapping[str, pa.Array], rows: int
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return which rows name a sensor, and which of the configured ones, else -1."""
        if not self._long:
            return np.ones(rows, bool), np.zeros(rows, np.int64)
        names, valid, codes = name_codes(columns[self._fields.sensor])
        places: dict[str | None, int] = {name: place for place, name in enumerate(self._names)}
        return valid[codes], np.array([places.get(name, -1) for name in names], np.int64)[codes]

    def _values(
        self, columns: Mapping[str, pa.Array], place: NDArray[np.int64], counts: Counter[str]
    ) -> NDArray[np.float32]:
        names = [self._fields.value] if self._long else self._names
        cells = np.empty((len(place), len(names)), np.float64)
        for column, name in enumerate(names):
            cells[:, column] = number_column(columns[name], counts, self._decimal)
        if self._quality.column is not None:
            cells[self._quality.bad_rows(columns[self._quality.column], counts)] = np.nan
        values = to_float32(cells, counts)
        if not self._long:
            return values
        spread = np.full((len(place), len(self._names)), np.nan, np.float32)
        spread[np.arange(len(place)), place] = values[:, 0]
        return spread


def _rejected(
    columns: Mapping[str, pa.Array],
    offsets: NDArray[np.int64],
    verdicts: Mapping[str, NDArray[np.bool_]],
    good: NDArray[np.bool_],
) -> Iterator[DeadLetter]:
    *names, time = verdicts
    for row in np.flatnonzero(~good).tolist():
        cells = {name: _cell(column, row) for name, column in columns.items()}
        key = next((name for name in names if not verdicts[name][row]), time)
        cause, allowed = ("InvalidTime", ALLOWED) if key == time else ("InvalidName", NAME_ALLOWED)
        message = f"{key} = {brief(cells[key])}: allowed is {allowed}"
        yield DeadLetter.of(int(offsets[row]), orjson.dumps(cells), cause, message)


def _cell(column: pa.Array, row: int) -> object:
    kind = column.type
    if pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        column = column.slice(row, 1).cast(pa.string())
        row = 0
    return column[row].as_py()


def plain(column: pa.Array) -> pa.Array:
    """Return text of any Arrow encoding as ``string``, except dictionaries of it."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return column if kind.value_type == pa.string() else plain(column.cast(kind.value_type))
    if any(test(kind) for test in (pa.types.is_large_string, pa.types.is_string_view)):
        return column.cast(pa.string())
    return column


def encoded(column: pa.Array) -> pa.DictionaryArray:
    """Return a column of text or whole numbers as a dictionary of text."""
    if pa.types.is_dictionary(column.type):
        return column
    return column.cast(pa.string()).dictionary_encode()


def name_codes(
    column: pa.Array,
) -> tuple[list[str | None], NDArray[np.bool_], NDArray[np.intp]]:
    """Return the distinct names in a column, which of them are valid, and each row's place."""
    names, places = distinct(encoded(column))
    # U+FFFD stands where the bytes were no UTF-8
    valid = [bool(n) and len(n) <= LONGEST_NAME and "\ufffd" not in n for n in names]
    return names, np.array(valid, bool), places
