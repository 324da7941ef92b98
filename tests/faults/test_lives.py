"""What the fault tests say of kills follows from what the workers said."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from tests.faults.lives import Life, held, killed, recovery
from tests.faults.worker import Event, Worker

Said = tuple[float, str] | tuple[float, str, list[int]]


def life(slot: int, *said: Said, killed: float | None = None) -> Life:
    events = [Event(name, {"partitions": rest[0] if rest else []}, at) for at, name, *rest in said]
    return Life(slot, cast(Worker, SimpleNamespace(events=events)), killed, killed)


START: list[Said] = [(1, "assigned", [0, 1]), (2, "restored", [0, 1]), (3, "begin")]


@pytest.mark.parametrize(
    ("said", "in_transaction", "restoring", "before_commit"),
    [
        (START[:0], False, False, False),
        (START[:1], False, True, True),
        (START[:2], False, False, True),
        (START, True, False, True),
        ([*START, (4, "commit")], False, False, False),
        ([*START, (4, "commit"), (5, "begin")], True, False, False),
        ([*START, (4, "commit"), (5, "assigned", [7])], False, True, False),
    ],
)
def test_a_kill_hit_what_was_begun_and_not_ended(
    said: list[Said], in_transaction: bool, restoring: bool, before_commit: bool
) -> None:
    one = life(0, *said)
    assert one.in_transaction is in_transaction
    assert one.restoring is restoring
    assert one.before_commit is before_commit


def test_a_partition_is_held_by_whoever_got_it_last() -> None:
    first = life(0, (1, "assigned", [0, 1]), (2, "assigned", [2]), killed=10)
    second = life(1, (5, "assigned", [1]))
    later = life(1, (11, "assigned", [0]))
    assert held([first, second, later], first) == {0, 2}


def test_recovery_ends_with_the_first_commit_of_the_last_partition() -> None:
    dead = life(0, (1, "assigned", [0, 1]), (2, "commit"), killed=10)
    again = life(0, (14, "assigned", [0]), (15, "commit"))
    other = life(1, (3, "commit"), (18, "assigned", [1]), (18.5, "committed"), (19, "commit"))
    assert recovery([dead, again, other], dead) == 8.5


def test_a_commit_before_the_partition_was_taken_over_heals_nothing() -> None:
    dead = life(0, (1, "assigned", [0]), (2, "commit"), killed=10)
    other = life(1, (3, "assigned", [1]), (11, "commit"), (12, "assigned", [0]))
    assert recovery([dead, other], dead) is None


def test_a_recovery_that_the_next_kill_cut_off_is_the_next_kills() -> None:
    dead = life(0, (1, "assigned", [0]), (2, "commit"), killed=10)
    cut_off = life(0, (12, "assigned", [0]), killed=13)
    again = life(0, (15, "assigned", [0]), (16, "commit"))
    lives = [dead, cut_off, again]
    assert [recovery(lives, one) for one in killed(lives)] == [None, 3]


def test_who_held_nothing_has_nothing_to_recover() -> None:
    dead = life(0, killed=10)
    assert held([dead], dead) == set()
    assert recovery([dead], dead) is None
