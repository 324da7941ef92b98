"""The detectors of a replay that fits several: on disk, few of them in memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from stream_ad.training.registry import effective_from
from stream_ad.versions import Version
from stream_ad.windows import WindowSpec

if TYPE_CHECKING:
    import numpy as np

    from stream_ad.detector import Detector
    from stream_ad.detector.explanation import Explanation
    from stream_ad.detector.line import AlarmLine
    from stream_ad.detector.scores import Scores

MODEL, CARD = "model", "card.json"
MOST_LOADED = 3  # the one that scores, the one before it for machines that lag, one to spare


class Shelf:
    """Detectors in a folder: ``model``, ``model-2``, ``model-3`` and so on.

    Parameters
    ----------
    out : Path
    device : str
        What they are loaded to.
    """

    def __init__(self, out: Path, device: str) -> None:
        self.out, self._device = out, device
        self._loaded: dict[int, Detector] = {}  # the one used last comes last

    def folder(self, number: int) -> Path:
        """Return where a version lies."""
        return self.out / (MODEL if number == 1 else f"{MODEL}-{number}")

    def left(self) -> list[Path]:
        """Return what refits of an earlier run left, and a run that died while saving."""
        refits = self.out.glob(f"{MODEL}-*")
        ours = [p for p in refits if p.name.removeprefix(f"{MODEL}-").isdecimal()]
        unsaved = (*self.out.glob(f".{MODEL}.*"), *self.out.glob(f".{MODEL}-*"))
        return [*unsaved, *(path for path in ours if (path / CARD).is_file())]

    def put(self, detector: Detector, number: int, since: int, reason: str) -> Version:
        """Save a detector as a version that scores what ends at ``since`` or later."""
        detector.save(self.folder(number), version=number, effective_from=since, promoted=reason)
        return self._version(detector, number, since)

    def get(self, number: int, spec: WindowSpec) -> Version:
        """Return a version that was saved.

        Raises
        ------
        ArtifactError
            If it cannot be trusted, or was made for other windows.
        """
        detector = self.detector(number)
        detector.expect(spec)
        return self._version(detector, number, effective_from(detector, self.folder(number)))

    def detector(self, number: int) -> Detector:
        """Return the detector of a version, from memory or from disk: the same bit by bit."""
        from stream_ad.detector import Detector

        found = self._loaded.pop(number, None)
        if found is None:
            found = Detector.load(self.folder(number), device=self._device)
        self._keep(number, found)
        return found

    def _version(self, detector: Detector, number: int, since: int) -> Version:
        self._keep(number, detector)
        return Version(Shelved(self, number, detector), number, since)

    def _keep(self, number: int, detector: Detector) -> None:
        self._loaded[number] = detector
        while len(self._loaded) > MOST_LOADED:
            del self._loaded[next(iter(self._loaded))]


class Shelved:
    """A detector that is loaded when it scores; a `stream_ad.versions.Judge`."""

    channels: tuple[str, ...]
    known: NDArray[np.bool_]
    line_: AlarmLine
    card: dict[str, Any]

    def __init__(self, shelf: Shelf, number: int, detector: Detector) -> None:
        self._shelf, self._number = shelf, number
        self.channels, self.known = detector.channels, detector.known
        self.line_, self.card = detector.line_, detector.card

    def score(self, values: NDArray[np.float32], start: NDArray[np.int64]) -> Scores:
        """Return the scores of windows (n, T, C) that begin at start (n,)."""
        return self._shelf.detector(self._number).score(values, start)

    def explain(self, X: NDArray[np.float32], start: NDArray[np.int64]) -> Explanation:
        """Return what is unusual in windows (n, T, C) that begin at start (n,)."""
        return self._shelf.detector(self._number).explain(X, start)
