"""All sections."""

from __future__ import annotations

from pydantic import Field

from stream_ad.config.drift import DriftConfig
from stream_ad.config.groups import DEFAULT, OVERRIDDEN, Groups, merged
from stream_ad.config.input import InputConfig, LimitsConfig
from stream_ad.config.scoring import (
    AlarmConfig,
    DetectorConfig,
    WindowsConfig,
)
from stream_ad.config.section import Section
from stream_ad.config.service import KafkaConfig, MetricsConfig
from stream_ad.config.training import RegistryConfig, TrainingConfig


class Config(Section):
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
    drift: DriftConfig = DriftConfig()
    """The moving of the alarm line."""
    training: TrainingConfig = TrainingConfig()
    """The history, and training anew."""
    groups: Groups = Field(default_factory=dict)
    """Machine groups by name, each with a detector of its own."""
    registry: RegistryConfig = RegistryConfig()
    """Trained detectors."""
    metrics: MetricsConfig = MetricsConfig()
    """Endpoints of the service."""

    def of_group(self, name: str) -> Config:
        """Return the settings that hold for the machines of a group.

        Parameters
        ----------
        name : str
            A key of ``groups``, or ``default``.

        Raises
        ------
        pydantic.ValidationError
            For settings of the group that do not fit together; `parse_config` has looked at them.

        Examples
        --------
        >>> from stream_ad.config import GroupConfig
        >>> press = GroupConfig(match=("press-*",), alarm={"m": 3})
        >>> config = Config(groups={"press": press})
        >>> config.of_group("press").alarm.m, config.of_group("default").alarm.m
        (3, 2)
        """
        if name == DEFAULT:
            return self
        changed = {}
        for section in OVERRIDDEN:
            known = getattr(self, section)
            tree = merged(known.model_dump(by_alias=True), getattr(self.groups[name], section))
            changed[section] = type(known).model_validate(tree)
        return self.model_copy(update=changed)
