"""Which windows a refit learns from: the newest that no incident covers, however they came."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_ad.training.buffer import NONE, Buffer, Quarantine
from stream_ad.training.history import Collector
from stream_ad.windows import Windows

WINDOW, HOP, MEMORY = 16, 4, 12  # the last of three hops
REACH = WINDOW + MEMORY
Told = tuple[str, int, int]  # machine, start, since


def windows(rows: list[Told]) -> Windows:
    """Return windows whose only value is their number: their start."""
    start = np.array([start for _, start, _ in rows], np.int64)
    machine = np.array([machine for machine, _, _ in rows], object)
    return Windows(machine, start, start.astype(np.float32)[:, None, None], np.arange(len(rows)))


def since(rows: list[Told]) -> NDArray[np.int64]:
    return np.array([first for _, _, first in rows], np.int64)


def life(rng: np.random.Generator, machine: str, n: int) -> list[Told]:
    """Return windows of a machine; an incident begins up to a memory before its first window."""
    rows, begun, left = list[Told](), NONE, 0
    for place in np.flatnonzero(rng.random(n) < 0.8).tolist():
        start = place * HOP
        if left == 0:
            begun = NONE
            if rng.random() < 0.1:
                begun, left = max(0, start - int(rng.integers(0, MEMORY))), int(rng.integers(1, 9))
        left = max(0, left - 1)
        rows.append((machine, start, begun))
    return rows


def mixed(rng: np.random.Generator, lives: list[list[Told]]) -> list[Told]:
    """Mix machines at random, each in its own order."""
    waiting = {i: iter(rows) for i, rows in enumerate(lives)}
    order = rng.permutation(np.repeat(np.arange(len(lives)), [len(rows) for rows in lives]))
    return [next(waiting[i]) for i in order.tolist()]


def by_machine(rows: list[Told]) -> list[Told]:
    return sorted(rows, key=lambda row: (row[0], row[1]))


def fill(parts: list[list[Told]], limit: int, begin: list[Told]) -> tuple[Buffer, Quarantine]:
    """Fill a buffer batch by batch, as a pipeline tells: machine by machine."""
    quarantine = Quarantine(WINDOW, {})
    buffer = Buffer(limit, REACH, quarantine, windows(begin))
    for part in map(by_machine, parts):
        for machine in dict.fromkeys(row[0] for row in part):
            mine = [row for row in part if row[0] == machine]
            quarantine.note(machine, windows(mine).start, since(mine))
        buffer.take(windows(part))
    return buffer, quarantine


def kept(buffer: Buffer) -> list[tuple[str, int]]:
    found = buffer.newest()
    if found is None:
        return []
    assert found.values[:, 0, 0].tolist() == found.start.tolist()
    return sorted(zip(found.machine.tolist(), found.start.tolist(), strict=True))


def oracle(rows: list[Told], limit: int, begin: list[Told]) -> list[tuple[str, int]]:
    """Look at all windows and all incidents at once."""
    of = defaultdict[str, list[Told]](list)
    for row in rows:
        of[row[0]].append(row)
    found = [(start, machine) for machine, start, _ in begin]
    for machine, own in of.items():
        newest = own[-1][1]
        hit = {(first, start) for _, start, first in own if first != NONE}
        for _, start, first in own:
            touched = any(a < start + WINDOW and start <= b for a, b in hit)
            if start + REACH <= newest and first == NONE and not touched:
                found.append((start, machine))
    return sorted((machine, start) for start, machine in sorted(found)[-limit:])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), limit=st.integers(1, 80), cuts=st.integers(0, 12))
def test_the_newest_that_no_incident_covers_are_held_whatever_the_batches(
    seed: int, limit: int, cuts: int
) -> None:
    rng = np.random.default_rng(seed)
    lives = [life(rng, name, int(rng.integers(1, 60))) for name in ("b", "a", "c")]
    begin = [("a", -start, NONE) for start in range(200, 100, -HOP)]
    rows = mixed(rng, lives)
    at = np.sort(rng.integers(0, len(rows) + 1, cuts)).tolist()
    parts = [rows[a:b] for a, b in zip([0, *at], [*at, len(rows)], strict=True)]
    expected = oracle(rows, limit, begin)
    assert kept(fill(parts, limit, begin)[0]) == expected
    assert kept(fill([rows], limit, begin)[0]) == expected


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), limit=st.integers(1, 80))
def test_built_anew_from_the_spans_it_holds_the_same_and_goes_on_alike(
    seed: int, limit: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = mixed(rng, [life(rng, name, 50) for name in "ab"])
    cut = int(rng.integers(0, len(rows)))
    buffer, quarantine = fill([rows[:cut]], limit, [])
    spans = orjson.loads(orjson.dumps(quarantine.spans))
    again = Buffer(limit, REACH, Quarantine(WINDOW, spans), windows([]))
    for row in rows[:cut]:
        again.take(windows([row]))
    assert kept(again) == kept(buffer)
    for other, known in ((buffer, quarantine), (again, again._quarantine)):
        for row in rows[cut:]:
            known.note(row[0], windows([row]).start, since([row]))
            other.take(windows([row]))
    assert kept(again) == kept(buffer)


def test_incidents_older_than_all_that_is_held_are_forgotten() -> None:
    quarantine = Quarantine(WINDOW, {"a": [[0, 40], [60, 80]], "b": [[0, 20]]})
    quarantine.forget(before=41)
    assert quarantine.spans == {"a": [[60, 80]]}


def test_what_is_left_out_is_counted_once() -> None:
    """By hand: 0 overlaps the incident that begins at 10, 4 and 8 are in it, 12 is not."""
    rows = [("m", 0, NONE), ("m", 4, NONE), ("m", 8, 10), ("m", 12, 10), ("m", 16, NONE)]
    buffer, _ = fill([[row] for row in rows], 10, [])
    assert buffer.take(windows([("m", 100, NONE)])) == (1, 4)
    assert kept(buffer) == [("m", 16)]


@pytest.mark.parametrize("order", [["a", "b"], ["b", "a"]])
def test_of_windows_that_start_together_the_same_are_kept(order: list[str]) -> None:
    collector = Collector(3)
    for machine in order:
        collector.add(windows([(machine, start, NONE) for start in (0, 4)]))
    found = collector.newest()
    assert found is not None
    assert list(zip(found.machine, found.start, strict=True)) == [("b", 0), ("a", 4), ("b", 4)]
