"""What `run` cannot do without, checked before anything is started."""

from __future__ import annotations

from collections import Counter

from stream_ad.config import Config
from stream_ad.errors import ConfigError


def require(config: Config) -> None:
    """Check what the defaults of the settings leave open.

    Parameters
    ----------
    config : Config

    Raises
    ------
    ConfigError
        Names the first key that has to be there.

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
    _topics_differ(config)


def _topics_differ(config: Config) -> None:
    # a service that reads what it writes never comes to an end
    names = {key: name for key, name in config.kafka.topics.model_dump().items() if name}
    used = Counter(names.values())
    for key, name in names.items():
        if used[name] > 1:
            others = [other for other in names if names[other] == name and other != key]
            allowed = f"a topic of its own (kafka.topics.{others[0]} is the same)"
            raise ConfigError(f"kafka.topics.{key}", name, allowed)
