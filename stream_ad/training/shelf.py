"""Detectors on disk, few of them in memory; and those of a replay that trains several."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from stream_ad.config.groups import DEFAULT
from stream_ad.training.decision_log import effective_from
from stream_ad.versions import Judge, Version
from stream_ad.windows import WindowSpec

if TYPE_CHECKING:
    import numpy as np

    from stream_ad.detector import Detector
    from stream_ad.detector.explanation import Explanation
    from stream_ad.detector.line import AlarmLine
    from stream_ad.detector.scores import Scores

MODEL, CARD = "model", "card.json"
# the one that scores, the one before it for machines that lag, the one that drift is judged by,
# and one that is about to score
MOST_LOADED = 4

Load = Callable[[], "Detector"]


class Few:
    """The few detectors that were used last; others are loaded again when they are asked for.

    Parameters
    ----------
    most : int
        At most so many are kept, at least 1.
    """

    def __init__(self, most: int = MOST_LOADED) -> None:
        self._most, self._turn = most, Lock()
        self._kept: dict[Hashable, Detector] = {}  # the one used last comes last

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable, load: Load) -> Detector:
        """Return a detector, from memory or from disk: the same bit by bit."""
        with self._turn:
            found = self._kept.get(key)
        # another thread's scoring does not wait for what is loaded here
        return self.keep(key, load() if found is None else found)

    def keep(self, key: Hashable, detector: Detector) -> Detector:
        """Note that a detector is used, and let go of the one that was not for longest."""
        with self._turn:
            self._kept.pop(key, None)
            self._kept[key] = detector
            while len(self._kept) > self._most:
                del self._kept[next(iter(self._kept))]
        return detector


class Shelved:
    """A detector that is loaded when it scores; a `stream_ad.versions.Judge`.

    Parameters
    ----------
    few : Few
    key : hashable
    load : callable
        Returns the detector.
    """

    channels: tuple[str, ...]
    known: NDArray[np.bool_]

    def __init__(self, few: Few, key: Hashable, load: Load) -> None:
        self._few, self._key, self._load = few, key, load
        detector = self.loaded
        self.channels, self.known = detector.channels, detector.known

    @property
    def loaded(self) -> Detector:
        """The detector itself."""
        return self._few.get(self._key, self._load)

    @property
    def line_(self) -> AlarmLine:
        """The alarm line over the raw score."""
        return self.loaded.line_

    @property
    def card(self) -> dict[str, Any]:
        """What the detector says of itself."""
        return self.loaded.card

    def score(
        self,
        values: NDArray[np.float32],
        start: NDArray[np.int64],
        machine: NDArray[np.object_] | None = None,
    ) -> Scores:
        """Return the scores of windows (n, T, C) of machines (n,) that begin at start (n,)."""
        return self.loaded.score(values, start, machine)

    def explain(
        self,
        X: NDArray[np.float32],
        start: NDArray[np.int64],
        machine: NDArray[np.object_] | None = None,
    ) -> Explanation:
        """Return what is unusual in windows (n, T, C) of machines (n,) that begin at start (n,)."""
        return self.loaded.explain(X, start, machine)


def whole(judge: Judge) -> Detector:
    """Return the detector behind what scores.

    Raises
    ------
    TypeError
        For what is none, such as a baseline.
    """
    from stream_ad.detector import Detector

    found = judge.loaded if isinstance(judge, Shelved) else judge
    if not isinstance(found, Detector):
        raise TypeError(f"{type(judge).__name__} is no detector")
    return found


class Shelf:
    """Detectors in a folder: ``model``, ``model-2``, ``model-3`` and so on.

    Parameters
    ----------
    out : Path
    device : str
        What they are loaded to.
    groups : int
        How many machine groups score at a time.

    Attributes
    ----------
    few : Few
        Those in memory.
    """

    def __init__(self, out: Path, device: str, groups: int = 1) -> None:
        self.out, self._device, self.few = out, device, Few(MOST_LOADED * groups)

    def folder(self, number: int) -> Path:
        """Return where a version lies."""
        return self.out / (MODEL if number == 1 else f"{MODEL}-{number}")

    def left(self) -> list[Path]:
        """Return what trainings of an earlier run left, and a run that died while saving."""
        later = self.out.glob(f"{MODEL}-*")
        ours = [p for p in later if p.name.removeprefix(f"{MODEL}-").isdecimal()]
        unsaved = (*self.out.glob(f".{MODEL}.*"), *self.out.glob(f".{MODEL}-*"))
        return [*unsaved, *(path for path in ours if (path / CARD).is_file())]

    def put(
        self, detector: Detector, number: int, since: int, reason: str, group: str = DEFAULT
    ) -> Version:
        """Save a group's detector as a version that scores what ends at ``since`` or later."""
        detector.save(
            self.folder(number),
            version=number,
            group=group,
            effective_from=since,
            promoted=reason,
        )
        self.few.keep(number, detector)
        return self._version(number, since, group)

    def get(self, number: int, spec: WindowSpec) -> Version:
        """Return a version that was saved.

        Raises
        ------
        ArtifactError
            If it cannot be trusted, or was made for other windows.
        """
        detector = self.detector(number)
        detector.expect(spec)
        card = detector.card
        since = effective_from(card, str(self.folder(number)))
        return self._version(number, since, str(card.get("group", DEFAULT)))

    def detector(self, number: int) -> Detector:
        """Return the detector of a version."""
        return self.few.get(number, lambda: self._load(number))

    def _load(self, number: int) -> Detector:
        from stream_ad.detector import Detector

        return Detector.load(self.folder(number), device=self._device)

    def _version(self, number: int, since: int, group: str) -> Version:
        judge = Shelved(self.few, number, lambda: self._load(number))
        return Version(judge, number, since, group)
