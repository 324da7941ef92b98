"""Settings: one frozen tree, read from YAML and the environment, checked at start.

Unknown keys are errors, and units stand in the names. Environment variables override the file:
``STREAM_AD__WINDOWS__HOP=8`` sets ``windows.hop``.
"""

from stream_ad.config.drift import DriftConfig
from stream_ad.config.groups import GroupConfig
from stream_ad.config.input import CsvConfig, FieldsConfig, InputConfig, LimitsConfig
from stream_ad.config.mute import ActiveConfig, MuteConfig, WeeklyConfig
from stream_ad.config.reading import load_config, parse_config, read_settings
from stream_ad.config.scoring import (
    AlarmConfig,
    DetectorConfig,
    SensorConfig,
    SeverityConfig,
    WindowsConfig,
)
from stream_ad.config.service import (
    ClientConfig,
    KafkaConfig,
    MetricsConfig,
    SecurityConfig,
    TopicsConfig,
)
from stream_ad.config.training import GateConfig, RegistryConfig, TrainingConfig
from stream_ad.config.tree import Config

__all__ = [
    "ActiveConfig",
    "AlarmConfig",
    "ClientConfig",
    "Config",
    "CsvConfig",
    "DetectorConfig",
    "DriftConfig",
    "FieldsConfig",
    "GateConfig",
    "GroupConfig",
    "InputConfig",
    "KafkaConfig",
    "LimitsConfig",
    "MetricsConfig",
    "MuteConfig",
    "RegistryConfig",
    "SecurityConfig",
    "SensorConfig",
    "SeverityConfig",
    "TopicsConfig",
    "TrainingConfig",
    "WeeklyConfig",
    "WindowsConfig",
    "load_config",
    "parse_config",
    "read_settings",
]
