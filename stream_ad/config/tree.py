"""All sections."""

from __future__ import annotations

from stream_ad.config.drift import DriftConfig
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
    registry: RegistryConfig = RegistryConfig()
    """Trained detectors."""
    metrics: MetricsConfig = MetricsConfig()
    """Endpoints of the service."""
