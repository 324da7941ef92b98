"""Bytes of JSON records to a batch: a fast path, and pydantic as the judge of the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from stream_ad.config import InputConfig, LimitsConfig
from stream_ad.records import LongRecord, ReadingRecord, WindowRecord
from stream_ad.transport.base import DEAD_LETTER_BYTES, Batch, DeadLetter
from stream_ad.transport.cells import NUMBERS, number_rows, one_number, to_float32
from stream_ad.transport.fields import (
    ABSENT,
    Envelope,
    EnvelopeFields,
    Path,
    Rejected,
    brief,
    time_field,
)
from stream_ad.transport.json_text import parse_object
from stream_ad.transport.plain import PlainRecords
from stream_ad.transport.quality import GoodQuality
from stream_ad.transport.tables import LONGEST_NAME, NAME_ALLOWED, ONE_MACHINE
from stream_ad.transport.times import ALLOWED, NAT, TimeReader
from stream_ad.transport.window_cells import WindowCells
from stream_ad.windows.batches import Readings, Windows
from stream_ad.windows.spec import WindowSpec

Cells = list[float | None]
_TIMES = {int, float, str}
_MODELS: dict[str, type[BaseModel]] = {
    "reading": ReadingRecord,
    "long": LongRecord,
    "window": WindowRecord,
}


class Decoder:
    """Turns JSON records into a batch of readings or windows.

    A record whose parts cannot be used (no object, no machine, no readable time) is a dead
    letter; a sensor's cell that is no number is missing and counted. Of keys that stand in
    an object twice the last one counts. Sensors that are not configured are ignored; a
    record of the long format about one of them is no reading.

    Parameters
    ----------
    config : InputConfig
    limits : LimitsConfig
    spec : WindowSpec
    keep : int
        Bytes of a dead letter's value that are kept.

    Examples
    --------
    >>> from stream_ad.config import WindowsConfig
    >>> spec = WindowSpec.from_config(WindowsConfig(sensors=["a", "b"], period_s=1))
    >>> decoder = Decoder(InputConfig(), LimitsConfig(), spec)
    >>> batch = decoder.decode([(0, b'{"machine_id": "m", "time": 5, "values": {"b": 2}}'),
    ...                         (1, b'{"machine_id": "m", "values": {}}')])
    >>> batch.records.values, batch.dead[0].error_message
    (array([[nan,  2.]], dtype=float32), 'time: field required')
    """

    def __init__(
        self,
        config: InputConfig,
        limits: LimitsConfig,
        spec: WindowSpec,
        *,
        keep: int = DEAD_LETTER_BYTES,
    ) -> None:
        self._format, self._limits, self._names = config.format, limits, spec.names
        self.keep, self._envelope = keep, EnvelopeFields(config)
        fields = config.fields
        self._machine = None if fields.machine_id is None else Path(fields.machine_id)
        self._time, self._values = Path(time_field(config)), Path(fields.values)
        self._sensor, self._value = Path(fields.sensor), Path(fields.value)
        self._quality = GoodQuality(config)
        self._code = None if self._quality.column is None else Path(self._quality.column)
        self._times = TimeReader(config)
        self._window = WindowCells(spec)
        self._places = {name: place for place, name in enumerate(spec.names)}
        self._plain: PlainRecords | None = None
        if PlainRecords.exist(config):
            self._plain = PlainRecords(config, limits, spec, self._times)

    @property
    def needs_envelope(self) -> bool:
        """Whether a part of the record stands in its message's key or headers."""
        return bool(self._envelope.names)

    def decode(
        self,
        records: Iterable[tuple[int, bytes | None]],
        position: int | None = None,
        envelopes: Iterable[Envelope] | None = None,
    ) -> Batch:
        """Return the batch of some records.

        Parameters
        ----------
        records : iterable of (int, bytes or None)
            Offset and value, offsets ascending; None where a message has no value.
        position : int, optional
            The position after them; by default the last offset + 1.
        envelopes : iterable of (key, headers), optional
            Of the same records; not needed unless ``needs_envelope``.
        """
        counts: Counter[str] = Counter()
        given = list(records)
        around = list(envelopes or ()) if self.needs_envelope else []
        taken, odd = self._take(given, around, counts)
        rows: list[tuple[str, int, int, Any]] = []
        dead: list[DeadLetter] = []
        for place in odd:
            offset, raw = given[place]
            try:
                envelope = around[place] if self.needs_envelope else None
                machine, time, cells = self._record(raw, envelope, counts)
            except Rejected as why:
                cause = why.error_class, str(why)
                dead.append(DeadLetter.of(offset, raw or b"", *cause, keep=self.keep))
                continue
            if cells is not None:
                rows.append((machine, time, offset, cells))
        after = position
        if after is None:
            after = given[-1][0] + 1 if given else 0
        return Batch(self._joined(taken, rows, counts), dead, after, counts)

    def _take(
        self,
        given: list[tuple[int, bytes | None]],
        around: list[Envelope],
        counts: Counter[str],
    ) -> tuple[Readings | Windows | None, Iterable[int]]:
        """Return the plain records, and the places of the others."""
        every = range(len(given))
        if self._plain is None:
            return None, every
        keys = [key for key, _ in around] or None
        plain = self._plain.take([raw for _, raw in given], keys, counts)
        offset = np.array([given[place][0] for place in plain.places], np.int64)
        machine = np.array(plain.machine, object)
        made = Windows if self._format == "window" else Readings
        taken = made(machine, plain.time, to_float32(plain.values, counts), offset)
        if len(taken) == len(given):
            return taken, ()
        return taken, sorted({*every}.difference(plain.places))

    def _joined(
        self,
        taken: Readings | Windows | None,
        rows: list[tuple[str, int, int, Any]],
        counts: Counter[str],
    ) -> Readings | Windows:
        if taken is not None and not rows:
            return taken
        others = self._columns(rows, counts)
        if taken is None or not len(taken):
            return others
        both: Any = type(taken).concat([taken, others])  # type: ignore[list-item]  # of one kind
        return both.take(np.argsort(both.offset, kind="stable"))  # type: ignore[no-any-return]  # like both

    def _columns(
        self, rows: list[tuple[str, int, int, Any]], counts: Counter[str]
    ) -> Readings | Windows:
        machine = np.array([row[0] for row in rows], object)
        time = np.array([row[1] for row in rows], np.int64)
        offset = np.array([row[2] for row in rows], np.int64)
        cells = [row[3] for row in rows]
        if self._format == "window":
            stacked = np.stack(cells) if cells else np.empty((0, *self._window.shape))
            return Windows(machine, time, to_float32(stacked, counts), offset)
        values = to_float32(number_rows(cells, len(self._names)), counts)
        return Readings(machine, time, values, offset)

    def _record(
        self, raw: bytes | None, envelope: Envelope | None, counts: Counter[str]
    ) -> tuple[str, int, Cells | NDArray[np.float64] | None]:
        if raw is None:
            raise Rejected("NoValue", "record = None: allowed is a JSON object")
        tree = parse_object(raw, self._limits)
        if envelope is not None:
            tree = self._envelope.onto(tree, envelope)
        machine, stamp = self._machine_of(tree), self._time.of(tree)
        time = self._times.one(stamp, counts)
        parts = self._parts(tree)
        if machine is None or type(stamp) not in _TIMES or not self._is_plain(parts):
            machine = self._judge(tree, machine, stamp, parts)
        if time == NAT:
            message = f"{self._time} = {brief(stamp)}: allowed is {ALLOWED}"
            raise Rejected("InvalidTime", message)
        if self._format == "window":
            return machine, time, self._window.of(parts, self._values, counts)
        if self._format == "long":
            return machine, time, self._long(tree, parts, counts)
        return machine, time, self._reading(tree, parts["values"], counts)

    def _machine_of(self, tree: dict[str, Any]) -> str | None:
        if self._machine is None:
            return ONE_MACHINE
        name = _name(self._machine.of(tree))
        return name if type(name) is str and 0 < len(name) <= LONGEST_NAME else None

    def _parts(self, tree: dict[str, Any]) -> dict[str, Any]:
        """Return what the format needs besides machine and time, under the model's names."""
        if self._format == "long":
            parts = {"sensor": _name(self._sensor.of(tree)), "value": self._value.of(tree)}
        elif self._format == "reading":
            parts = {"values": self._values.of(tree)}
        else:
            parts = {name: tree.get(name, ABSENT) for name in ("period_s", "sensors", "mask")}
            parts["values"] = self._values.of(tree)
        return {name: part for name, part in parts.items() if part is not ABSENT}

    def _is_plain(self, parts: dict[str, Any]) -> bool:
        if self._format == "reading":
            return type(parts.get("values")) is dict
        if self._format == "long":
            sensor = parts.get("sensor")
            return type(sensor) is str and 0 < len(sensor) <= LONGEST_NAME and "value" in parts
        return self._window.is_plain(parts)

    def _judge(
        self, tree: dict[str, Any], machine: str | None, stamp: object, parts: dict[str, Any]
    ) -> str:
        """Let the declared model say what is wrong; cells have a judge of their own."""
        given = dict(parts)
        if self._format == "long" and "value" in given:
            given["value"] = None
        elif self._format == "window":
            given |= self._window.skeleton(parts)
        elif type(given.get("values")) is dict:
            given["values"] = {}
        own = ABSENT if self._machine is None else self._machine.of(tree)
        given["machine_id"] = own if machine is None else machine
        time_key = "start" if self._format == "window" else "time"
        given[time_key] = 0 if type(stamp) is float else stamp
        given = {name: part for name, part in given.items() if part is not ABSENT}
        try:
            judged = _MODELS[self._format].model_validate(given, strict=True)
        except ValidationError as error:
            raise Rejected("InvalidRecord", self._explain(error, time_key)) from None
        return str(judged.machine_id)  # type: ignore[attr-defined]  # all have one

    def _explain(self, error: ValidationError, time_key: str) -> str:
        first = error.errors()[0]
        field, *inner = map(str, first["loc"])
        own = {"machine_id": self._machine, time_key: self._time, "values": self._values}
        own |= {"sensor": self._sensor, "value": self._value}
        # the last parts of a place are the members of a union, not keys of the record
        key = str(own.get(field, field)) + (f".{inner[0]}" if inner and inner[0].isdigit() else "")
        if first["type"] == "missing":
            return f"{key}: field required{self._where(field)}"
        allowed = first["msg"].removeprefix("Input should be ")
        allowed = {time_key: ALLOWED, "machine_id": NAME_ALLOWED, "sensor": NAME_ALLOWED}.get(
            field, allowed
        )
        return f"{key} = {brief(first['input'])}: allowed is {allowed}"

    def _where(self, field: str) -> str:
        if self._format != "reading" or field != "values":
            return ""
        return ' (input.fields.values names it, "." where the sensors stand beside the time)'

    def _reading(self, tree: dict[str, Any], values: dict[str, Any], counts: Counter[str]) -> Cells:
        if len(values) > self._limits.sensors:
            message = f"{len(values)} sensors: allowed are limits.sensors = {self._limits.sensors}"
            raise Rejected("TooManySensors", message)
        cells = [values.get(name) for name in self._names]
        if not NUMBERS.issuperset(map(type, cells)):
            cells = [one_number(cell, counts) for cell in cells]
        if self._code is not None:
            self._mask(cells, self._code.of(tree), counts)
        return cells

    def _mask(self, cells: Cells, code: object, counts: Counter[str]) -> None:
        if type(code) is dict:
            bad = [p for n, p in self._places.items() if not self._quality.is_good(code.get(n))]
            marked = len(bad)
        else:
            marked = int(code is not ABSENT and not self._quality.is_good(code))
            bad = list(range(len(cells))) * marked
        if marked:
            counts["bad_quality"] += marked
        for place in bad:
            cells[place] = None

    def _long(
        self, tree: dict[str, Any], parts: dict[str, Any], counts: Counter[str]
    ) -> Cells | None:
        place = self._places.get(parts["sensor"])
        if place is None:
            return None
        cells: Cells = [None] * len(self._names)
        cells[place] = one_number(parts["value"], counts)
        if self._code is not None:
            self._mask(cells, self._code.of(tree), counts)
        return cells


def _name(part: object) -> object:
    # many producers number their machines; text and number are the same name in a CSV too
    return str(part) if type(part) is int else part
