"""The family of models: one file each, and this table."""

from stream_ad.config import DetectorConfig
from stream_ad.detector.models.ae import Ae
from stream_ad.detector.models.base import Output, WindowModel
from stream_ad.detector.models.linear import Linear

MODELS: dict[str, type[WindowModel]] = {
    "ae": Ae,
    "linear": Linear,
}

__all__ = ["MODELS", "Output", "WindowModel", "make_model"]


def make_model(config: DetectorConfig, length: int, sensors: int) -> WindowModel:
    """Build the configured model for windows of T = length slots and C = sensors."""
    return MODELS[config.model](
        length, sensors, network=config.network, latent_dim=config.latent_dim
    )
