"""The table of scorers."""

from stream_ad.detector.ares import Ares, ErrorScorer, Scorer
from stream_ad.detector.joined import Joined

SCORERS: dict[str, type[Scorer]] = {
    "ares": Ares,
    "error": ErrorScorer,
    "joined": Joined,
}
