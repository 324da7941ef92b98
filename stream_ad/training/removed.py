"""What scored live and was removed since: a replay must not let another version score instead."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import zip_longest
from typing import Protocol

from stream_ad.config import Config
from stream_ad.errors import ArtifactNotFound
from stream_ad.groups import Groups
from stream_ad.progress import Progress
from stream_ad.training.promotions import Promotion, loadable, not_replaced
from stream_ad.training.registry import Registry
from stream_ad.versions import Removed
from stream_ad.windows import rfc3339


class Retold(Protocol):
    """What of a range of a topic is needed here."""

    def counted(self) -> dict[str, set[int]]:
        """Return the promotions of each group that counted in the range."""
        ...

    def time_beyond(self, group: str, promotion: int) -> int | None:
        """Return the record time in ms from which on only later promotions of a group count."""
        ...


def may_have_scored(registry: Registry, group: str, counted: Collection[int]) -> list[Promotion]:
    """Return the promotions of a group that some window may need, in order.

    Parameters
    ----------
    registry : Registry
    group : str
    counted : collection of int
        The promotions that were the newest to count, at one time or another.

    Raises
    ------
    ArtifactNotFound
        The registry does not know one of them.
    """
    made = registry.promotions(group)
    if unknown := {*counted} - {one.number for one in made}:
        raise ArtifactNotFound(
            f"promotions {_listed(unknown)} of {group} counted live and are not in "
            f"{registry.where}: it is another registry than then, or versions from before there "
            "were promotions were removed; name the right one in registry.uri, or replay with a "
            "later --from-time, into another folder"
        )
    wanted: dict[int, Promotion] = {}
    for number in counted:
        before = [one for one in made if one.number <= number]
        wanted |= {one.number: one for one in not_replaced(before)}
    return [wanted[number] for number in sorted(wanted)]


def lacks(promotion: Promotion, there: Collection[int]) -> set[int]:
    """Return the versions that a promotion needs and that are not there."""
    return {promotion.version, promotion.reference} - {*there}


def find_removed(source: Retold, config: Config, progress: Progress) -> list[Removed]:
    """Return what may have scored live and cannot score again; say so where it surely counted.

    Parameters
    ----------
    source : TopicRange
        Followed.
    config : Config
    progress : Progress

    Raises
    ------
    ArtifactError
    """
    assert config.registry.uri is not None
    registry, found = Registry(config.registry.uri), list[Removed]()
    for group in Groups(config).names:
        numbers = source.counted().get(group, set())
        there = registry.numbers(group)
        made = may_have_scored(registry, group, numbers)
        gone = [one for one in made if lacks(one, there)]
        if not gone:
            continue
        missing = set[int]().union(*(lacks(one, there) for one in gone))
        lack = f"versions missing of {group} in {registry.where}: {_listed(missing)}"
        if any(one.number in numbers for one in gone):
            progress.note(f"{lack}: the replay ends where it needs one of them")
        kept = f"removed, as registry.keep = {config.registry.keep} of them are kept"
        advice = _advice(source, group, made, gone)
        found += [
            Removed(
                group,
                one.number,
                one.effective_from,
                f"version {one.version} of {group} in the live run (promotion {one.number}), and "
                f"another one would score it now; {lack} ({kept}); {advice}",
            )
            for one in gone
        ]
    return found


def _advice(
    source: Retold, group: str, made: Sequence[Promotion], gone: Sequence[Promotion]
) -> str:
    """Say what to do: to put back what is missing, or where to begin so that it is not needed."""
    put_back = "put their folders back from a copy"
    numbers = source.counted()[group]
    scores = {number: not_replaced([p for p in made if p.number <= number]) for number in numbers}
    at_last = scores[max(numbers)]
    left = loadable(at_last, {one.version for one in made} - {one.version for one in gone})
    if not left:
        return put_back
    first = left[0].effective_from
    needing = [number for number in numbers if _needs(scores[number], gone, first)]
    since = source.time_beyond(group, max(needing)) if needing else None
    if needing and since is None:
        return put_back
    parts = [] if since is None else [f"--from-time {rfc3339(since * 10**6)} or later"]
    if left != at_last:
        parts.append(f"where all windows end at {rfc3339(first)} or later")
    return f"{put_back}, or replay a later part into another folder: {', and '.join(parts)}"


def _needs(scores: Sequence[Promotion], gone: Sequence[Promotion], since: int) -> bool:
    """Say whether a window that ends at a time or later is scored by what is gone."""
    until = [one.effective_from for one in scores[1:]]
    pairs = zip_longest(scores, until)
    return any(one in gone and (end is None or end > since) for one, end in pairs)


def _listed(numbers: Collection[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
