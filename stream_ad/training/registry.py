"""Trained detectors, one numbered folder per version: ``FOLDER/GROUP/000001``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stream_ad.config import Config
from stream_ad.errors import ArtifactMismatch, ArtifactNotFound, ConfigError
from stream_ad.transport.durable import writing
from stream_ad.versions import Version
from stream_ad.windows import WindowSpec

if TYPE_CHECKING:
    from stream_ad.detector import Detector

DEFAULT_GROUP = "default"


class Registry:
    """A folder of detector versions.

    Parameters
    ----------
    uri : str
        Path of the folder; it need not exist before the first ``publish``.

    Raises
    ------
    ConfigError
        For a URI of another store than the local file system.

    Examples
    --------
    >>> Registry("s3://bucket/models")
    Traceback (most recent call last):
    ...
    stream_ad.errors.ConfigError: registry.uri = 's3://bucket/models': allowed is the path of a \
folder (other stores are not available yet)
    """

    def __init__(self, uri: str) -> None:
        if "://" in uri:
            allowed = "the path of a folder (other stores are not available yet)"
            raise ConfigError("registry.uri", uri, allowed)
        self.root = Path(uri)

    def numbers(self, group: str = DEFAULT_GROUP) -> list[int]:
        """Return the version numbers of a group, ascending."""
        folder = self.root / group
        if not folder.is_dir():
            return []
        return sorted(int(p.name) for p in folder.iterdir() if p.name.isdecimal())

    def folder(self, number: int, group: str = DEFAULT_GROUP) -> Path:
        """Return where a version lies."""
        return self.root / group / f"{number:06d}"

    def publish(self, detector: Detector, effective_from: int, reason: str) -> Version:
        """Save a detector as the next version.

        Parameters
        ----------
        detector : Detector
            Fitted.
        effective_from : int
            First window end, in ns, that the version may score.
        reason : str
            Why it was made, for the card.

        Returns
        -------
        Version
        """
        number = (self.numbers() or [0])[-1] + 1
        folder = self.folder(number)
        with writing(folder.parent):
            folder.parent.mkdir(parents=True, exist_ok=True)
        detector.save(folder, version=number, effective_from=effective_from, promoted=reason)
        return Version(detector, number, effective_from)

    def load(self, spec: WindowSpec, config: Config) -> list[Version]:
        """Load all versions of the default group, oldest first, with the budget's line.

        Parameters
        ----------
        spec : WindowSpec
            The grid that those that score must have been made for.
        config : Config
            ``detector.device`` and ``alarm`` are used; how to score is the artifact's.

        Raises
        ------
        ArtifactNotFound
            If there is none.
        ArtifactError
            If one of them cannot be trusted.

        Notes
        -----
        Ascending in ``effective_from``; see `not_replaced`.
        """
        detectors = {number: self._detector(number, config) for number in self.numbers()}
        if not detectors:
            raise ArtifactNotFound(
                f"no detector in {self.root / DEFAULT_GROUP}: train one with "
                f"`stream-ad train FILE --config C --out {self.root}`"
            )
        versions = not_replaced(
            [
                Version(detector, number, effective_from(detector, self.folder(number)))
                for number, detector in detectors.items()
            ]
        )
        for version in versions:
            detector = detectors[version.number]
            self._expect(detector, version.number, spec)
            detector.set_budget(config.alarm)
        return versions

    def require_grid(self, spec: WindowSpec, config: Config) -> None:
        """Check before a training that its detector may stand beside the newest one there.

        Raises
        ------
        ArtifactMismatch
            The newest version was made for other windows or sensors: no grid fits both.
        ArtifactError
            It cannot be trusted.
        """
        for number in self.numbers()[-1:]:
            self._expect(self._detector(number, config), number, spec)

    def _detector(self, number: int, config: Config) -> Detector:
        from stream_ad.detector import Detector

        return Detector.load(self.folder(number), device=config.detector.device)

    def _expect(self, detector: Detector, number: int, spec: WindowSpec) -> None:
        try:
            detector.expect(spec)
        except ArtifactMismatch as error:
            raise ArtifactMismatch(
                f"{self.folder(number)}: {error}: other windows need a registry of their own; "
                "train into a new folder and name that one in registry.uri"
            ) from error


def not_replaced(versions: Sequence[Version]) -> list[Version]:
    """Leave out versions that never score, as a later one took effect no later.

    Parameters
    ----------
    versions : sequence of Version
        Ascending in number.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> since = {1: 300, 2: 100, 3: 200, 4: 200}
    >>> versions = [Version(SimpleNamespace(), n, since[n]) for n in since]
    >>> [version.number for version in not_replaced(versions)]
    [2, 4]
    """
    kept: list[Version] = []
    for version in reversed(versions):
        if not kept or version.effective_from < kept[-1].effective_from:
            kept.append(version)
    return kept[::-1]


def effective_from(detector: Detector, folder: Path) -> int:
    """Return the first window end that a saved detector scores.

    Raises
    ------
    ArtifactMismatch
        For one that was saved without it, by another program than this one's training.
    """
    since = detector.card.get("effective_from")
    if type(since) is not int:
        raise ArtifactMismatch(
            f"{folder}: effective_from = {since!r} in its card: allowed is a time in ns; "
            "`stream-ad train` writes it"
        )
    return since
