"""What all sections of the settings have in common, and the kinds of their values."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0)]  # infinity allowed: "for ever"
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
Topic = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]


class Section(BaseModel):
    """A part of the settings: frozen, and unknown keys are errors."""

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
