"""From readings to windows: the event-time grid, one small state per machine."""

from stream_ad.windows.batches import Readings, Windows
from stream_ad.windows.spec import WindowSpec, missing_share, rfc3339

__all__ = ["Readings", "WindowSpec", "Windows", "missing_share", "rfc3339"]
