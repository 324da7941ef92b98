"""What is known of workers that came and went: who held what, what a kill hit, how it healed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from tests.faults.worker import Event, Worker

BEGIN, COMMIT, ASSIGNED, RESTORED = "begin", "commit", "assigned", "restored"
COMMITS = {COMMIT, "committed"}  # the first is traced, the second said once a second


@dataclass(eq=False)
class Life:
    """One process of a slot, from its start to its end.

    Parameters
    ----------
    slot : int
    worker : Worker
    killed : float or None
        When, in monotonic seconds; None for one that was not.
    wall : float or None
        The same, in seconds since the epoch.
    """

    slot: int
    worker: Worker
    killed: float | None = None
    wall: float | None = None

    def kill(self, wall: float) -> None:
        """End it and note when."""
        self.killed, self.wall = self.worker.kill(), wall

    def last_of(self, *names: str) -> str | None:
        """Return which of these events came last."""
        return next((e.name for e in reversed(self.worker.events) if e.name in names), None)

    @property
    def in_transaction(self) -> bool:
        """Whether its end hit a transaction that was begun and not committed."""
        return self.last_of(BEGIN, COMMIT) == BEGIN

    @property
    def restoring(self) -> bool:
        """Whether its end hit the reading of states after an assignment."""
        return self.last_of(ASSIGNED, RESTORED) == ASSIGNED

    @property
    def before_commit(self) -> bool:
        """Whether it had partitions and had committed nothing."""
        return self.last_of(ASSIGNED, COMMIT) == ASSIGNED and not self.first(COMMIT)

    @property
    def after_commit(self) -> float | None:
        """How long after its first commit it was killed, in seconds; None without one."""
        commit = self.first(COMMIT)
        return None if commit is None or self.killed is None else self.killed - commit.at

    def first(self, name: str) -> Event | None:
        """Return its first event of a name."""
        return next((event for event in self.worker.events if event.name == name), None)

    def takings(self) -> Iterator[tuple[float, frozenset[int]]]:
        """Yield when it was assigned which partitions."""
        for event in list(self.worker.events):
            if has_partitions(event):
                yield event.at, frozenset(event.fields["partitions"])


def has_partitions(event: Event) -> bool:
    """Return whether an event is an assignment of at least one partition."""
    return event.name == ASSIGNED and bool(event.fields["partitions"])


def held(lives: Collection[Life], life: Life) -> frozenset[int]:
    """Return the partitions that a life held when it was killed: nobody took them after it."""
    assert life.killed is not None
    holder: dict[int, Life] = {}
    for at, taker, partitions in _takings(lives):
        if at <= life.killed:
            holder.update(dict.fromkeys(partitions, taker))
    return frozenset(partition for partition, taker in holder.items() if taker is life)


def recovery(lives: Collection[Life], life: Life) -> float | None:
    """Return the seconds from a kill to the first commits of all partitions it had held.

    None where there is nothing to measure: it held none, or whoever took one over was killed
    in turn before it had committed; the recovery is then the later kill's.
    """
    assert life.killed is not None
    commits = [_taken_up(lives, life.killed, partition) for partition in held(lives, life)]
    known = [at for at in commits if at is not None]
    if not commits or len(known) < len(commits):
        return None
    return max(known) - life.killed


def _taken_up(lives: Collection[Life], after: float, partition: int) -> float | None:
    for at, taker, partitions in _takings(lives):
        if at > after and partition in partitions:
            commits = (e.at for e in taker.worker.events if e.name in COMMITS and e.at > at)
            return next(commits, None)
    return None


def _takings(lives: Collection[Life]) -> list[tuple[float, Life, frozenset[int]]]:
    found = [(at, life, partitions) for life in lives for at, partitions in life.takings()]
    return sorted(found, key=lambda taking: taking[0])


def killed(lives: Iterable[Life]) -> list[Life]:
    """Return those that were killed."""
    return [life for life in lives if life.killed is not None]
