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
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from stream_ad.errors import ConfigError
from stream_ad.redaction import HIDDEN, shown

ENV_PREFIX = "STREAM_AD__"
LONGEST_WINDOW_S = 1e9  # thirty years; times in ns have to fit into 64 bits

# Keys of the contract whose feature is not built yet; a dotted path, children included.
LATER = (
    "drift",
    "groups",
    "kafka.topics.labels",
    "kafka.topics.models",
    "windows.active_when",
    "alarm.mute",
    "registry.keep",
    "training.every_s",
    "training.every_windows",
    "training.on_drift",
    "training.lead_s",
    "training.quarantine_s",
    "training.gate",
)

LATER_VALUES = {
    "detector.model": [
        *("linear", "lis_ae", "linsep_lis_ae", "ncae", "deep_svdd", "deep_sad", "anorand")
    ],
    "detector.scorer": ["joined"],
    "detector.index": ["hnsw"],
}
ABSENT = object()

# Only from the environment, where their text is taken as it is, or from files of their own.
SECRETS = ("kafka.security.password", "kafka.security.key_password")

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0)]  # infinity allowed: "for ever"
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
Topic = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _may_stand_empty(cls, tree: object) -> object:
        return {} if tree is None else tree  # a heading whose keys are all comments

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: object) -> object:
        if isinstance(value, bool):  # YAML reads yes, no, on and off so; pydantic would as 1 and 0
            raise ValueError("no truth value (text such as yes or on needs quotes)")
        return value


class FieldsConfig(_Section):
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


class CsvConfig(_Section):
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


class InputConfig(_Section):
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


class LimitsConfig(_Section):
    """What one record may cost; anything beyond is a dead letter."""

    record_bytes: Count = 1_048_576
    """Largest record."""
    sensors: Count = 1_000
    """Most sensors in a record."""
    nesting: Count = 32
    """Deepest nesting of a JSON record."""
    machines_per_worker: Count = 100_000
    """Most machines of one worker of `run`; records of further ones are dead letters."""


class SensorConfig(_Section):
    """One sensor: name, unit, physical range and how long it may stand still or be silent."""

    name: Annotated[str, Field(min_length=1)]
    """As the records call it."""
    unit: str | None = None
    """For people; changes nothing."""
    min: Finite | None = None
    """Physically possible values lie at or above; others are masked and reported."""
    max: Finite | None = None
    """Physically possible values lie at or below; others are masked and reported."""
    max_gap_s: Seconds | None = None
    """Instead of `windows.max_gap_s`; `.inf` for sensors that report only changes."""
    stuck_s: Positive | None = None
    """Showing the same value for so long is a fault of the sensor; null: it may."""

    @model_validator(mode="before")
    @classmethod
    def _name_is_sensor(cls, value: object) -> object:
        if isinstance(value, str):
            return {"name": value}
        if value is not None and not isinstance(value, (dict, cls)):
            raise ValueError("a name (in quotes where YAML sees no text) or a section with a name")
        return value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(schema) | {"type": ["object", "string"], "minLength": 1}

    @model_validator(mode="after")
    def _range_is_one(self) -> Self:
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError("min below max")
        return self


class WindowsConfig(_Section):
    """The event-time grid; ``length`` and ``hop`` count slots of ``period_s``."""

    sensors: tuple[SensorConfig, ...] = ()
    """Names, or sections with a name; the order is that of the columns."""
    period_s: Annotated[float, Field(ge=1e-6, le=86_400 * 366)] | None = None
    """Seconds of a slot: the time between two readings."""
    length: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Slots of a window."""
    hop: Count | None = None
    """Slots between the starts of two windows; null: `length`."""
    disorder_s: NotNegative = 0.0
    """How much later than its successors a reading may arrive."""
    max_missing: Share = 0.5
    """Windows with a larger share of missing cells are not scored."""
    max_gap_s: Seconds | None = None
    """How long a value stands for the missing ones after it; null: two periods."""
    idle_s: Positive | None = None
    """`run` opens an incident of kind `silent` for a machine that sent nothing for so long; null:
    none."""
    max_jump_s: Positive | None = None
    """A reading farther ahead waits for a second one; null: 1000 periods, at least an hour."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [sensor.name for sensor in self.sensors]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"every sensor once; {', '.join(twice)} stands there twice")
        if self.hop is not None and self.hop > self.length:
            raise ValueError(f"hop at most length ({self.length}), so that no reading is skipped")
        if self.period_s and self.period_s * self.length > LONGEST_WINDOW_S:
            raise ValueError(f"length x period_s at most {LONGEST_WINDOW_S:g} s")
        if self.max_jump_s and self.period_s and self.max_jump_s < 2 * self.period_s:
            raise ValueError(f"max_jump_s at least two periods ({2 * self.period_s} s)")
        return self


