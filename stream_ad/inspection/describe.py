"""The sections ``input`` and ``limits`` for what was found, each value with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from stream_ad.config import CsvConfig, FieldsConfig, InputConfig, LimitsConfig
from stream_ad.inspection.marks import Quality
from stream_ad.inspection.names import listed
from stream_ad.inspection.roles import Roles
from stream_ad.inspection.sample import Sample
from stream_ad.inspection.shape import Sensors
from stream_ad.transport.fields import Path

T = TypeVar("T")
NAIVE = "the times name no zone and are read as UTC"


@dataclass(frozen=True, slots=True)
class Section(Generic[T]):
    """A section of the config, reasons by dotted key, and notes for the user."""

    value: T
    why: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def describe_input(
    sample: Sample, roles: Roles, sensors: Sensors, time_zone: str | None
) -> Section[InputConfig]:
    """Return the section ``input``."""
    why = {"input.fields.time": roles.spelling.why}
    notes: list[str] = []
    names: dict[str, str | None] = {"time": roles.time.name}
    _describe_machine(roles, names, why)
    if roles.long is not None:
        names["sensor"], names["value"] = (column.name for column in roles.long)
        why["input.format"] = "a row holds one value of one sensor"
        if not sample.complete:
            notes.append("only a part of the file was looked at: add sensors that are not listed")
    else:
        why["input.format"] = "a row holds the values of all sensors at one time"
        if sensors.parent is not None:
            names["values"] = sensors.parent
            record = sensors.parent == "."
            why["input.fields.values"] = (
                "the sensors lie at the top of the record" if record else "the object of sensors"
            )
    good = _describe_quality(roles.quality, names, why, notes)
    if roles.spelling.unit is not None:
        why["input.time_unit"] = "by the size of the numbers"
    if roles.spelling.naive and time_zone is None:
        why["input.time_zone"] = NAIVE
        notes.append(f"{NAIVE}; if they are local, set input.time_zone, such as Europe/Berlin")
    if sample.dialect != CsvConfig():
        why["input.csv"] = "as the file is written"
    settings = InputConfig(
        format="reading" if roles.long is None else "long",
        fields=FieldsConfig.model_validate(names),
        time_unit=roles.spelling.unit or InputConfig().time_unit,
        time_zone=time_zone,
        time_format=roles.spelling.pattern,
        good_quality=good,
        csv=sample.dialect,
    )
    return Section(settings, why, notes)


def _describe_machine(roles: Roles, names: dict[str, str | None], why: dict[str, str]) -> None:
    key = "input.fields.machine_id"
    if roles.machine is None:
        names["machine_id"] = None
        why[key] = "no column names machines: all is one machine"
        return
    names["machine_id"] = roles.machine.name
    count = len(np.unique(codes := roles.machine_codes())) - int((codes < 0).any())
    why[key] = f"{roles.machine_why}; {count:,} seen"


def _describe_quality(
    quality: Quality | None, names: dict[str, str | None], why: dict[str, str], notes: list[str]
) -> tuple[int | str, ...] | None:
    if quality is None:
        return None
    if not quality.good:
        notes.append(
            f"quality codes that are not known, so not used: {listed([quality.field])}; list the"
            " good ones in input.good_quality"
        )
        return None
    names["quality"] = quality.field
    why["input.good_quality"] = "values with any other code count as missing"
    return quality.good


def describe_limits(sample: Sample, sensors: Sensors) -> Section[LimitsConfig]:
    """Return the section ``limits``, where the file needs more than the defaults allow."""
    default = LimitsConfig()
    why = {}
    most = len(sensors.names)
    if sensors.parent is not None:  # every key of the object counts, not only the sensors
        most = max(len(_inner(record, sensors.parent)) for record in sample.records)
    if most > default.sensors:
        why["limits.sensors"] = f"a record has {most:,}"
    if sample.longest > default.record_bytes:
        why["limits.record_bytes"] = "twice the longest record seen"
    limits = LimitsConfig(
        sensors=max(default.sensors, most),
        record_bytes=2 * sample.longest if "limits.record_bytes" in why else default.record_bytes,
    )
    return Section(limits, why)


def _inner(record: dict[str, Any], parent: str) -> dict[str, Any]:
    inner = Path(parent).of(record)
    return inner if isinstance(inner, dict) else {}
