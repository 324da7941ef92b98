"""What all sections of the settings have in common, and the kinds of their values."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

_TOPIC = r"^(?!\.\.?$)[A-Za-z0-9._-]{1,249}$"
_ADDRESS = r"^[^\s,]+:[0-9]{1,5}$"


def _is_topic(name: str) -> str:
    if not re.fullmatch(_TOPIC, name):
        raise ValueError("1 to 249 letters without accents, digits, dots, hyphens or underscores")
    return name


def _is_address(text: str) -> str:
    if not re.fullmatch(_ADDRESS, text) or not 0 < int(text.rpartition(":")[2]) < 1 << 16:
        raise ValueError("host:port, such as broker-1:9092")
    return text


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0)]  # infinity allowed: "for ever"
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
Topic = Annotated[
    str, AfterValidator(_is_topic), WithJsonSchema({"type": "string", "pattern": _TOPIC})
]
Address = Annotated[
    str, AfterValidator(_is_address), WithJsonSchema({"type": "string", "pattern": _ADDRESS})
]


class Section(BaseModel):
    """A part of the settings: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _may_stand_empty(cls, tree: object) -> object:
        return {} if tree is None else tree  # a heading whose keys are all comments

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: object, info: ValidationInfo) -> object:
        wanted = cls.model_fields[info.field_name or ""].annotation
        if (
            isinstance(value, bool) and wanted is not bool
        ):  # YAML reads yes, no, on and off so; pydantic would as 1 and 0
            raise ValueError("no truth value (text such as yes or on needs quotes)")
        return value