class DetectorConfig(_Section):
    """The model, the scorer over its latents, and what both may cost."""

    model: Literal["ae"] = "ae"
    """What turns windows into latents and errors."""
    scorer: Literal["error", "ares"] = "ares"
    """What turns latents and errors into the raw score."""
    network: Literal["dense", "tcn"] = "dense"
    """Body of the model: fully connected, or temporal convolutions."""
    k: Count = 10
    """Neighbours that `ares` compares with; about 100 where the history is not clean."""
    alpha: Annotated[Finite, Field(ge=0, le=1e9)] = 0.5
    """Weight of the density in `ares`."""
    latent_dim: Count | None = None
    """Size of the latents; null follows from the window."""
    index: Literal["auto", "exact"] = "auto"
    """How neighbours are searched."""
    bank_windows: Annotated[int, Field(ge=2)] = 10_000
    """Most different normal windows kept for the search."""
    epochs: Count = 100
    """Most passes over the history."""
    calibration_share: Annotated[float, Field(ge=0.05, le=0.8)] = 0.3
    """Latest share of the history, held out to set the alarm line."""
    device: str = "auto"
    """`auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1`."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Of everything random."""


class SeverityConfig(_Section):
    """Scores above which an incident counts as error or critical; the line itself is 1."""

    error: Annotated[Finite, Field(gt=1)] = 2.0
    """Score above which an incident is an error."""
    critical: Annotated[Finite, Field(gt=1)] = 4.0
    """Score above which it is critical."""

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.critical <= self.error:
            raise ValueError("critical above error")
        return self


class AlarmConfig(_Section):
    """The budget and the rule that turns alarms into incidents."""

    budget_per_machine_day: Positive = 1.0
    """Most false alarms per machine and day of scored time."""
    m: Count = 2
    """An incident opens at so many alarms"""
    n: Count = 3
    """among the windows that start within so many hops."""
    close_after: Count = 3
    """It closes after so many scored windows without an alarm."""
    severity: SeverityConfig = SeverityConfig()
    """Bounds of severity."""
    min_severity: Literal["info", "warning", "error", "critical"] = "info"
    """Incidents below are tracked and not told."""
    max_extrapolation: Annotated[Finite, Field(ge=1)] = 10.0
    """How far beyond the held-out windows the line may reach: its p-value is at least 1 / (this x
    independent windows)."""

    @model_validator(mode="after")
    def _m_of_n(self) -> Self:
        if self.m > self.n:
            raise ValueError(f"m at most n ({self.n})")
        return self


class TrainingConfig(_Section):
    """What of a recording is history, and how much of it is used."""

    min_windows: Annotated[int, Field(ge=10)] = 20
    """Least windows of history."""
    buffer_windows: Annotated[int, Field(ge=10)] = 50_000
    """Most windows of history that are kept, the newest ones; at most 512 MiB of them."""
    history_share: OpenShare = 0.5
    """First share of the rows of a recording that is history, unless `--train-until` says
    otherwise."""


class RegistryConfig(_Section):
    """Where trained detectors lie: a folder; null means that a replay trains its own."""

    uri: str | None = None
    """Folder of trained detectors; null: a replay trains its own."""


class TopicsConfig(_Section):
    """Names of the topics; `stream-ad topics plan` says what each needs."""

    input: Topic | None = None
    """Records of the machines; the key is the machine id. `run` cannot do without."""
    alerts: Topic = "stream-ad.alerts"
    """Incident events."""
    scores: Topic | None = None
    """One record for each scored window; null: none are written."""
    dead_letter: Topic = "stream-ad.dead-letters"
    """Records that could not be used, with the cause."""
    state: Topic = "stream-ad.state"
    """Machine states; compacted, as many partitions as the input."""


