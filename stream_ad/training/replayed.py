"""What scores a replay: a registry's detectors, or its own, trained anew on the way if asked."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream_ad.config import Config
from stream_ad.errors import ConfigError, StateError
from stream_ad.groups import Groups
from stream_ad.progress import Progress
from stream_ad.records import LabelRecord
from stream_ad.training.fit import learn_from
from stream_ad.training.followed import load_followed
from stream_ad.training.history import Sized, collect_history
from stream_ad.training.learning import Learning, in_order
from stream_ad.training.registry import Registry
from stream_ad.training.shelf import Shelf
from stream_ad.transport import checkpoint
from stream_ad.transport.sinks import FileSink
from stream_ad.versions import Version
from stream_ad.windows import Windows, WindowSpec

if TYPE_CHECKING:
    from stream_ad.detector import Detector

DETECTORS, TRAININGS = "detectors", "trainings"  # in a checkpoint

Scoring = tuple[Sequence[Version], Learning | None]


def check_training(config: Config, train_until: str | None, labels: Path | None = None) -> None:
    """Refuse what only a replay that trains can use where a registry's detectors score.

    Raises
    ------
    ConfigError

    Examples
    --------
    >>> check_training(Config(), "400")
    """
    if config.registry.uri is None:
        return
    allowed = "nothing while registry.uri is set: its detectors score"
    for option, value in (("--train-until", train_until), ("--labels", labels)):
        if value is not None:
            raise ConfigError(option, str(value), allowed)


def who_scores(  # noqa: PLR0917 - what a replay is made of
    source: Sized,
    config: Config,
    train_until: str | None,
    sink: FileSink,
    out: Path,
    progress: Progress,
    labels: Sequence[LabelRecord] | None = None,
    counted: Mapping[str, Collection[int]] | None = None,
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
    labels : sequence of LabelRecord, optional
        What operators said of incidents; where given, a replay trains anew on them.
    counted : mapping of str to collection of int, optional
        Promotions that counted in the live run that is followed, by group.

    Returns
    -------
    (sequence of Version, Learning or None)

    Raises
    ------
    StateError
        For an unfinished run with another detector.
    StreamAdError
        Of the history, a detector or the disk.
    """
    spec, groups = WindowSpec.from_config(config.windows), Groups(config)
    if config.registry.uri is not None:
        if _trains_anew(groups):
            progress.note("the detectors of registry.uri score: this replay trains none anew")
        registry = Registry(config.registry.uri)
        versions = load_followed(registry, spec, groups, counted)
        folders = [registry.folder(version.number, version.model_id) for version in versions]
        _expect(sink, out, folders)
        return versions, None
    shelf = Shelf(out, config.detector.device, groups=len(groups.names))
    own = _Own(source, config, spec, groups, progress, sink, shelf, labels)
    return own.anew(train_until) if sink.restored is None else own.restored()


@dataclass(frozen=True, slots=True)
class _Own:
    """A replay that trains for itself."""

    source: Sized
    config: Config
    spec: WindowSpec
    groups: Groups
    progress: Progress
    sink: FileSink
    shelf: Shelf
    labels: Sequence[LabelRecord] | None

    def anew(self, train_until: str | None) -> Scoring:
        detectors, history = learn_from(
            self.source, self.config, self.spec, train_until, self.progress
        )
        for left in self.shelf.left():
            shutil.rmtree(left)
        since = history.until + 1
        versions = [
            self.shelf.put(detector, number, since, "trained by this replay", group)
            for number, (group, detector) in enumerate(detectors.items(), 1)
        ]
        _expect(self.sink, self.shelf.out, self._folders(len(versions)))
        return versions, self._learning(versions, history.windows)

    def restored(self) -> Scoring:
        assert self.sink.restored is not None
        count = len(self.sink.extra.get(DETECTORS, [1]))
        saved = [self.shelf.get(number, self.spec) for number in range(1, count + 1)]
        versions = self._versions(saved)
        _expect(self.sink, self.shelf.out, self._folders(count))
        if not self._learns:
            return versions, None
        self.progress.stage("reading what trainings learn from", self.source.rows())
        until = versions[0].effective_from - 1
        history = collect_history(
            self.source, self.config, self.spec, time=until, progress=self.progress.at
        )
        learning = self._learning(versions, history.windows)
        assert learning is not None
        learning.go_on(self.source, self.sink.restored.position, self.config)
        return versions, learning

    def _folders(self, count: int) -> list[Path]:
        return [self.shelf.folder(number) for number in range(1, count + 1)]

    def _versions(self, saved: Sequence[Version]) -> list[Version]:
        """Return versions that were saved with what they are held against."""
        tried = in_order(self.sink.extra.get(TRAININGS, {}).values())
        said = {one["version"]: one for one in tried if "version" in one}
        made: dict[int, Version] = {}
        for version in saved:
            one = said.get(version.number, {})
            made[version.number] = replace(
                version,
                reference=made.get(one.get("reference", -1)),
                accepted=frozenset(one.get("accepted", ())),
            )
        return [*made.values()]

    @property
    def _learns(self) -> bool:
        return self.labels is not None or _trains_anew(self.groups)

    def _learning(self, versions: Sequence[Version], history: Windows) -> Learning | None:
        if not self._learns:
            return None
        return Learning(
            self.groups,
            self.spec,
            lambda group: _Keeper(self.shelf, self.sink, group),
            versions,
            history,
            self.sink.extra.setdefault(TRAININGS, {}),
            self.labels or (),
            self.progress,
        )


@dataclass(frozen=True, slots=True)
class _Keeper:
    """Keeps a group's detectors in the replay's folder; its record has the refusals."""

    shelf: Shelf
    sink: FileSink
    group: str

    def promote(self, detector: Detector, since: int, decision: Mapping[str, Any]) -> Version:
        """See `stream_ad.training.retraining.Keeper`."""
        from stream_ad.detector.artifact import card_digest

        number = len(self.sink.extra[DETECTORS]) + 1
        version = self.shelf.put(detector, number, since, decision["reason"], self.group)
        self.sink.extra[DETECTORS].append(card_digest(self.shelf.folder(number)))
        return version

    def refuse(self, decision: Mapping[str, Any]) -> None:
        """See `stream_ad.training.retraining.Keeper`."""


def _trains_anew(groups: Groups) -> bool:
    return any(groups.config(name).training.trains_anew for name in groups.names)


def _expect(sink: FileSink, out: Path, folders: Sequence[Path]) -> None:
    """Note which detectors score, or check that they are those of the run that goes on."""
    from stream_ad.detector.artifact import card_digest

    digests = [card_digest(folder) for folder in folders]
    if sink.extra.setdefault(DETECTORS, digests) != digests:
        path = out / checkpoint.NAME
        raise StateError(
            f"{path}: belongs to an unfinished run with another detector; {checkpoint.ADVICE}"
        )
