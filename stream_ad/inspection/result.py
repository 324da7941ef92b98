"""What an inspection found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from stream_ad.config import Config, InputConfig, LimitsConfig, WindowsConfig, parse_config
from stream_ad.inspection.write import write_yaml


@dataclass(frozen=True, slots=True)
class Inspection:
    """A config for a recording, the reasons for it, and what was left out.

    Parameters
    ----------
    path : Path
        The recording.
    summary : str
        Rows, machines, sensors and span, as a sentence.
    input : InputConfig
    windows : WindowsConfig
    limits : LimitsConfig
    why : dict of str to str
        Reasons by dotted key.
    label_columns : list of str
        Columns that mark known anomalies; never sensors.
    notes : list of str
        What was guessed, left out or looks wrong, as sentences.
    """

    path: Path
    summary: str
    input: InputConfig
    windows: WindowsConfig
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    why: dict[str, str] = field(default_factory=dict)
    label_columns: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_yaml(self) -> str:
        """Return the commented config, for ``load_config``."""
        return write_yaml(self)

    def config(self) -> Config:
        """Return the config that the YAML says."""
        return parse_config(yaml.safe_load(self.to_yaml()))
