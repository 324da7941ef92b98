"""From a recorded file to a config: which columns are what, which grid fits its times."""

from stream_ad.inspection.look import inspect
from stream_ad.inspection.result import Inspection

__all__ = ["Inspection", "inspect"]
