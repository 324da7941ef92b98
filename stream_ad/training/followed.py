"""A replay of a topic follows the live run: the same promotions count for the same records."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from stream_ad.config import Config
from stream_ad.errors import ArtifactNotFound, BrokerError, StateError
from stream_ad.groups import Groups
from stream_ad.progress import Progress
from stream_ad.training.fleet import load_all
from stream_ad.training.promotions import Promotion, loadable
from stream_ad.training.registry import DEFAULT_GROUP, Registry
from stream_ad.transport.base import Batch, Source
from stream_ad.versions import Version
from stream_ad.windows import WindowSpec

if TYPE_CHECKING:
    from stream_ad.transport.kafka.history import TopicRange

ACTIVATIONS = "activations"  # in a checkpoint
ALL_COUNT = "each detector scores from its effective_from on"


def follow(source: TopicRange, config: Config, extra: dict[str, Any], progress: Progress) -> None:
    """Let a replay follow what the live run wrote down, or say why it cannot.

    Parameters
    ----------
    source : TopicRange
    config : Config
    extra : dict
        Of the replay's checkpoint: keeps what was read, so that a run that goes on follows the
        same.
    progress : Progress
    """
    if ACTIVATIONS not in extra:
        extra[ACTIVATIONS] = _read(source, config, progress)
    source.follow(extra[ACTIVATIONS])


def _read(source: TopicRange, config: Config, progress: Progress) -> dict[str, list[list[int]]]:
    if source.title != config.kafka.topics.input:
        progress.note(f"{source.title} is not kafka.topics.input: {ALL_COUNT}")
        return {}
    try:
        found = source.activations(DEFAULT_GROUP)
    except (BrokerError, StateError) as error:
        progress.note(f"{ALL_COUNT}, since it is not known what counted live: {error}")
        return {}
    if not any(found.values()):
        state = config.kafka.topics.state
        progress.note(f"{ALL_COUNT}: no live run wrote down in {state} what counted when")
    return found


def load_followed(
    registry: Registry, spec: WindowSpec, groups: Groups, counted: Collection[int] = ()
) -> list[Version]:
    """Load the versions that may have scored while these promotions of ``default`` counted.

    Parameters
    ----------
    registry : Registry
    spec : WindowSpec
    groups : Groups
        Those besides ``default`` come first and as `load_all` loads them.
    counted : collection of int
        None are as `load_all`.

    Raises
    ------
    ArtifactError
    """
    if not counted:
        return load_all(registry, spec, groups)
    found: list[Version] = []
    for name in groups.names[1:]:
        with suppress(ArtifactNotFound):
            found += registry.load(spec, groups.config(name), name)
    made, there = registry.promotions(), {*registry.numbers()}
    wanted: dict[int, Promotion] = {}
    for number in counted:
        before = [one for one in made if one.number <= number]
        wanted |= {one.number: one for one in loadable(before, there)}
    own = groups.config(DEFAULT_GROUP)
    return found + [registry.version(wanted[number], spec, own) for number in sorted(wanted)]


class Activating(Protocol):
    """What of a pipeline is needed here."""

    versions: list[Version]

    def activate(self, partition: int, upto: int) -> None:
        """Let the first ``upto`` versions count in a partition, from the next batch on."""
        ...


class Followed:
    """A source that lets count, before each of its batches, what counted for it.

    Parameters
    ----------
    source : Source
        Nobody may read it ahead of the pipeline.
    pipeline : Pipeline
    """

    def __init__(self, source: Source, pipeline: Activating) -> None:
        self._source, self._pipeline = source, pipeline

    def batches(self, position: int = 0) -> Iterator[Batch]:
        """Yield the source's batches."""
        for batch in self._source.batches(position):
            self._pipeline.activate(batch.partition, counting(self._pipeline, batch.promotion))
            yield batch


def counting(pipeline: Activating, promotion: int | None) -> int:
    """Return how many versions count where a promotion of ``default`` does; None: all.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> made = [("presses", 9), ("default", 1), ("default", 2), ("default", 4)]
    >>> known = [SimpleNamespace(model_id=group, promotion=number) for group, number in made]
    >>> pipeline = SimpleNamespace(versions=known)
    >>> [counting(pipeline, promotion) for promotion in (0, 1, 3, 4, 5, None)]
    [1, 2, 3, 4, 4, 4]
    """
    versions = pipeline.versions
    if promotion is None:
        return len(versions)
    return sum(one.model_id != DEFAULT_GROUP or one.promotion <= promotion for one in versions)
