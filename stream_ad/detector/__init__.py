"""The detector room: windows in; raw scores, an alarm line and reasons out."""

from stream_ad.detector.detector import Detector
from stream_ad.detector.explanation import Explanation
from stream_ad.detector.scores import Scores

__all__ = ["Detector", "Explanation", "Scores"]
