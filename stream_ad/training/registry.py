"""Trained detectors that never change, and the promotions that say which of them scores when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream_ad.config import Config
from stream_ad.errors import ArtifactMismatch, ArtifactNotFound
from stream_ad.training.decision_log import DEFAULT_GROUP
from stream_ad.training.decisions import Decisions
from stream_ad.training.promotions import Promotion, loadable
from stream_ad.training.shelf import Few, Shelved
from stream_ad.training.store import folder_of, open_store
from stream_ad.versions import Version
from stream_ad.windows import WindowSpec

if TYPE_CHECKING:
    from stream_ad.detector import Detector

__all__ = ["DEFAULT_GROUP", "Registry"]


class Registry(Decisions):
    """A store of detector versions and of the decisions which of them score.

    A version is made once and never changed; it scores once it is promoted.

    Parameters
    ----------
    uri : str
        Path of a folder, or a URI that fsspec knows (``s3://bucket/models``); it need not exist
        before the first detector is added.
    cache : Path, optional
        Where detectors of another store than a folder are kept on this machine; by default
        ``stream-ad/models`` in the user's folder for caches.

    Raises
    ------
    ConfigError
        For a URI that fsspec does not know.
    MissingDependency
        For one whose package is not installed.

    Examples
    --------
    >>> Registry("no/such/folder").numbers()
    []
    """

    def __init__(self, uri: str, cache: Path | None = None) -> None:
        super().__init__(open_store(uri, cache))
        self._few: defaultdict[str, Few] = defaultdict(Few)  # each group scores all the time

    def folder(self, number: int, group: str = DEFAULT_GROUP) -> Path:
        """Return where a version lies on this machine; it is fetched if it has to be.

        Raises
        ------
        ArtifactError
            It is elsewhere and not whole, or cannot be reached.
        """
        return self._store.fetch(folder_of(number, group))

    def add(self, detector: Detector, group: str = DEFAULT_GROUP, **card_extra: Any) -> int:
        """Save a detector as the next version, which scores nothing before it is promoted.

        Parameters
        ----------
        detector : Detector
            Fitted.
        group : str
        **card_extra
            JSON values for its card, such as why it was made.

        Returns
        -------
        int
            Its number.

        Raises
        ------
        OutputError, RegistryError
            When it cannot be written.
        """
        with self._store.turn(group):
            promoted = (one.version for one in self.promotions(group))
            number = max(self._store.free(group), max(promoted, default=0) + 1)
            save = partial(detector.save, version=number, group=group, **card_extra)
            self._store.add(folder_of(number, group), save)
        return number

    def publish(
        self, detector: Detector, effective_from: int, reason: str, group: str = DEFAULT_GROUP
    ) -> Version:
        """Add a detector and promote it by hand: drift is judged by it from then on.

        Parameters
        ----------
        detector : Detector
            Fitted.
        effective_from : int
            First window end, in ns, that it may score.
        reason : str
            Why it was made, for its card and the promotion.
        group : str

        Raises
        ------
        OutputError, RegistryError
            When it cannot be written.
        """
        extra = {"effective_from": effective_from, "promoted": reason}
        number = self.add(detector, group, **extra)
        made = self.promote(number, effective_from, reason, group, reference=number)
        return Version(detector, number, effective_from, group, promotion=made.number)

    def version(self, promotion: Promotion, spec: WindowSpec, config: Config) -> Version:
        """Load what a promotion lets score, with the budget's line.

        The detector is in memory while it is one of the few of its group that were used last;
        otherwise it is loaded again when it scores.

        Parameters
        ----------
        promotion : Promotion
        spec : WindowSpec
            The grid that it must have been made for.
        config : Config
            ``detector.device`` and ``alarm`` are used; how to score is the artifact's.

        Raises
        ------
        ArtifactError
            It, or the version that drift is judged by, is gone, damaged, changed since it was
            promoted, or made for another grid; or the store cannot be reached.
        """
        return self._held(promotion, self.promotions(promotion.group), spec, config)

    def load(self, spec: WindowSpec, config: Config, group: str = DEFAULT_GROUP) -> list[Version]:
        """Load all versions that may still score, oldest first, with the budget's line.

        Each is loaded once to see that it can be trusted; few of them stay in memory.

        Parameters
        ----------
        spec, config
            As of `version`.
        group : str

        Raises
        ------
        ArtifactNotFound
            If there is none.
        ArtifactError
            If one of them cannot be trusted.

        Notes
        -----
        Ascending in ``effective_from``; see `stream_ad.versions.scoring`. Versions that retention
        has removed, and those before them, are left out.
        """
        made = self.promotions(group)
        if not made:
            raise ArtifactNotFound(self._lack(group))
        there = {*self.numbers(group), made[-1].version}
        return [self._held(one, made, spec, config) for one in loadable(made, there)]

    def require_grid(self, spec: WindowSpec, config: Config, group: str = DEFAULT_GROUP) -> None:
        """Check before a training that its detector may stand beside the newest one there.

        Raises
        ------
        ArtifactMismatch
            The newest version was made for other windows or sensors: no grid fits both.
        ArtifactError
            It cannot be trusted.
        """
        from stream_ad.detector import Detector

        for number in self.numbers(group)[-1:]:
            detector = Detector.load(self.folder(number, group), device=config.detector.device)
            self._expect(detector, number, group, spec)

    def _held(
        self, promotion: Promotion, made: Sequence[Promotion], spec: WindowSpec, config: Config
    ) -> Version:
        """Load a version and the one that drift is judged by."""
        version = self._version(promotion, spec, config)
        if promotion.reference == promotion.version:
            return version
        # what was accepted with the reference, an operator said when it was promoted first
        first = next((one for one in made if one.version == promotion.reference), None)
        if first is None:
            raise ArtifactNotFound(
                f"{self.where}/{promotion.group}: version {promotion.reference}, which drift is "
                f"judged by in promotion {promotion.number}, was never promoted"
            )
        return replace(version, reference=self._version(first, spec, config))

    def _version(self, promotion: Promotion, spec: WindowSpec, config: Config) -> Version:
        line = config.alarm.model_dump_json()
        key, few = (promotion.version, promotion.card_sha256, line), self._few[promotion.group]
        load = partial(self._load, promotion, config)
        self._expect(few.get(key, load), promotion.version, promotion.group, spec)
        return Version(
            Shelved(few, key, load),
            promotion.version,
            promotion.effective_from,
            promotion.group,
            promotion=promotion.number,
            accepted=frozenset(promotion.accepted),
        )

    def _load(self, promotion: Promotion, config: Config) -> Detector:
        from stream_ad.detector import Detector
        from stream_ad.detector.artifact import card_digest

        name = folder_of(promotion.version, promotion.group)
        folder = self._store.fetch(name, promotion.card_sha256)
        self._unchanged(promotion, card_digest(folder))
        return Detector.load(folder, device=config.detector.device).set_budget(config.alarm)

    def _expect(self, detector: Detector, number: int, group: str, spec: WindowSpec) -> None:
        try:
            detector.expect(spec)
        except ArtifactMismatch as error:
            raise ArtifactMismatch(
                f"{self.where}/{folder_of(number, group)}: {error}: other windows need a registry "
                "of their own; train into a new folder and name that one in registry.uri"
            ) from error

    def _lack(self, group: str) -> str:
        if numbers := self.numbers(group):
            return (
                f"no version of {self.where}/{group} is promoted: `stream-ad models promote "
                f"{numbers[-1]}` lets one score"
            )
        return (
            f"no detector in {self.where}/{group}: train one with "
            f"`stream-ad train FILE --config C --out {self.where}`"
        )
