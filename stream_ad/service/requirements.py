"""What `run` cannot do without, checked before anything is started."""

from __future__ import annotations

from stream_ad.config import Config
from stream_ad.errors import ConfigError
from stream_ad.transport.kafka.topics import state_bytes


def require(config: Config) -> None:
    """Check what the defaults of the settings leave open.

    Parameters
    ----------
    config : Config

    Raises
    ------
    ConfigError
        Names the first key that has to be there, or what makes machine states too large.

    Examples
    --------
    >>> require(Config())
    Traceback (most recent call last):
    ...
    stream_ad.errors.ConfigError: kafka.bootstrap_servers = []: allowed is at least one host:port
    """
    kafka, windows = config.kafka, config.windows
    needed = {
        "kafka.bootstrap_servers": (list(kafka.bootstrap_servers), "at least one host:port"),
        "kafka.topics.input": (kafka.topics.input, "the topic that the machines write to"),
        "registry.uri": (config.registry.uri, "the folder that stream-ad train wrote to"),
        "windows.sensors": (list(windows.sensors), "a list of at least one sensor name"),
        "windows.period_s": (windows.period_s, "the seconds between two readings"),
    }
    for key, (value, allowed) in needed.items():
        if not value:
            raise ConfigError(key, value, allowed)
    state_bytes(config)