class SecurityConfig(_Section):
    """How to prove who one is to the brokers; secrets come from the environment or files."""

    protocol: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    """`sasl_ssl` for SCRAM over TLS, `ssl` with `cert_file` for mutual TLS."""
    mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] = "SCRAM-SHA-512"
    """Of the SASL protocols."""
    username: str | None = None
    """Of the SASL protocols."""
    password: SecretStr | None = None
    """Only through `STREAM_AD__KAFKA__SECURITY__PASSWORD`."""
    password_file: str | None = None
    """A file whose first line is the password."""
    ca_file: str | None = None
    """PEM file of the authorities that the brokers' certificates are checked against."""
    cert_file: str | None = None
    """PEM file of the own certificate, for mutual TLS."""
    key_file: str | None = None
    """PEM file of its private key."""
    key_password: SecretStr | None = None
    """Only through `STREAM_AD__KAFKA__SECURITY__KEY_PASSWORD`."""
    key_password_file: str | None = None
    """A file whose first line is the password of the private key."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        for name in ("password", "key_password"):
            if getattr(self, name) is not None and getattr(self, f"{name}_file") is not None:
                raise ValueError(f"{name} or {name}_file, not both")
        named = self.password is not None or self.password_file is not None
        if self.protocol.startswith("sasl") and not (self.username and named):
            raise ValueError(f"username and a password with protocol {self.protocol}")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file, or neither")
        return self


class ClientConfig(_Section):
    """Settings of the Kafka client that may be passed through."""

    client_id: str = "stream-ad"
    """How brokers name this program in their logs."""
    request_timeout_ms: Annotated[int, Field(ge=1_000)] = 30_000
    """Longest wait for one answer."""
    compression_type: Literal["none", "gzip", "lz4", "zstd"] = "lz4"
    """Of what is written."""
    fetch_max_wait_ms: Annotated[int, Field(ge=1)] = 100
    """Longest wait of a broker for `fetch_min_bytes`."""
    fetch_min_bytes: Annotated[int, Field(ge=1)] = 1
    """Least bytes of an answer."""
    max_partition_fetch_bytes: Annotated[int, Field(ge=1 << 10)] = 8 << 20
    """Most bytes of one partition in an answer; memory is about twice this for each partition."""
    metadata_max_age_ms: Annotated[int, Field(ge=1_000)] = 30_000
    """How soon new partitions are seen."""


class KafkaConfig(_Section):
    """The service on Kafka: `stream-ad run`."""

    bootstrap_servers: Annotated[
        tuple[Annotated[str, Field(pattern=r"^.+:\d+$")], ...],
        Field(json_schema_extra={"type": ["array", "string"]}),
    ] = ()
    """Addresses, `host:port`; a text with commas is a list too."""
    group_id: Annotated[str, Field(min_length=1, max_length=200)] = "stream-ad"
    """Consumer group; all workers of one service share it."""
    instance: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Tells processes of `run` on several machines apart, stable over restarts; null: the host's
    name. Two with the same one displace each other."""
    delivery: Literal["exactly_once", "at_least_once"] = "exactly_once"
    """Whether outputs, states and positions are one transaction."""
    on_lost_position: Literal["earliest", "latest", "fail"] = "fail"
    """Where to go on when the broker no longer has the records after the saved position."""
    batch_records: Annotated[int, Field(ge=1, le=100_000)] = 5_000
    """Most records of a transaction."""
    batch_s: Annotated[NotNegative, Field(le=10)] = 0.1
    """Least time between two transactions of fewer than 1000 records."""
    session_timeout_s: Annotated[float, Field(ge=1, le=1_800)] = 10.0
    """A worker that is not heard for so long loses its partitions."""
    transaction_timeout_s: Annotated[float, Field(ge=1, le=900)] = 30.0
    """The broker aborts a transaction that takes longer; more than the longest election."""
    retry_backoff_s: Annotated[float, Field(gt=0, le=60)] = 0.5
    """First pause after a failure; it doubles up to 30 s."""
    checkpoint_s: Positive = 10.0
    """A machine's unsaved readings are saved after so long at the latest,"""
    checkpoint_records: Count = 20_000
    """or after so many records of its partition."""
    topics: TopicsConfig = TopicsConfig()
    """Names of the topics."""
    security: SecurityConfig = SecurityConfig()
    """Credentials."""
    client: ClientConfig = ClientConfig()
    """Passed through to the Kafka client."""

    @field_validator("bootstrap_servers", mode="before")
    @classmethod
    def _commas(cls, value: object) -> object:
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


