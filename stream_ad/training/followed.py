"""A replay of a topic follows the live run: the same promotions count for the same records."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from stream_ad.config import Config
from stream_ad.errors import ArtifactNotFound, BrokerError, StateError
from stream_ad.groups import Groups
from stream_ad.progress import Progress
from stream_ad.training.fleet import load_all
from stream_ad.training.registry import Registry
from stream_ad.training.removed import lacks, may_have_scored
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


def _read(
    source: TopicRange, config: Config, progress: Progress
) -> dict[str, list[tuple[str, int, int]]]:
    if source.title != config.kafka.topics.input:
        progress.note(f"{source.title} is not kafka.topics.input: {ALL_COUNT}")
        return {}
    try:
        found = source.activations()
    except (BrokerError, StateError) as error:
        progress.note(f"{ALL_COUNT}, since it is not known what counted live: {error}")
        return {}
    names = Groups(config).names
    found = {at: [one for one in rows if one[0] in names] for at, rows in found.items()}
    if not any(found.values()):
        state = config.kafka.topics.state
        progress.note(f"{ALL_COUNT}: no live run wrote down in {state} what counted when")
    return found


def load_followed(
    registry: Registry,
    spec: WindowSpec,
    groups: Groups,
    counted: Mapping[str, Collection[int]] | None = None,
) -> list[Version]:
    """Load the versions that are there of those that may have scored while promotions counted.

    Parameters
    ----------
    registry : Registry
    spec : WindowSpec
    groups : Groups
    counted : mapping of str to collection of int, optional
        The promotions, by group; without any as `load_all`.

    Raises
    ------
    ArtifactError
        One of them cannot be trusted, or none is there.
    """
    if not counted:
        return load_all(registry, spec, groups)
    found: list[Version] = []
    for name in groups.names:
        made, there = may_have_scored(registry, name, counted.get(name, ())), registry.numbers(name)
        own = groups.config(name)
        found += [registry.version(one, spec, own) for one in made if not lacks(one, there)]
    if not found:
        numbers = "; ".join(f"{name}: {', '.join(map(str, counted[name]))}" for name in counted)
        raise ArtifactNotFound(
            f"{registry.where}: no detector that scored live is there any more (promotions of "
            f"{numbers}): put the folders of their versions back from a copy"
        )
    return found


class Following(Protocol):
    """What of a lineup is needed here."""

    def count_only(self, partition: int, promotions: Mapping[str, int] | None) -> None:
        """Let count in a partition what counted there in another run, from the next batch on."""
        ...


class Followed:
    """A source that lets count, before each of its batches, what counted for it.

    Parameters
    ----------
    source : Source
        Nobody may read it ahead of the pipeline.
    lineup : Lineup
    """

    def __init__(self, source: Source, lineup: Following) -> None:
        self._source, self._lineup = source, lineup

    def batches(self, position: int = 0) -> Iterator[Batch]:
        """Yield the source's batches."""
        for batch in self._source.batches(position):
            self._lineup.count_only(batch.partition, batch.promotions)
            yield batch
