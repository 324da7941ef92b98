"""The family of models, one file each; the table of their names is `config.scoring.MODELS`."""

from importlib import import_module

from stream_ad.config import DetectorConfig
from stream_ad.config.scoring import MODELS as NAMES
from stream_ad.detector.models.base import Output, WindowModel

MODELS: dict[str, type[WindowModel]] = {
    name: getattr(import_module(f"{__name__}.{name}"), made) for name, made in NAMES.items()
}

__all__ = ["MODELS", "Output", "WindowModel", "make_model"]


def make_model(config: DetectorConfig, length: int, sensors: int) -> WindowModel:
    """Build the configured model for windows of T = length slots and C = sensors."""
    return MODELS[config.model](
        length, sensors, network=config.network, latent_dim=config.latent_dim
    )
