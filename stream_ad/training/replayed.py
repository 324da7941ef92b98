"""What scores a replay: a registry's detectors, or its own, fitted anew on the way if asked."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stream_ad.config import Config
from stream_ad.errors import ConfigError, StateError
from stream_ad.progress import Progress
from stream_ad.training.fit import learn_from
from stream_ad.training.history import Sized, collect_history
from stream_ad.training.refit import Refits
from stream_ad.training.registry import Registry
from stream_ad.training.shelf import Shelf
from stream_ad.transport import checkpoint
from stream_ad.transport.sinks import FileSink
from stream_ad.versions import Version
from stream_ad.windows import Windows, WindowSpec

if TYPE_CHECKING:
    from stream_ad.detector import Detector

DETECTORS, REFITS = "detectors", "refits"  # in a checkpoint

Scoring = tuple[Sequence[Version], Refits | None]


def check_training(config: Config, train_until: str | None) -> None:
    """Refuse to train where a registry's detectors score.

    Raises
    ------
    ConfigError

    Examples
    --------
    >>> check_training(Config(), "400")
    """
    if config.registry.uri is None:
        return
    allowed = "{} while registry.uri is set: its detectors score"
    if train_until is not None:
        raise ConfigError("--train-until", train_until, allowed.format("nothing"))
    if config.training.every_windows is not None:
        every = config.training.every_windows
        raise ConfigError("training.every_windows", every, allowed.format("null"))


def who_scores(  # noqa: PLR0917 - what a replay is made of
    source: Sized,
    config: Config,
    train_until: str | None,
    sink: FileSink,
    out: Path,
    progress: Progress,
) -> Scoring:
    """Load what scores: the registry's versions, the unfinished run's own, or a new one.

    Parameters
    ----------
    source : Source with ``rows()``
    config : Config
    train_until : str or None
        As in `learn_from`.
    sink : FileSink
        Of the replay: its checkpoint knows the detectors.
    out : Path
        Its folder: takes them.
    progress : Progress

    Returns
    -------
    (sequence of Version, Refits or None)

    Raises
    ------
    StateError
        For an unfinished run with another detector.
    StreamAdError
        Of the history, a detector or the disk.
    """
    spec = WindowSpec.from_config(config.windows)
    if config.registry.uri is not None:
        registry = Registry(config.registry.uri)
        versions = registry.load(spec, config)
        _expect(sink, out, [registry.folder(version.number) for version in versions])
        return versions, None
    own = _Own(source, config, spec, progress, sink, Shelf(out, config.detector.device))
    return own.anew(train_until) if sink.restored is None else own.restored()


@dataclass(frozen=True, slots=True)
class _Own:
    """A replay that trains for itself."""

    source: Sized
    config: Config
    spec: WindowSpec
    progress: Progress
    sink: FileSink
    shelf: Shelf

    def anew(self, train_until: str | None) -> Scoring:
        for left in self.shelf.left():
            shutil.rmtree(left)
        detector, history = learn_from(
            self.source, self.config, self.spec, train_until, self.progress
        )
        first = self.shelf.put(detector, 1, history.until + 1, "trained by this replay")
        _expect(self.sink, self.shelf.out, [self.shelf.folder(1)])
        return [first], self._refits(first, history.windows)

    def restored(self) -> Scoring:
        assert self.sink.restored is not None
        numbers = range(1, len(self.sink.extra.get(DETECTORS, [1])) + 1)
        first, *later = (self.shelf.get(number, self.spec) for number in numbers)
        versions = [first, *(replace(version, reference=first) for version in later)]
        _expect(self.sink, self.shelf.out, [self.shelf.folder(number) for number in numbers])
        if self.config.training.every_windows is None:
            return versions, None
        self.progress.stage("reading what refits learn from", self.source.rows())
        until = versions[0].effective_from - 1
        history = collect_history(
            self.source, self.config, self.spec, time=until, progress=self.progress.at
        )
        refits = self._refits(versions[0], history.windows)
        assert refits is not None
        refits.go_on(self.source, self.sink.restored.position, versions)
        return versions, refits

    def _refits(self, first: Version, history: Windows) -> Refits | None:
        if self.config.training.every_windows is None:
            return None
        record = self.sink.extra.setdefault(REFITS, {})
        return Refits(
            self.config,
            self.spec,
            first,
            history,
            keep=self._keep,
            record=record,
            progress=self.progress,
        )

    def _keep(self, detector: Detector, number: int, since: int, reason: str) -> Version:
        from stream_ad.detector.artifact import card_digest

        version = self.shelf.put(detector, number, since, reason)
        self.sink.extra[DETECTORS].append(card_digest(self.shelf.folder(number)))
        return version


def _expect(sink: FileSink, out: Path, folders: Sequence[Path]) -> None:
    """Note which detectors score, or check that they are those of the run that goes on."""
    from stream_ad.detector.artifact import card_digest

    digests = [card_digest(folder) for folder in folders]
    if sink.extra.setdefault(DETECTORS, digests) != digests:
        path = out / checkpoint.NAME
        raise StateError(
            f"{path}: belongs to an unfinished run with another detector; {checkpoint.ADVICE}"
        )
