"""When a machine is not watched: while it is not active, and while it stands still by plan."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from stream_ad.config.section import Finite, Section

_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00")
_FIRST, _LAST = 1970, 2261  # what event times may be


def _moment(value: object) -> datetime:
    time = value if isinstance(value, datetime) else None
    if isinstance(value, str) and _RFC3339.fullmatch(value):
        try:
            time = datetime.fromisoformat(value.upper())
        except ValueError:
            time = None
    if time is None or time.tzinfo is None or not _FIRST <= time.year <= _LAST:
        raise ValueError(
            "a time in RFC 3339 with its zone, such as 2024-07-01T22:00:00+02:00, from "
            f"{_FIRST} to {_LAST}"
        )
    return time


def _clock(value: object) -> str:
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise ValueError('a time of day in quotes, from "00:00" to "24:00", such as "22:00"')
    return value


Moment = Annotated[datetime, BeforeValidator(_moment)]
Clock = Annotated[str, BeforeValidator(_clock)]


class ActiveConfig(Section):
    """A sensor that tells whether the machine is at work."""

    sensor: Annotated[str, Field(min_length=1)]
    """One of `windows.sensors`."""
    above: Finite
    """A window is active if every value that was observed of the sensor lies above; also if
    there is none: a broken sensor blinds nothing."""


class WeeklyConfig(Section):
    """A time of day on certain days of every week, by the clock of a place."""

    model_config = ConfigDict(serialize_by_alias=True)

    days: Annotated[
        tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...], Field(min_length=1)
    ]
    """Days on which the stop begins: `mon` to `sun`."""
    from_: Annotated[Clock, Field(alias="from")] = "00:00"
    """When it begins, in quotes."""
    to: Clock = "24:00"
    """When it is over, in quotes; at or before `from`: on the next day."""
    time_zone: str = "UTC"
    """IANA name of the place whose clock is meant; stops follow its summer time."""

    @field_validator("from_")
    @classmethod
    def _begins_within_the_day(cls, clock: str) -> str:
        if clock == "24:00":
            raise ValueError('"00:00" of the day after')
        return clock

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as cause:
            raise ValueError("a name of the IANA time zone list, such as Europe/Berlin") from cause
        return name


class MuteConfig(Section):
    """A planned stop: once, or every week."""

    model_config = ConfigDict(serialize_by_alias=True)

    machines: Annotated[str, Field(min_length=1)] = "*"
    """Machine ids that it is for; `*`, `?` and `[...]` stand for any text, sign, or one of these
    signs."""
    from_: Annotated[Moment | None, Field(alias="from")] = None
    """When it begins, RFC 3339."""
    to: Moment | None = None
    """When it is over, RFC 3339."""
    weekly: WeeklyConfig | None = None
    """Instead of `from` and `to`: every week."""

    @field_validator("to")
    @classmethod
    def _after_from(cls, to: datetime | None, info: ValidationInfo) -> datetime | None:
        begin = info.data.get("from_")
        if begin is not None and to is not None and to <= begin:
            raise ValueError(f"a time after from ({begin.isoformat()})")
        return to

    @model_validator(mode="after")
    def _once_or_weekly(self) -> Self:
        once = self.from_ is not None, self.to is not None
        if once != ((self.weekly is None,) * 2):
            raise ValueError("from and to, or weekly")
        return self
