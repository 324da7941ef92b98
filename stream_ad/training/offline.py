"""Detectors from a recorded file or a topic, added to a registry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stream_ad.config import Config, DetectorConfig
from stream_ad.config.groups import DEFAULT
from stream_ad.errors import ConfigError
from stream_ad.groups import Groups
from stream_ad.progress import Progress
from stream_ad.training.compare import compare, with_member
from stream_ad.training.comparison import Comparison
from stream_ad.training.fit import ALL, learn_from, train
from stream_ad.training.history import Sized
from stream_ad.training.registry import Registry
from stream_ad.transport.files import open_source
from stream_ad.versions import Version
from stream_ad.windows import WindowSpec


def train_from_file(
    file: Path, config: Config, uri: str, train_until: str | None, progress: Progress
) -> list[Version]:
    """Fit the detectors of all machine groups on the history in a file and publish them.

    Parameters
    ----------
    file : Path
    config : Config
    uri : str
        Folder of the registry.
    train_until : str or None
        Where the history ends, as in a replay; None takes the whole file.
    progress : Progress

    Returns
    -------
    list of Version
        One for each group; they take effect right after the history.

    Raises
    ------
    StreamAdError
        Of the input, the config, the history or the disk, or of a registry of other windows.
    """
    return _publish(
        lambda spec: open_source(file, config, spec),
        f"trained from {file.name}",
        config,
        uri,
        train_until,
        progress,
    )


def train_from_topic(  # noqa: PLR0917 - the topic and its two times, then as above
    topic: str,
    since: str,
    until: str,
    config: Config,
    uri: str,
    train_until: str | None,
    progress: Progress,
) -> list[Version]:
    """Fit the detectors of all machine groups on what a topic still has and publish them.

    Parameters
    ----------
    topic : str
    since, until : str
        The times of records between which it is read, as of `TopicRange`.
    config, uri, train_until, progress
        As in `train_from_file`; ``train_until`` is a time, of what the records say.

    Returns
    -------
    list of Version
        As `train_from_file`.

    Raises
    ------
    ConfigError
        For a ``train_until`` that counts rows: records of a topic have no order across partitions.
    StreamAdError
        As `train_from_file`.
    """
    if (train_until or "").isdecimal():
        allowed = "a time: the records of a topic have no order across partitions"
        raise ConfigError("--train-until", train_until, allowed)
    from stream_ad.transport.kafka.history import TopicRange

    return _publish(
        lambda spec: TopicRange(config, spec, topic, since, until),
        f"trained from topic {topic}",
        config,
        uri,
        train_until,
        progress,
    )


def _publish(  # noqa: PLR0917 - of both
    opened: Callable[[WindowSpec], Sized],
    why: str,
    config: Config,
    uri: str,
    train_until: str | None,
    progress: Progress,
) -> list[Version]:
    registry = Registry(uri)
    spec = WindowSpec.from_config(config.windows)
    for group in Groups(config).names:
        registry.require_grid(spec, config, group)
    detectors, history = learn_from(
        opened(spec), config, spec, ALL if train_until is None else train_until, progress
    )
    versions = []
    for group, detector in detectors.items():
        versions.append(registry.publish(detector, history.until + 1, why, group))
        registry.retain(config.registry.keep, group)
    return versions


def compare_from_file(
    file: Path, config: Config, uri: str, train_until: str | None, progress: Progress
) -> tuple[Version, Comparison]:
    """Compare the members on the history in a file, fit the best on all of it and publish it.

    Parameters
    ----------
    file, config, uri, train_until, progress
        As in `train_from_file`; ``detector.model`` and ``detector.scorer`` are not used.

    Returns
    -------
    (Version, Comparison)
        The card of the version holds the whole comparison under ``compared``.

    Raises
    ------
    ConfigError
        With machine groups: they are not compared.
    StreamAdError
        As `train_from_file`.
    """
    if config.groups:
        allowed = "nothing with --compare: it compares for one group"
        raise ConfigError("groups", [*config.groups], allowed)
    registry = Registry(uri)
    spec = WindowSpec.from_config(config.windows)
    registry.require_grid(spec, config)
    source = open_source(file, config, spec)
    usual = DetectorConfig()  # fitted on everything before it is known to be the best: a moment
    first = usual.model, usual.scorer
    detectors, history = learn_from(
        source,
        with_member(config, *first),
        spec,
        ALL if train_until is None else train_until,
        progress,
    )
    detector = detectors[DEFAULT]
    compared = compare(history, config, spec, progress)
    best = compared.best
    progress.note(f"taken: {best.name}; now fitted on the whole history")
    if (best.model, best.scorer) != first:
        detector = train(history, with_member(config, best.model, best.scorer), spec, progress)
    detector.card["compared"] = compared.to_card()
    reason = f"trained from {file.name}; {best.name} of {len(compared.members)}: {compared.why}"
    return registry.publish(detector, history.until + 1, reason), compared
