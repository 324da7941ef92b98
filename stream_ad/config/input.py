"""What comes in: shape, fields, times, and how much of it one record may be."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationInfo, field_validator, model_validator

from stream_ad.config.section import Count, Section


class FieldsConfig(Section):
    """Where a record keeps its parts: a dotted path or, in CSV and Parquet, a column name.

    On Kafka also ``$key``, the message's key, and ``$header.NAME``, the last header of that name.
    ``machine_id: null`` means that the input has one machine, called ``machine``.
    ``values: .`` means that the sensors lie at the top of the record.
    """

    machine_id: str | None = "machine_id"
    """Field or column of the machine id; null: the input has one machine, called `machine`."""
    time: str = "time"
    """Field or column of the event time (of window records: of their start)."""
    values: str = "values"
    """Field of a reading record that holds its sensors; `.` = they lie at the top. Of window
    records: their cells. Columns of CSV and Parquet are named by the sensors."""
    sensor: str = "sensor"
    """Field or column of the sensor name, for `long`."""
    value: str = "value"
    """Field or column of the value, for `long`."""
    quality: str | None = None
    """Field or column of the quality code; null: there is none."""

    @field_validator("machine_id", "time", "values", "sensor", "value", "quality")
    @classmethod
    def _known_envelope(cls, path: str | None, info: ValidationInfo) -> str | None:
        if path is None or not path.startswith("$"):
            return path
        if info.field_name == "values":
            raise ValueError("a field of the record: a key or header holds no values")
        if path != "$key" and not (path.startswith("$header.") and path != "$header."):
            raise ValueError("a field of the record, $key, or $header.NAME")
        return path


class CsvConfig(Section):
    """Dialect of CSV files: one character each."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """Between two columns."""
    decimal: Literal[".", ","] = "."
    """Decimal mark of numbers."""

    @model_validator(mode="after")
    def _tells_columns_apart(self) -> Self:
        sign = self.delimiter
        plain = sign.isascii() and (sign.isprintable() or sign == "\t")
        if not plain or sign.isalnum() or sign in {'"', self.decimal}:
            raise ValueError("a delimiter such as ';' that is neither quote, letter nor decimal")
        return self


class InputConfig(Section):
    """Shape of the input and how its times and qualities read."""

    format: Literal["window", "reading", "long"] = "reading"
    """`reading`: some sensors of a machine at one time; `long`: one value; `window`: windows made
    by others."""
    fields: FieldsConfig = FieldsConfig()
    """Other people's field names."""
    time_unit: Literal["s", "ms", "us", "ns"] = "ms"
    """Of times that are numbers: the epoch counts in this unit."""
    time_zone: str | None = None
    """IANA name, for times that name no zone; null reads them as UTC."""
    time_format: str | None = None
    """A `strptime` pattern, for times that are neither RFC 3339 nor numbers."""
    good_quality: tuple[int | str, ...] | None = None
    """Quality codes that count as good; null: every value does. Others make a value missing."""
    csv: CsvConfig = CsvConfig()
    """Dialect of CSV files."""

    @model_validator(mode="after")
    def _every_part_has_its_field(self) -> Self:
        own = self.fields
        used = {"machine_id": own.machine_id, "time": own.time, "quality": own.quality}
        if self.format == "long":
            used |= {"sensor": own.sensor, "value": own.value}
        names = [name for name in used.values() if name is not None]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            parts = " and ".join(part for part, name in used.items() if name == twice[0])
            raise ValueError(f"a field for each part; {twice[0]!r} is named for {parts}")
        return self

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (KeyError, ValueError, OSError) as cause:
                raise ValueError("a name of the IANA time zone list, such as Europe/Berlin") from (
                    cause
                )
        return name


class LimitsConfig(Section):
    """What one record may cost; anything beyond is a dead letter."""

    record_bytes: Count = 1_048_576
    """Largest record."""
    sensors: Count = 1_000
    """Most sensors in a record."""
    nesting: Count = 32
    """Deepest nesting of a JSON record."""
    machines_per_worker: Count = 100_000
    """Most machines of one worker of `run`; records of further ones are dead letters."""
