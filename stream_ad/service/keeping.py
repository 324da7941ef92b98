"""Where the detectors of a trainer go: into the registry, while it leads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from stream_ad.errors import StreamAdError
from stream_ad.training.registry import Registry
from stream_ad.versions import Version

if TYPE_CHECKING:
    from stream_ad.detector import Detector


class Keeping:
    """A `stream_ad.training.retraining.Keeper` over a registry.

    Parameters
    ----------
    registry : Registry
    group : str
    require : callable
        Raises where this trainer leads no more.
    keep : int
        ``registry.keep``.

    Attributes
    ----------
    after : int
        Number of the newest promotion that the next decision knows of: one that came since makes
        the registry refuse it.
    """

    def __init__(
        self, registry: Registry, group: str, require: Callable[[], None], keep: int = 10
    ) -> None:
        self._registry, self._group, self._require = registry, group, require
        self._keep = keep
        self.after = 0

    def promote(self, detector: Detector, since: int, decision: Mapping[str, Any]) -> Version:
        """Keep a detector and let it score what ends at ``since`` or later.

        Raises
        ------
        NotLeading
            Nothing was promoted.
        OutputError, RegistryError, RegistryConflict
            Likewise; at most an artifact lies there that scores nothing.
        """
        registry, group, reason = self._registry, self._group, str(decision["reason"])
        self._require()
        number = registry.add(detector, group, effective_from=since, promoted=reason)
        self._require()  # what is large takes its time
        made = registry.promote(
            number,
            since,
            reason,
            group,
            reference=decision["reference"],
            accepted=decision["accepted"],
            figures=decision,
            after=self.after,
        )
        self.after = made.number
        with suppress(StreamAdError):  # the next promotion tries again
            registry.retain(self._keep, group)
        return Version(detector, number, since, group, promotion=made.number)

    def refuse(self, decision: Mapping[str, Any]) -> None:
        """Keep why a detector was not promoted."""
        self._require()
        why = decision.get("refused") or decision.get("failed")
        self._registry.refuse(str(why), decision, self._group)
