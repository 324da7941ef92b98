"""The settings of a replay: a config file, or a guess, and what the command line names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream_ad.config import Config, parse_config, read_settings
from stream_ad.errors import ConfigError
from stream_ad.inspection import inspect
from stream_ad.progress import Progress
from stream_ad.transport.durable import writing

GUESSED = "guessed.yaml"


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns and time zone as named on the command line, laid over config or guess."""

    time: str | None = None
    machine: str | None = None
    label: str | None = None
    time_zone: str | None = None


def settings_for(
    file: Path | None, config: Path | None, columns: Columns, out: Path, progress: Progress
) -> Config:
    """Return the settings of a replay: those of a config file, or a guess from the recording.

    Parameters
    ----------
    file : Path or None
        The recording; None for a topic, from which nothing is guessed.
    config : Path or None
        The config file. Without it, or where it names no sensors or no period, what
        ``stream-ad init`` would write is taken, kept as ``guessed.yaml`` in ``out``, and the
        file is laid over it.
    columns : Columns
    out : Path
    progress : Progress
        Is told what was guessed.

    Raises
    ------
    ConfigError
        As `parse_config`, and for a label column that is also a sensor.
    InputError
        For a recording that cannot be understood.
    """
    tree = read_settings(config)
    windows = tree.get("windows") or {}
    if not windows.get("sensors") or windows.get("period_s") is None:
        if file is None:
            allowed = "a file with windows.sensors and windows.period_s: a topic is not guessed at"
            raise ConfigError("--config", None if config is None else str(config), allowed)
        told = "no config given" if config is None else f"{config} names no sensors or no period"
        guessed = _guess(file, columns, out, progress, told)
        tree = _laid_over(read_settings(guessed, {}), tree)
    settings = parse_config(tree)
    settings = _with_columns(settings, columns)
    fields = settings.input.fields
    taken = {sensor.name for sensor in settings.windows.sensors} | {fields.time, fields.machine_id}
    if columns.label is not None and columns.label in taken:
        allowed = "a column that is not a sensor, time or machine"
        raise ConfigError("--label-column", columns.label, allowed)
    return settings


def _guess(file: Path, columns: Columns, out: Path, progress: Progress, told: str) -> Path:
    found = inspect(
        file,
        time_column=columns.time,
        machine_column=columns.machine,
        label_column=columns.label,
        time_zone=columns.time_zone,
    )
    guessed = out / GUESSED
    with writing(guessed):
        out.mkdir(parents=True, exist_ok=True)
        guessed.write_text(found.to_yaml(), encoding="utf-8")
    progress.note(f"{told}: this replay uses what init would write, {guessed}")
    for note in found.notes:
        progress.note(f"  {note}")
    return guessed


def _laid_over(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return the settings below with those above laid over them, section by section."""
    both = dict(under)
    for key, value in over.items():
        known = both.get(key)
        if isinstance(known, dict) and (isinstance(value, dict) or value is None):
            both[key] = _laid_over(known, value or {})
        else:
            both[key] = value
    return both


def _with_columns(config: Config, columns: Columns) -> Config:
    tree = config.model_dump()
    named = {"time": columns.time, "machine_id": columns.machine}
    tree["input"]["fields"] |= {key: name for key, name in named.items() if name}
    if columns.time_zone:
        tree["input"]["time_zone"] = columns.time_zone
    return parse_config(tree)
