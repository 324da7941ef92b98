"""What the settings of a detector may be; checked before anything is learned."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import torch

from stream_ad.config import DetectorConfig, parse_config
from stream_ad.errors import ConfigError

# What a detector is made by, of which the last two are the line's. Where it runs is not of
# these: that may change from one load to the next.
SETTINGS = (
    *(name for name in DetectorConfig.model_fields if name != "device"),
    "false_alarm_rate",
    "max_extrapolation",
)


def check_settings(settings: Mapping[str, Any]) -> DetectorConfig:
    """Return the settings that the config has too, checked; raise for one that cannot be used.

    Parameters
    ----------
    settings : mapping
        Of ``SETTINGS`` and, where one was chosen, ``device``.

    Raises
    ------
    ConfigError
        Names the setting, its value and what is allowed.

    Examples
    --------
    >>> from stream_ad.detector import Detector
    >>> check_settings(vars(Detector(k=0)))
    Traceback (most recent call last):
    ...
    stream_ad.errors.ConfigError: detector.k = 0: allowed is greater than or equal to 1
    """
    rate, reach = settings["false_alarm_rate"], settings["max_extrapolation"]
    if not (_is_number(rate) and 1e-12 <= rate <= 1 - 1e-12):
        allowed = "a number between 0 and 1, both exclusive"
        raise ConfigError("detector.false_alarm_rate", rate, allowed)
    if not (_is_number(reach) and 1 <= reach < float("inf")):
        raise ConfigError("detector.max_extrapolation", reach, "a finite number, at least 1")
    known = {name: settings[name] for name in DetectorConfig.model_fields if name in settings}
    return parse_config({"detector": known}).detector


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def torch_device(name: str) -> torch.device:
    """Turn a setting into a device; ``auto`` is a GPU if there is one.

    Raises
    ------
    ConfigError
        For a name that torch does not know and a GPU that is not there.

    Examples
    --------
    >>> torch_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as cause:
        allowed = "auto, cpu, or a device that torch finds here, such as cuda"
        raise ConfigError("detector.device", name, allowed) from cause
    return device
