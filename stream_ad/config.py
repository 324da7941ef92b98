"""Settings: one frozen tree, read from YAML and the environment, checked at start.

Unknown keys are errors, units stand in the names, and a key whose feature does not exist
yet is refused rather than ignored. Environment variables override the file:
``STREAM_AD__WINDOWS__HOP=8`` sets ``windows.hop``.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from stream_ad.errors import ConfigError

ENV_PREFIX = "STREAM_AD__"

# Keys of the contract whose feature is not built yet; a dotted path, children included.
LATER = (
    "kafka",
    "drift",
    "groups",
    "metrics",
    "windows.idle_s",
    "windows.active_when",
    "alarm.mute",
    "limits.machines_per_worker",
    "registry.keep",
    "training.every_s",
    "training.every_windows",
    "training.on_drift",
    "training.lead_s",
    "training.quarantine_s",
    "training.gate",
)

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0)]  # infinity allowed: "for ever"
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldsConfig(_Section):
    """Where a record keeps its parts: a dotted path or, in CSV and Parquet, a column name.

    ``machine_id: null`` means that the input has one machine, called ``machine``.
    ``values: .`` means that the sensors lie at the top of the record.
    """

    machine_id: str | None = "machine_id"
    time: str = "time"
    values: str = "values"
    sensor: str = "sensor"
    value: str = "value"
    quality: str | None = None

    @field_validator("machine_id", "time", "values", "sensor", "value", "quality")
    @classmethod
    def _no_kafka_parts(cls, path: str | None) -> str | None:
        if path is not None and path.startswith("$"):
            raise ValueError("a field of the record ($key and $header.NAME: not available yet)")
        return path


class CsvConfig(_Section):
    """Dialect of CSV files: one character each."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    decimal: Literal[".", ","] = "."


class InputConfig(_Section):
    """Shape of the input and how its times and qualities read."""

    format: Literal["window", "reading", "long"] = "reading"
    fields: FieldsConfig = FieldsConfig()
    time_unit: Literal["s", "ms", "us", "ns"] = "ms"
    time_zone: str | None = None
    time_format: str | None = None
    good_quality: tuple[int | str, ...] | None = None
    csv: CsvConfig = CsvConfig()

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


class LimitsConfig(_Section):
    """What one record may cost; anything beyond is a dead letter."""

    record_bytes: Count = 1_048_576
    sensors: Count = 1_000
    nesting: Count = 32


class SensorConfig(_Section):
    """One sensor: name, unit, physical range and how long it may stand still or be silent."""

    name: Annotated[str, Field(min_length=1)]
    unit: str | None = None
    min: float | None = None
    max: float | None = None
    max_gap_s: Seconds | None = None
    stuck_s: Positive | None = None

    @model_validator(mode="after")
    def _range_is_one(self) -> Self:
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError("min below max")
        return self


class WindowsConfig(_Section):
    """The event-time grid; ``length`` and ``hop`` count slots of ``period_s``."""

    sensors: tuple[SensorConfig, ...] = ()
    period_s: Annotated[float, Field(ge=1e-6, le=86_400 * 366)] | None = None
    length: Annotated[int, Field(ge=1, le=100_000)] = 64
    hop: Count | None = None
    disorder_s: NotNegative = 0.0
    max_missing: Share = 0.5
    max_gap_s: Seconds | None = None
    max_jump_s: Positive | None = None

    @field_validator("sensors", mode="before")
    @classmethod
    def _names_are_sensors(cls, value: object) -> object:
        if isinstance(value, (list, tuple)):
            return [{"name": item} if isinstance(item, str) else item for item in value]
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [sensor.name for sensor in self.sensors]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"every sensor once; {', '.join(twice)} stands there twice")
        if self.hop is not None and self.hop > self.length:
            raise ValueError(f"hop at most length ({self.length}), so that no reading is skipped")
        if self.max_jump_s and self.period_s and self.max_jump_s < 2 * self.period_s:
            raise ValueError(f"max_jump_s at least two periods ({2 * self.period_s} s)")
        return self


class DetectorConfig(_Section):
    """The model, the scorer over its latents, and what both may cost."""

    model: Literal["ae"] = "ae"
    scorer: Literal["error", "ares"] = "ares"
    network: Literal["dense", "tcn"] = "dense"
    k: Count = 10
    alpha: NotNegative = 0.5
    latent_dim: Count | None = None
    index: Literal["auto", "exact"] = "auto"
    bank_windows: Annotated[int, Field(ge=2)] = 10_000
    epochs: Count = 100
    calibration_share: Annotated[float, Field(ge=0.05, le=0.8)] = 0.3
    device: str = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


class SeverityConfig(_Section):
    """Scores above which an incident counts as error or critical; the line itself is 1."""

    error: Annotated[float, Field(gt=1)] = 2.0
    critical: Annotated[float, Field(gt=1)] = 4.0

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.critical <= self.error:
            raise ValueError("critical above error")
        return self


