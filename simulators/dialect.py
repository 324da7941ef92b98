"""How a stream is written: kind of record, separators, times, label."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

RECORDS = ("reading", "long", "window")
TAKEN = ("time", "machine_id", "values", "sensor", "value", "start", "period_s", "sensors", "mask")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written.

    Parameters
    ----------
    record : str
        `reading`: one row per reading, a column per sensor. `long`: one row per value. `window`:
        one JSON record per `window_length` readings, jsonl only.
    delimiter, decimal : str
        Of CSV; one character each, not the same.
    zone : ZoneInfo, optional
        Naive local times of this zone; UTC with its mark when None.
    label : str, optional
        Name of the label column or field; none when None.
    window_length : int
        Readings in a `window` record, 1 or more.

    Raises
    ------
    ValueError
        When a value is not allowed.
    """

    record: str = "reading"
    delimiter: str = ","
    decimal: str = "."
    zone: ZoneInfo | None = None
    label: str | None = None
    window_length: int = 64

    def __post_init__(self) -> None:
        if self.record not in RECORDS:
            raise ValueError(f"record: {self.record!r} is not one of {', '.join(RECORDS)}")
        if self.decimal not in {".", ","}:
            raise ValueError(f"decimal: {self.decimal!r} is not allowed; give '.' or ','")
        if len(self.delimiter) != 1 or self.delimiter in f'{self.decimal}-:."0123456789\r\n':
            raise ValueError(
                f"delimiter: {self.delimiter!r} is not allowed beside decimal {self.decimal!r}; "
                "give one character such as ',', ';' or a tab that no number or time contains"
            )
        if self.label is not None and (not self.label.isidentifier() or self.label in TAKEN):
            raise ValueError(
                f"label: {self.label!r} is not allowed; give letters, digits and underscores, "
                f"and none of {', '.join(TAKEN)}"
            )
        if self.window_length < 1:
            raise ValueError(f"window_length: {self.window_length} is not allowed; give 1 or more")

    def refuse_windows(self, format_name: str) -> None:
        """Raise ValueError when `window` records are asked of a format that has none."""
        if self.record == "window":
            raise ValueError(f"record: window exists as jsonl only, not as {format_name}")
