"""The config as YAML that explains itself."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import yaml

from stream_ad.config import (
    AlarmConfig,
    DetectorConfig,
    LimitsConfig,
    SensorConfig,
    TrainingConfig,
    WindowsConfig,
)
from stream_ad.inspection.nice import number

if TYPE_CHECKING:
    from stream_ad.inspection.result import Inspection

_WIDTH = 96
_COMMENT_AT = 30
_SAFE = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")


def write_yaml(found: Inspection) -> str:
    """Return every chosen value with the reason for it; defaults worth knowing commented out."""
    sections = (_head, _input, _limits, _windows, _detector, _alarm, _training)
    return "\n".join(line for section in sections for line in section(found)) + "\n"


def _head(found: Inspection) -> Iterator[str]:
    yield from _sentence(f"{found.path.name}: {found.summary}. Written by `stream-ad init`.")
    yield from _sentence(
        "What is commented out is the default; `stream-ad config schema` lists all keys."
    )
    if found.notes:
        yield "#"
        yield "# Please check:"
        for note in found.notes:
            yield from _sentence(note, "# - ", "#   ")


def _input(found: Inspection) -> Iterator[str]:
    settings = found.input
    yield ""
    yield "input:"
    yield from _line(found, "input.format", settings.format)
    yield "  fields:"
    for key, name in _fields(found).items():
        yield from _line(found, f"input.fields.{key}", _text(name), depth=4)
    if settings.good_quality:
        codes = ", ".join(_text(code) for code in settings.good_quality)
        yield from _line(found, "input.good_quality", f"[{codes}]")
    yield from _times(found)
    if "input.csv" in found.why:
        csv = settings.csv
        value = f"{{delimiter: {_quoted(csv.delimiter)}, decimal: {_quoted(csv.decimal)}}}"
        yield from _line(found, "input.csv", value)


def _fields(found: Inspection) -> dict[str, str | None]:
    """Return the keys of ``input.fields`` that this shape of records has."""
    fields = found.input.fields
    names = {"machine_id": fields.machine_id, "time": fields.time}
    if found.input.format == "long":
        names |= {"sensor": fields.sensor, "value": fields.value}
    elif "input.fields.values" in found.why:
        names["values"] = fields.values
    return names if fields.quality is None else names | {"quality": fields.quality}


def _times(found: Inspection) -> Iterator[str]:
    settings = found.input
    if "input.time_unit" in found.why:
        yield from _line(found, "input.time_unit", settings.time_unit)
    if settings.time_format is not None:
        yield from _line(found, "input.time_format", _text(settings.time_format))
    if settings.time_zone is not None:
        yield from _line(found, "input.time_zone", _text(settings.time_zone))
    elif "input.time_zone" in found.why:
        yield from _commented("time_zone: Europe/Berlin", found.why["input.time_zone"])


def _limits(found: Inspection) -> Iterator[str]:
    own = found.limits.model_dump()
    changed = {
        key: own[key] for key, default in LimitsConfig().model_dump().items() if own[key] != default
    }
    if changed:
        yield ""
        yield "limits:"
        for key, value in changed.items():
            yield from _line(found, f"limits.{key}", str(value))


def _windows(found: Inspection) -> Iterator[str]:
    settings = found.windows
    assert settings.period_s is not None  # an inspection finds one or raises
    yield ""
    yield "windows:"
    yield from _sensors(settings.sensors)
    yield from _line(found, "windows.period_s", number(settings.period_s))
    yield from _line(found, "windows.length", str(settings.length))
    yield from _line(found, "windows.hop", str(settings.hop))
    yield from _line(found, "windows.disorder_s", number(settings.disorder_s))
    if settings.max_gap_s is None:
        usual = number(2 * settings.period_s)
        yield from _commented(
            f"max_gap_s: {usual}", "two periods: how long a value stands for a missing one"
        )
    else:
        yield from _line(found, "windows.max_gap_s", number(settings.max_gap_s))
    missing = number(WindowsConfig().max_missing)
    yield from _commented(f"max_missing: {missing}", "windows that miss more are not scored")


def _sensors(sensors: Iterable[SensorConfig]) -> Iterator[str]:
    sensors = tuple(sensors)
    yield "  # a sensor may also be {name: x, unit: bar, min: 0, max: 10, stuck_s: 3600}"
    if not any(sensor.max_gap_s for sensor in sensors):
        yield from _flow([_text(sensor.name) for sensor in sensors])
        return
    yield "  sensors:"
    for sensor in sensors:
        if sensor.max_gap_s is None:
            yield f"    - {_text(sensor.name)}"
        else:
            gap = number(sensor.max_gap_s)
            item = f"    - {{name: {_text(sensor.name)}, max_gap_s: {gap}}}"
            yield from _with_comment(item, "reports less often: 95 % of its gaps are shorter")


def _flow(names: list[str]) -> Iterator[str]:
    line = "  sensors: ["
    for place, name in enumerate(names):
        part = name + ("]" if place == len(names) - 1 else ",")
        if len(line) + len(part) > _WIDTH and line.strip():
            yield line.rstrip()
            line = "    "
        line += part if line.endswith(("[", "    ")) else f" {part}"
    yield line


def _detector(_: Inspection) -> Iterator[str]:
    default = DetectorConfig()
    yield ""
    yield "detector:"
    yield from _with_comment(f"  seed: {default.seed}", "same seed, same file: same result")
    yield from _commented(f"network: {default.network}", "or tcn: slower, sees the order in time")
    yield from _commented(f"epochs: {default.epochs}", "rounds of training")


def _alarm(_: Inspection) -> Iterator[str]:
    default = AlarmConfig()
    budget = number(default.budget_per_machine_day)
    yield ""
    yield "alarm:"
    yield from _with_comment(
        f"  budget_per_machine_day: {budget}", "at most so many false alarms; 0.1 is stricter"
    )
    yield from _commented(f"m: {default.m}", "an incident opens when m of")
    yield from _commented(f"n: {default.n}", "n windows in a row alarm")
    yield from _commented(f"close_after: {default.close_after}", "and closes after so many quiet")


def _training(found: Inspection) -> Iterator[str]:
    share = number(TrainingConfig().history_share)
    yield ""
    yield "training:"
    yield from _with_comment(
        f"  history_share: {share}",
        "the first half is learnt as normal, the rest is scored",
    )
    if found.label_columns:
        names = ", ".join(_printable(name) for name in found.label_columns)
        yield from _sentence(
            f"labels in the file, no sensors and never learnt from: {names}; `stream-ad replay"
            f" --label-column {_printable(found.label_columns[0])}` measures against them",
            "  # ",
            "  # ",
        )


def _line(found: Inspection, key: str, value: str, depth: int = 2) -> list[str]:
    own = key.rpartition(".")[2]
    return _with_comment(f"{' ' * depth}{own}: {value}", found.why.get(key, ""))


def _commented(setting: str, comment: str) -> list[str]:
    return _with_comment(f"  # {setting}", comment)


def _with_comment(line: str, comment: str) -> list[str]:
    """Put a comment beside a line, or above it where it is long."""
    if not comment:
        return [line]
    beside = f"{line:<{_COMMENT_AT}}  # {_printable(comment)}"
    if len(beside) <= _WIDTH:
        return [beside]
    start = f"{line[: len(line) - len(line.lstrip())]}# "
    return [*_sentence(comment, start, start), line]


def _sentence(text: str, first: str = "# ", later: str = "# ") -> list[str]:
    return textwrap.wrap(
        _printable(text),
        _WIDTH,
        initial_indent=first,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _printable(text: str) -> str:
    """Keep a name from ending the comment that it stands in."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _text(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(value)
    text = str(value)
    if _SAFE.fullmatch(text) and yaml.safe_load(text) == text:
        return text
    return _quoted(text)


def _quoted(text: str) -> str:
    dumped: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=1 << 30)
    return dumped.strip()