class AlarmConfig(_Section):
    """The budget and the rule that turns alarms into incidents."""

    budget_per_machine_day: Positive = 1.0
    m: Count = 2
    n: Count = 3
    close_after: Count = 3
    severity: SeverityConfig = SeverityConfig()
    min_severity: Literal["info", "warning", "error", "critical"] = "info"
    max_extrapolation: Annotated[float, Field(ge=1)] = 10.0

    @model_validator(mode="after")
    def _m_of_n(self) -> Self:
        if self.m > self.n:
            raise ValueError(f"m at most n ({self.n})")
        return self


class TrainingConfig(_Section):
    """What of a recording is history, and how much of it is used."""

    min_windows: Annotated[int, Field(ge=10)] = 20
    buffer_windows: Annotated[int, Field(ge=10)] = 50_000
    history_share: OpenShare = 0.5


class RegistryConfig(_Section):
    """Where trained detectors lie: a folder; null means that a replay trains its own."""

    uri: str | None = None


class Config(_Section):
    """Every setting of the program."""

    input: InputConfig = InputConfig()
    limits: LimitsConfig = LimitsConfig()
    windows: WindowsConfig = WindowsConfig()
    detector: DetectorConfig = DetectorConfig()
    alarm: AlarmConfig = AlarmConfig()
    training: TrainingConfig = TrainingConfig()
    registry: RegistryConfig = RegistryConfig()


def load_config(path: Path | None, environ: Mapping[str, str] | None = None) -> Config:
    """Read a YAML file, lay the environment over it and check everything.

    Parameters
    ----------
    path : Path or None
        The file; None means defaults and environment only.
    environ : mapping of str, optional
        Defaults to the process environment.

    Returns
    -------
    Config

    Raises
    ------
    ConfigError
        Names the key, the value and what is allowed.

    Examples
    --------
    >>> load_config(None, {"STREAM_AD__WINDOWS__HOP": "8"}).windows.hop
    8
    """
    tree = {} if path is None else _read_yaml(path)
    for keys, value in _from_environment(os.environ if environ is None else environ):
        _put(tree, keys, value)
    return parse_config(tree)


def parse_config(tree: dict[str, Any]) -> Config:
    """Check a tree of settings that is already in memory.

    Parameters
    ----------
    tree : dict
        Sections as in the YAML file.

    Returns
    -------
    Config

    Raises
    ------
    ConfigError
        Names the key, the value and what is allowed.

    Examples
    --------
    >>> parse_config({"windows": {"hup": 1}})
    Traceback (most recent call last):
    ...
    stream_ad.errors.ConfigError: windows.hup = 1: allowed is a known key (did you mean 'hop'?)
    """
    for key in LATER:
        value = _get(tree, key.split("."))
        if value is not None:
            raise ConfigError(key, value, "nothing yet: this key is not available yet")
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise _translate(error) from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError("--config", str(path), f"a readable file ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = " ".join(str(error).split())
        raise ConfigError("--config", str(path), f"a YAML file ({where})") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError("--config", str(path), "a YAML file of sections, such as windows:")
    return tree


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[list[str], Any]]:
    # pydantic-settings passes over variables that fit no field; a misspelt one must not pass.
    for name, text in sorted(environ.items()):
        if name.startswith(ENV_PREFIX):
            try:
                value = yaml.safe_load(text)
            except yaml.YAMLError as error:
                raise ConfigError(name, text, "a YAML value") from error
            yield name.removeprefix(ENV_PREFIX).lower().split("__"), value


def _put(tree: dict[str, Any], keys: list[str], value: object) -> None:
    for depth, key in enumerate(keys[:-1]):
        branch = tree.setdefault(key, {})
        if not isinstance(branch, dict):
            raise ConfigError(".".join(keys[: depth + 1]), branch, "a section with keys of its own")
        tree = branch
    tree[keys[-1]] = value


def _get(tree: object, keys: list[str]) -> Any:
    for key in keys:
        if not isinstance(tree, dict):
            return None
        tree = tree.get(key)
    return tree


def _translate(error: ValidationError) -> ConfigError:
    problems = error.errors()
    first = problems[0]
    key = ".".join(str(part) for part in first["loc"]) or "config"
    text = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        text = _known_keys(first["loc"])
    elif text.startswith("Input should be "):
        text = text.removeprefix("Input should be ")
    if len(problems) > 1:
        text += f" (and {len(problems) - 1} more problems in this config)"
    return ConfigError(key, first["input"], text)


def _known_keys(loc: tuple[int | str, ...]) -> str:
    model: Any = Config
    for part in loc[:-1]:
        if isinstance(part, str) and part in model.model_fields:
            model = model.model_fields[part].annotation
        elif isinstance(part, int):
            model = SensorConfig  # the only list of sections
    names = list(model.model_fields)
    near = difflib.get_close_matches(str(loc[-1]), names, n=1)
    if near:
        return f"a known key (did you mean {near[0]!r}?)"
    return f"a known key: {', '.join(names)}"
