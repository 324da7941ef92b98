"""The table of scorers."""

from stream_ad.detector.ares import Ares, ErrorScorer, Scorer
from stream_ad.detector.joined import Joined
from stream_ad.detector.joined_rows import JoinedRows
from stream_ad.detector.small_banks import SmallBanks
from stream_ad.detector.views import Views

SCORERS: dict[str, type[Scorer]] = {
    "ares": Ares,
    "error": ErrorScorer,
    "joined": Joined,
}


def scorer_for(name: str, length: int) -> type[Scorer]:
    """Return the scorer of windows of so many slots; rows are joined in a way of their own."""
    return JoinedRows if name == "joined" and length == 1 else SCORERS[name]


def views_for(length: int) -> type[Views] | type[SmallBanks]:
    """Return what looks at windows of so many slots where the scorer needs views."""
    return SmallBanks if length == 1 else Views
