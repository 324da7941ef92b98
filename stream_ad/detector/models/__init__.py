"""The family of models: one file each, and this table."""

from stream_ad.detector.models.ae import Ae
from stream_ad.detector.models.base import Output, WindowModel

MODELS: dict[str, type[WindowModel]] = {
    "ae": Ae,
}

__all__ = ["MODELS", "Output", "WindowModel"]
