"""What the settings of a detector may be; checked before anything is learned."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import torch

from stream_ad.detector.ares import SCORERS
from stream_ad.detector.models import MODELS
from stream_ad.detector.networks import NETWORKS
from stream_ad.errors import ConfigError

if TYPE_CHECKING:
    from stream_ad.detector.detector import Detector

Check = tuple[Callable[[Any], bool], str]


def _one_of(*names: str) -> Check:
    return (lambda value: value in names), f"one of {', '.join(names)}"


def _whole(least: int) -> Check:
    return (
        lambda value: (
            isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least
        )
    ), f"a whole number, at least {least}"


def _number(low: float, high: float, allowed: str) -> Check:
    return (lambda value: isinstance(value, Real) and low <= float(value) <= high), allowed


ALLOWED: dict[str, Check] = {
    "model": _one_of(*MODELS),
    "scorer": _one_of(*SCORERS),
    "network": _one_of(*NETWORKS),
    "index": _one_of("auto", "exact"),
    "k": _whole(1),
    "bank_windows": _whole(2),
    "epochs": _whole(1),
    "seed": _whole(0),
    "alpha": _number(0, 1e9, "a number, at least 0"),
    "calibration_share": _number(0.05, 0.8, "a number from 0.05 to 0.8"),
    "false_alarm_rate": _number(1e-12, 1 - 1e-12, "a number between 0 and 1, both exclusive"),
    "max_extrapolation": _number(1, 1e9, "a number, at least 1"),
}


def check_settings(detector: Detector) -> None:
    """Raise ConfigError for the first setting that cannot be used.

    Examples
    --------
    >>> from stream_ad.detector import Detector
    >>> check_settings(Detector(k=0))
    Traceback (most recent call last):
    ...
    stream_ad.errors.ConfigError: detector.k = 0: allowed is a whole number, at least 1
    """
    for name, (holds, allowed) in ALLOWED.items():
        value = getattr(detector, name)
        if not holds(value):
            raise ConfigError(f"detector.{name}", value, allowed)
    latent = detector.latent_dim
    if latent is not None and not _whole(1)[0](latent):
        raise ConfigError("detector.latent_dim", latent, "null or a whole number, at least 1")


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