class MetricsConfig(_Section):
    """The HTTP endpoints of `run`: `/metrics`, `/livez`, `/readyz`."""

    port: Annotated[int, Field(ge=1, le=65_000)] | None = None
    """Of the first worker, the next ones for the others; null: none."""
    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` for all."""


class Config(_Section):
    """Every setting of the program."""

    kafka: KafkaConfig = KafkaConfig()
    """The service on Kafka."""

    input: InputConfig = InputConfig()
    """Shape of the input."""
    limits: LimitsConfig = LimitsConfig()
    """What one record may cost."""
    windows: WindowsConfig = WindowsConfig()
    """The event-time grid."""
    detector: DetectorConfig = DetectorConfig()
    """Model and scorer."""
    alarm: AlarmConfig = AlarmConfig()
    """Budget and incidents."""
    training: TrainingConfig = TrainingConfig()
    """The history."""
    registry: RegistryConfig = RegistryConfig()
    """Trained detectors."""
    metrics: MetricsConfig = MetricsConfig()
    """Endpoints of the service."""


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
    return parse_config(read_settings(path, environ))


def read_settings(path: Path | None, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return file and environment as one unchecked tree; see `load_config`."""
    tree = {} if path is None else _read_yaml(path)
    _refuse_secrets(tree)
    for keys, value in _from_environment(os.environ if environ is None else environ):
        _put(tree, keys, value)
    return tree


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
        if value is not ABSENT:
            raise ConfigError(key, value, "nothing yet: this key is not available yet")
    for key, values in LATER_VALUES.items():
        value = _get(tree, key.split("."))
        if value in values:
            raise ConfigError(key, value, "another value: this one is not available yet")
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise _translate(error) from None


def _refuse_secrets(tree: dict[str, Any]) -> None:
    for key in SECRETS:
        if _get(tree, key.split(".")) not in (ABSENT, None):
            name = f"{ENV_PREFIX}{key.upper().replace('.', '__')}"
            raise ConfigError(key, HIDDEN, f"nothing here: set {name}, or {key}_file to a file")


class _Loader(yaml.SafeLoader):
    """YAML without its silence about keys that stand in a section twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        seen: set[str] = set()
        for key in keys:
            if key.value in seen:
                problem = f"{key.value!r} stands there twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe one
    except OSError as error:
        raise ConfigError("--config", str(path), f"a readable file ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError("--config", str(path), f"a YAML file ({_where(error)})") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError("--config", str(path), "a YAML file of sections, such as windows:")
    return tree


def _where(error: yaml.YAMLError | UnicodeDecodeError) -> str:
    # Not the error's own text: it quotes the line, and a secret may stand there.
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return "not even text in UTF-8"
    mark = error.problem_mark
    return f"{error.problem}, line {mark.line + 1}, column {mark.column + 1}"


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[list[str], Any]]:
    # pydantic-settings passes over variables that fit no field; a misspelt one must not pass.
    for name, text in sorted(environ.items()):
        if name.startswith("STREAM_AD_") and not name.startswith(ENV_PREFIX) and "__" in name:
            raise ConfigError(name, shown([name], text), f"a name such as {ENV_PREFIX}SECTION__KEY")
        if name.startswith(ENV_PREFIX):
            keys = name.removeprefix(ENV_PREFIX).lower().split("__")
            yield keys, _value_of(name, text, secret=".".join(keys) in SECRETS)


def _value_of(name: str, text: str, *, secret: bool) -> object:
    if secret:
        return text or None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(name, shown([name], text), "a YAML value") from None


def _put(tree: dict[str, Any], keys: list[str], value: object) -> None:
    for depth, key in enumerate(keys[:-1]):
        if tree.get(key) is None:
            tree[key] = {}
        branch = tree[key]
        if not isinstance(branch, dict):
            said = shown(keys[: depth + 1], branch)
            raise ConfigError(".".join(keys[: depth + 1]), said, "a section with keys of its own")
        tree = branch
    tree[keys[-1]] = value


def _get(tree: object, keys: list[str]) -> Any:
    for key in keys:
        if not isinstance(tree, dict) or key not in tree:
            return ABSENT
        tree = tree[key]
    return tree


_ALLOWED = {
    "model_type": "a section with keys of its own",
    "tuple_type": "a list",
    "missing": "a value: this key has to be there",
}


def _translate(error: ValidationError) -> ConfigError:
    problems = error.errors()
    first = problems[0]
    key = ".".join(str(part) for part in first["loc"]) or "config"
    text = _ALLOWED.get(first["type"])
    if text is None:
        text = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if first["type"] in {"extra_forbidden", "invalid_key"}:
        text = _known_keys(first["loc"])
    if len(problems) > 1:
        text += f" (and {len(problems) - 1} more problems in this config)"
    return ConfigError(key, shown(first["loc"], first["input"]), text)


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
