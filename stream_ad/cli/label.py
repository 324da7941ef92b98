"""``stream-ad label``: what an operator says of an incident."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stream_ad.records import IncidentEvent, LabelRecord
    from stream_ad.transport.labelling import NewNormal

    Say = Callable[[Sequence[IncidentEvent]], LabelRecord]


class Word(StrEnum):
    """What an incident was."""

    normal = "normal"
    anomaly = "anomaly"


def label(
    incident_id: Annotated[str, typer.Argument(help="As the incident names itself.")],
    word: Annotated[
        Word, typer.Argument(metavar="normal|anomaly", help="A false alarm, or a true one.")
    ],
    new_normal: Annotated[
        bool,
        typer.Option("--new-normal", help="What the incident shows is normal from now on."),
    ] = False,
    whole_group: Annotated[
        bool,
        typer.Option("--whole-group", help="With --new-normal: on all machines of the group."),
    ] = False,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Event time from which on it counts (RFC 3339); the end of the last window that "
            "is known of the incident.",
        ),
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="A replay's folder.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Without --dir: the settings that name the topics."),
    ] = None,
) -> None:
    """Say what an incident was: the next training learns from it, and the last word counts.

    Into labels.jsonl of a replay's folder, for `replay --labels`, or onto the labels topic.
    """
    from stream_ad.errors import ConfigError
    from stream_ad.transport.label_records import time_of
    from stream_ad.transport.labelling import label_of

    if whole_group and not new_normal:
        raise ConfigError("--whole-group", True, "together with --new-normal")
    where: NewNormal = "no" if not new_normal else "group" if whole_group else "machine"
    time = None if at is None else time_of("--at", at)

    def say(events: Sequence[IncidentEvent]) -> LabelRecord:
        return label_of(events, "normal" if word is Word.normal else "anomaly", where, time)

    if directory is not None and config is None:
        typer.echo(_told(_into_folder(directory, incident_id, say)))
        typer.echo(f"written to {directory / 'labels.jsonl'}, from which `replay --labels` learns")
    elif config is not None and directory is None:
        typer.echo(_told(_onto_topic(config, incident_id, say)))
    else:
        given = "neither" if config is None else "both"
        raise ConfigError("--dir, --config", given, "one of the two: a replay's folder, or topics")


def _into_folder(folder: Path, incident_id: str, say: Say) -> LabelRecord:
    from stream_ad.transport.label_records import NAME, append_label
    from stream_ad.transport.labelling import find_told
    from stream_ad.transport.sinks import ALERTS

    said = say(find_told(folder / ALERTS, incident_id))
    append_label(folder / NAME, said)
    return said


def _onto_topic(config: Path, incident_id: str, say: Say) -> LabelRecord:
    from stream_ad.config import load_config
    from stream_ad.errors import ConfigError
    from stream_ad.transport.kafka.alerts import find_incident
    from stream_ad.transport.kafka.labels import write_label

    kafka = load_config(config).kafka
    events = find_incident(kafka, incident_id)
    if not events:
        allowed = f"an incident that topic {kafka.topics.alerts} still has"
        raise ConfigError("INCIDENT_ID", incident_id, allowed)
    said = say(events)
    write_label(kafka, said)
    return said


def _told(said: LabelRecord) -> str:
    until = "goes on" if said.ended_at is None else f"to {said.ended_at}"
    wide = {"no": "", "machine": ", the new normal", "group": ", the new normal of the group"}
    return (
        f"incident {said.incident_id} of {said.machine_id} ({said.started_at} {until}): "
        f"{said.label}{wide[said.new_normal]}; counts from {said.labelled_at} on"
    )
