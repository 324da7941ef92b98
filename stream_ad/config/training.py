"""What detectors learn from, when they learn anew, and who may follow whom."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from stream_ad.config.section import (
    Count,
    NotNegative,
    OpenShare,
    Section,
    Share,
)

WEEK_S = 604_800.0


def _is_named(uri: str) -> str:
    if not uri.strip():
        raise ValueError("the path of a folder or a URI (. is the folder you are in), or null")
    return uri


Span = Annotated[float, Field(ge=1, le=1e9)]  # seconds, up to thirty years
Pause = Annotated[float, Field(ge=0, le=1e9)]
Place = Annotated[
    str, AfterValidator(_is_named), WithJsonSchema({"type": "string", "pattern": r"\S"})
]


class GateConfig(Section):
    """What a freshly trained detector has to show before it replaces the one that scores."""

    held_out: Annotated[float, Field(ge=0.05, le=0.5)] = 0.2
    """Share of the recent normal windows that it is judged on and does not learn from."""
    recall_loss: Share = 0.05
    """Most recall of injected faults that it may lose, in the mean over kinds and severities;"""
    worst_loss: Share = 0.2
    """and of any one kind."""
    labelled_loss: Share = 0.0
    """Most recall of labelled anomalies that it may lose."""


class TrainingConfig(Section):
    """What is learned from, and when a detector is trained anew; without a trigger, never."""

    min_windows: Annotated[int, Field(ge=10)] = 20
    """Least windows to learn from."""
    buffer_windows: Annotated[int, Field(ge=10)] = 50_000
    """Most windows that are kept to learn from, of a history the newest, of a stream a sample that
    favours them; at most 512 MiB."""
    half_life_s: Annotated[float, Field(ge=1e-9, le=1e9)] | None = 14 * 86_400.0
    """A window so much older than another is half as likely to be kept, where the buffer overflows;
    null: age does not matter."""
    labelled_windows: Annotated[int, Field(ge=10)] = 5_000
    """Most windows of incidents that are kept apart, labelled ones among them."""
    history_share: OpenShare = 0.5
    """First share of a recording that `replay` gets which is history, unless `--train-until` says
    otherwise; `train` takes all that it gets."""
    every_s: Span | None = None
    """Trains anew after so much event time; null: never."""
    every_windows: Annotated[int, Field(ge=10)] | None = None
    """Trains anew after so many windows; null: never."""
    on_drift: bool = False
    """Trains anew when what is ordinary has moved."""
    on_labels: Count | None = None
    """Trains anew after so many new labels; null: labels wait for another cause. One that says new
    normal waits for 20 windows of it and no longer."""
    cool_down_s: Pause = 0.0
    """Least event time between two trainings."""
    lead_s: Pause = 60.0
    """A new detector scores what ends so much later than the newest event time known when it was
    promoted, so that every worker has it by then."""
    quarantine_s: Pause = WEEK_S
    """Windows of an incident that nobody labels teach nothing until so much event time after it
    closed."""
    alone: NotNegative | None = 1.0
    """A machine teaches nothing on days when half of what it shows lies so much farther from
    where it was than the middle of its group does, in units of `static_score`; null: it always
    teaches."""
    gate: GateConfig = GateConfig()
    """What a new detector has to show."""

    @property
    def trains_anew(self) -> bool:
        """Whether anything but an operator is a cause to train anew."""
        return (
            any(value is not None for value in (self.every_s, self.every_windows, self.on_labels))
            or self.on_drift
        )


class RegistryConfig(Section):
    """Where trained detectors lie: null means that a replay trains its own."""

    uri: Place | None = None
    """Folder of trained detectors, or a URI that fsspec knows; null: a replay trains its own."""
    keep: Annotated[int, Field(ge=2)] = 10
    """Newest versions that stay; the one that scores, the one before it and the one that drift is
    judged by always do."""
