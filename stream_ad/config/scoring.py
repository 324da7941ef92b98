"""The path from windows to incidents, and what it learns from."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from stream_ad.config.mute import ActiveConfig, MuteConfig
from stream_ad.config.section import (
    Count,
    Finite,
    NotNegative,
    Positive,
    Seconds,
    Section,
    Share,
)

LONGEST_WINDOW_S = 1e9  # thirty years; times in ns have to fit into 64 bits


class SensorConfig(Section):
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


class WindowsConfig(Section):
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
    active_when: ActiveConfig | None = None
    """When the machine is at work; windows in which it is not are muted: scored, but they raise no
    alarm and teach nothing. Null: it always is."""

    @field_validator("active_when")
    @classmethod
    def _one_of_the_sensors(
        cls, active: ActiveConfig | None, info: ValidationInfo
    ) -> ActiveConfig | None:
        names = [sensor.name for sensor in info.data.get("sensors", ())]
        if active is not None and names and active.sensor not in names:
            raise ValueError(f"a sensor of windows.sensors: {', '.join(names)}")
        return active

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


# the family: each model's file in stream_ad/detector/models, and its class there
MODELS = {
    "linear": "Linear",
    "ae": "Ae",
    "lis_ae": "LisAe",
    "linsep_lis_ae": "LinSepLisAe",
    "ncae": "Ncae",
    "deep_svdd": "DeepSvdd",
    "deep_sad": "DeepSad",
    "anorand": "AnoRand",
}


class DetectorConfig(Section):
    """The model, the scorer over its latents, and what both may cost."""

    model: Annotated[str, Field(json_schema_extra={"enum": [*MODELS]})] = "linear"
    """What turns windows into latents and errors; `linear` needs neither network nor epochs, `ncae`
    stands a history that is not clean, `deep_sad` learns from labelled anomalies."""
    scorer: Literal["error", "ares", "joined"] = "joined"
    """What turns latents and errors into the raw score."""
    network: Literal["dense", "tcn"] = "dense"
    """Body of the model: fully connected, or temporal convolutions."""
    scaling: Literal["robust", "standard"] = "robust"
    """How sensors are scaled: `robust`, by quantiles and squashed; `standard`, by mean and standard
    deviation, for tables with `ares` or `error`; not with `ncae`."""
    scale_per_machine: bool = False
    """Puts every machine of the history onto the group's scale first; for machines that do not read
    alike, and no others."""
    k: Count = 10
    """Neighbours that `ares` looks at, about 100 where the history is not clean; `joined` looks at
    a third of them."""
    alpha: Annotated[Finite, Field(ge=0, le=1e9)] = 0.5
    """Weight of the density in `ares`."""
    latent_dim: Count | None = None
    """Size of the latents; null follows from the window."""
    index: Literal["auto", "exact", "hnsw"] = "auto"
    """How neighbours are searched; `auto`: `exact` up to 10,000 windows, then `hnsw` where hnswlib
    is installed."""
    bank_windows: Annotated[int, Field(ge=2)] = 10_000
    """Most different normal windows kept for the search: some of every rare state, the rest evenly
    in time."""
    epochs: Count = 100
    """Most passes over the history."""
    calibration_share: Annotated[float, Field(ge=0.05, le=0.8)] = 0.3
    """Latest share of the history, held out to set the alarm line of `ae`; that of `linear` is
    taken out of fold from all of it."""
    device: str = "auto"
    """`auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1`."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Of everything random."""

    @model_validator(mode="after")
    def _fits_the_scorer(self) -> Self:
        if self.scaling == "standard" and self.scorer == "joined":
            raise ValueError(
                "scaling robust with scorer joined: what it joins is measured in squashed values"
            )
        if self.scaling == "standard" and self.model == "ncae":
            raise ValueError("scaling robust with model ncae: it undoes the squash by itself")
        return self

    @field_validator("model")
    @classmethod
    def _of_the_family(cls, model: str) -> str:
        if model not in MODELS:
            raise ValueError(f"one of {', '.join(MODELS)}")
        return model


class SeverityConfig(Section):
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


class AlarmConfig(Section):
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
    mute: tuple[MuteConfig, ...] = ()
    """Planned stops: windows that overlap one are muted, as those of `windows.active_when`."""

    @model_validator(mode="after")
    def _m_of_n(self) -> Self:
        if self.m > self.n:
            raise ValueError(f"m at most n ({self.n})")
        return self
