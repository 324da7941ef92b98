"""Anomaly detection for sensor streams, from recorded files to incidents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream_ad.detector import Detector

__all__ = ["Detector", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Importing torch takes seconds; `import stream_ad.records` and `--help` must not pay them.
    if name == "Detector":
        from stream_ad.detector import Detector

        return Detector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
