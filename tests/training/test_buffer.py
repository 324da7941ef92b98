"""What a training learns from: a sample of all that was ripe, however it came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_ad.config import SensorConfig, TrainingConfig
from stream_ad.records import IncidentEvent, LabelRecord
from stream_ad.training.buffer import Buffer
from stream_ad.training.quarantine import Quarantine
from stream_ad.training.sample import Sample
from stream_ad.windows import Windows, WindowSpec
from tests.training.told import HOP, WINDOW, WORDS, Word, event, label

MEMORY = 3 * HOP
REACH = WINDOW + MEMORY
KEPT = 100
SPEC = WindowSpec((SensorConfig(name="a"),), HOP, WINDOW // HOP, 1, 0, (0,), 1000)
NOW = 10_000
Place = tuple[str, int]


def windows(rows: list[Place]) -> Windows:
    """Return windows whose values are their start."""
    start = np.array([start for _, start in rows], np.int64)
    machine = np.array([machine for machine, _ in rows], object)
    values = np.repeat(start.astype(np.float32), SPEC.length).reshape(-1, SPEC.length, 1)
    return Windows(machine, start, values, np.arange(len(rows)))


def config(limit: int, apart: int = 5_000, half_life: float | None = 60e-9) -> TrainingConfig:
    return TrainingConfig(
        buffer_windows=limit, labelled_windows=apart, half_life_s=half_life, min_windows=10
    )


def empty(limit: int, apart: int = 5_000, history: list[Place] | None = None) -> Buffer:
    known = Quarantine(WINDOW, KEPT, {})
    return Buffer(config(limit, apart), SPEC, REACH, known, windows(history or []))


def held(buffer: Buffer, now: int = NOW) -> dict[Place, int]:
    """Return what may teach, with its label; each window is still itself."""
    found, y, _ = buffer.training_set(now)
    assert (found.values == found.start[:, None, None]).all()
    order = [*zip(found.start.tolist(), found.machine.tolist(), strict=True)]
    assert order == sorted(order)
    places = zip(found.machine.tolist(), found.start.tolist(), strict=True)
    return dict(zip(places, y.tolist(), strict=True))


# ------------------------------------------------------------------ streams, and a slow oracle


@dataclass
class Step:
    """A window, the events that it caused, and labels that came before it."""

    place: Place
    events: list[IncidentEvent] = field(default_factory=list)
    labels: list[LabelRecord] = field(default_factory=list)


@dataclass
class Span:
    name: int
    machine: str
    since: int
    told: int
    end: int | None = None


def life(rng: np.random.Generator, machine: str, n: int, spans: list[Span]) -> list[Step]:
    """Return the life of a machine: some incidents are told of late, beyond all reach."""
    steps, now = list[Step](), None
    for place in np.flatnonzero(rng.random(n) < 0.8).tolist():
        step = Step((machine, place * HOP))
        start = place * HOP
        if now is None and rng.random() < 0.1:
            back = int(rng.integers(0, MEMORY)) + (int(rng.random() < 0.2) * 50)
            now = Span(len(spans), machine, start - back, start)
            spans.append(now)
            step.events.append(event(now.name, machine, now.since, start))
        elif now is not None and rng.random() < 0.3:
            now.end = start + WINDOW
            step.events.append(event(now.name, machine, now.since, start, "closed"))
            now = None
        steps.append(step)
    return steps


def mixed(rng: np.random.Generator, lives: list[list[Step]]) -> list[Step]:
    """Mix machines at random, each in its own order."""
    waiting = {i: iter(steps) for i, steps in enumerate(lives)}
    order = rng.permutation(np.repeat(np.arange(len(lives)), [len(steps) for steps in lives]))
    return [next(waiting[i]) for i in order.tolist()]


def feed(buffer: Buffer, steps: list[Step], cuts: list[int]) -> None:
    """Tell and take batch by batch; a label always begins a new batch."""
    borders = {0, len(steps), *cuts, *(i for i, step in enumerate(steps) if step.labels)}
    bounds = sorted(borders)
    for a, b in pairwise(bounds):
        part = steps[a:b]
        for one in part[0].labels if part else []:
            buffer.quarantine.label(one)
        for told in (one for step in part for one in step.events):
            buffer.quarantine.tell(told)
        buffer.take(windows([step.place for step in part]))


def key_of(limit: int) -> Callable[[Place], tuple[float, int, int]]:
    """Return what windows are chosen by: the smallest stay."""
    sample = Sample(limit, 60, HOP)

    @cache
    def key(place: Place) -> tuple[float, int, int]:
        tag = sample.tag(place[0])
        own = sample.keys(np.array([tag], np.uint64), np.array([place[1]]))
        return float(own[0]), -place[1], int(tag)

    return key


def lies_in(span: Span, place: Place) -> bool:
    machine, start = place
    inside = span.end is None or start + WINDOW <= span.end
    return machine == span.machine and span.since < start + WINDOW and inside


def ripened(steps: list[Step]) -> dict[Place, int]:
    """Return of each window that became ripe which step made it so."""
    found: dict[Place, int] = {}
    for i, step in enumerate(steps):
        for earlier in steps[:i]:
            same = earlier.place[0] == step.place[0]
            if same and earlier.place[1] + REACH <= step.place[1]:
                found.setdefault(earlier.place, i)
    return found


def oracle(
    steps: list[Step], spans: list[Span], limit: int, apart: int, begin: list[Place]
) -> tuple[set[Place], set[Place]]:
    """Look at one step after another, and at all windows each time."""
    key, ripe = key_of(limit), ripened(steps)
    kept, own = set(begin), set[Place]()
    said: dict[int, str] = {}
    words: dict[Place, str | None] = {}
    for i, step in enumerate(steps):
        for one in step.labels:
            said[int(one.incident_id, 16)] = one.label
        if step.labels:
            known = {n for n, span in enumerate(spans) if told_by(span, steps[:i])}
            for place in own:
                words[place] = word_of(spans, said, place, known & set(said))
        for place in [place for place, at in ripe.items() if at == i]:
            at = step.place[1]
            inside = [span for span in spans if lies_in(span, place) and span.told <= at]
            if inside:
                own.add(place)
                names = {span.name for span in inside} & set(said)
                words[place] = word_of(spans, said, place, names)
            else:
                kept.add(place)
        kept = set(sorted(kept, key=key)[:limit])
        own = choose(own, words, key, apart)
    return kept, own


def told_by(span: Span, steps: list[Step]) -> bool:
    return any(step.place == (span.machine, span.told) for step in steps)


def word_of(spans: list[Span], said: dict[int, str], place: Place, among: set[int]) -> str | None:
    found = {said[name] for name in among if lies_in(spans[name], place)}
    return "anomaly" if "anomaly" in found else "normal" if found else None


def choose(
    own: set[Place],
    words: dict[Place, str | None],
    key: Callable[[Place], tuple[float, int, int]],
    apart: int,
) -> set[Place]:
    order = sorted(own, key=key)
    unsaid = [place for place in order if words[place] is None]
    sure = set(unsaid[: apart // 4])
    for one in ("normal", "anomaly"):
        said = [place for place in order if words[place] == one]
        sure |= set(said[: (apart - apart // 4) // 2])
    labelled = [place for place in order if words[place] is not None]
    rest = [place for place in [*labelled, *unsaid] if place not in sure]
    return {*sure, *rest[: apart - len(sure)]}


def placed(buffer: Buffer) -> tuple[set[Place], set[Place]]:
    """Return what lies in the sample, and what apart from it."""
    buffer.trim()
    found = []
    for place in (2, 3):
        own = buffer.slots.windows(buffer.slots.at(place))
        found.append(set(zip(own.machine.tolist(), own.start.tolist(), strict=True)))
    return found[0], found[1]


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), limit=st.integers(10, 80), cuts=st.lists(st.integers(0, 150))
)
def test_what_is_held_follows_from_windows_and_incidents_whatever_the_batches(
    seed: int, limit: int, cuts: list[int]
) -> None:
    rng, spans = np.random.default_rng(seed), list[Span]()
    lives = [life(rng, name, int(rng.integers(1, 50)), spans) for name in "bac"]
    begin: list[Place] = [("a", -start) for start in range(200, 100, -HOP)]
    steps = mixed(rng, lives)
    for one in spans:
        if rng.random() < 0.5 and steps:
            at = int(rng.integers(0, len(steps)))
            word = WORDS[int(rng.integers(0, 2))]
            said = label(one.name, one.machine, one.since, one.end, 0, word)
            if told_by(one, steps[:at]):
                steps[at].labels.append(said)
    whole, parted = (empty(limit, 10, begin) for _ in range(2))
    feed(whole, steps, [])
    feed(parted, steps, [cut for cut in cuts if cut <= len(steps)])
    assert placed(parted) == placed(whole)
    assert placed(whole) == oracle(steps, spans, limit, 10, begin)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), limit=st.integers(10, 80), step=st.integers(1, 200))
def test_built_anew_from_the_windows_and_all_that_was_told_it_holds_the_same_and_goes_on_alike(
    seed: int, limit: int, step: int
) -> None:
    """What the record tells of later windows does not count for earlier ones."""
    rng, spans = np.random.default_rng(seed), list[Span]()
    steps = mixed(rng, [life(rng, name, 50, spans) for name in "ab"])
    cut = int(rng.integers(0, len(steps)))
    buffer = empty(limit, 10)
    feed(buffer, steps[:cut], [])
    record = orjson.loads(orjson.dumps(buffer.quarantine.record))
    again = Buffer(config(limit, 10), SPEC, REACH, Quarantine(WINDOW, KEPT, record))
    for first in range(0, cut, step):
        again.take(windows([one.place for one in steps[first : min(cut, first + step)]]))
    assert placed(again) == placed(buffer)
    assert again.taken == buffer.taken
    for one in (buffer, again):
        feed(one, steps[cut:], [])
    assert placed(again) == placed(buffer)
    assert held(again, 300) == held(buffer, 300)


# ------------------------------------------------------------------ what windows count as


def filled(limit: int = 100, apart: int = 100) -> Buffer:
    """Return a buffer of one machine whose incident, told of at 108, covers 88 to 120."""
    buffer = empty(limit, apart)
    buffer.quarantine.tell(event(1, "m", 100, 108))
    buffer.quarantine.tell(event(1, "m", 100, 120, "closed"))
    buffer.take(windows([("m", start) for start in range(80, 200, HOP)]))
    return buffer


FREE_ONES = {("m", start): 0 for start in [80, 84, *range(124, 172, HOP)]}


def test_windows_of_an_incident_come_back_once_its_quarantine_is_over() -> None:
    """It ends at 136; what starts after 168 is not ripe yet."""
    covered = {("m", start): 0 for start in range(88, 124, HOP)}
    assert held(filled(), 136 + KEPT - 1) == FREE_ONES
    assert held(filled(), 136 + KEPT) == FREE_ONES | covered


@pytest.mark.parametrize(("word", "y"), [("normal", 1), ("anomaly", -1)])
def test_a_label_that_comes_late_changes_what_windows_count_as(word: Word, y: int) -> None:
    buffer = filled()
    assert held(buffer) == FREE_ONES | {("m", start): 0 for start in range(88, 124, HOP)}
    buffer.quarantine.label(label(1, "m", 100, 136, 500, word))
    before = {("m", start): 0 for start in range(88, 100, HOP)} if word == "normal" else {}
    labelled = {("m", start): y for start in range(100, 124, HOP)}
    assert held(buffer) == FREE_ONES | labelled | before


def test_an_incident_told_of_after_its_windows_were_sampled_still_takes_them_out() -> None:
    buffer = empty(100)
    buffer.take(windows([("m", start) for start in range(80, 200, HOP)]))
    assert ("m", 100) in held(buffer)
    buffer.quarantine.tell(event(1, "m", 100, 196))
    assert held(buffer) == {("m", 80): 0, ("m", 84): 0}


def test_what_was_taken_is_counted_as_it_becomes_ripe() -> None:
    buffer = empty(100, history=[("m", -100), ("m", -96)])
    assert (buffer.taken, buffer.first) == (2, -100)
    buffer.quarantine.tell(event(1, "m", 100, 108))
    assert buffer.take(windows([("m", 80), ("m", 84), ("m", 88)])) == (0, 0)
    assert buffer.take(windows([("m", 84 + REACH)])) == (2, 0)
    assert buffer.take(windows([("m", 88 + REACH)])) == (0, 1)
    assert buffer.taken == 4
    assert empty(10).first is None


def test_where_incidents_overflow_labelled_windows_stay_and_the_rarer_label_with_them() -> None:
    """Places for ten: two anomalies among forty labelled normal and sixty of no label.

    Two stay of the last, a quarter: what nobody keeps nobody can label.
    """
    buffer = empty(100, apart=10)
    said: dict[str, tuple[int, Word | None]]
    said = {"few": (2, "anomaly"), "many": (40, "normal"), "none": (60, None)}
    for name, (machine, (n, word)) in enumerate(said.items()):
        buffer.quarantine.tell(event(name, machine, 0, 0))
        if word is not None:
            buffer.quarantine.label(label(name, machine, 0, None, 10_000, word))
        buffer.take(windows([*((machine, start * HOP) for start in range(n)), (machine, 10_000)]))
    found = held(buffer, 20_000)
    assert [found[one] for one in found if one[0] == "few"] == [-1, -1]
    assert len([one for one in found if one[0] == "many"]) == 6
    assert len([one for one in placed(buffer)[1] if one[0] == "none"]) == 2
    assert len(placed(buffer)[1]) == 10


def test_a_history_larger_than_the_buffer_is_a_sample_of_it_too() -> None:
    history = [(name, start * HOP) for name in "ab" for start in range(300)]
    buffer = empty(20, history=history)
    assert placed(buffer)[0] == set(sorted(history, key=key_of(20))[:20])
    assert buffer.taken == 600


def test_runs_of_windows_stay_together_where_the_sample_is_large() -> None:
    """A 64th of 1,280 is a block of 20 windows: at most two of those kept are cut short."""
    buffer = empty(1_280, history=[("m", start * HOP) for start in range(10_000)])
    start = np.array(sorted(start for _, start in placed(buffer)[0])) // HOP
    sizes = np.unique(start // 20, return_counts=True)[1]
    assert len(start) == 1_280
    assert (sizes != 20).sum() <= 1


def test_incidents_that_matter_no_more_can_be_forgotten() -> None:
    buffer = empty(50)
    for n in range(40):
        since = n * 400
        buffer.quarantine.tell(event(n, "m", since, since + 8))
        buffer.quarantine.tell(event(n, "m", since, since + 40, "closed"))
        buffer.take(windows([("m", since + i * HOP) for i in range(100)]))
        buffer.forget(since + 400)
        assert len(buffer.quarantine.record) <= 2


def test_composition_tells_what_teaches_and_what_does_not_and_why() -> None:
    buffer = filled()
    buffer.quarantine.tell(event(2, "n", 60, 68))
    buffer.take(windows([("n", start) for start in range(20, 100, HOP)]))
    made = buffer.composition(200)
    assert orjson.loads(orjson.dumps(made)) == made
    # of n those that end at 60 or later lie in its open incident: 48 to 68 of 20 to 68
    assert made["windows"] == len(FREE_ONES) + 7 == sum(made["machines"].values())
    assert made["machines"] == {"m": len(FREE_ONES), "n": 7}
    assert made["left_out"] == {"open_incident": 6, "unlabelled_incident": 9}
    assert made["left_out_machines"] == {"m": 9, "n": 6}
    assert made["waiting"] == 7 + 7
    assert (made["normal"], made["anomaly"], made["lapsed"]) == (0, 0, 0)
    assert made["age_s"]["least"] == pytest.approx((200 - 168 - WINDOW) * 1e-9)
    assert made["age_s"]["most"] == pytest.approx((200 - 20 - WINDOW) * 1e-9)
    assert buffer.composition(136 + KEPT)["lapsed"] == 9


def test_an_empty_buffer_has_nothing_to_teach_and_says_so() -> None:
    buffer = empty(10)
    assert held(buffer) == {}
    assert buffer.composition(0)["windows"] == 0
    assert buffer.composition(0)["age_s"] == {}


def test_memory_is_that_of_the_windows_held() -> None:
    """A thousand, an eighth more, 256 at a time, and seven that wait: room is made by doubling."""
    buffer = empty(1_000)
    for first in range(0, 20_000, 500):
        buffer.take(windows([("m", start * HOP) for start in range(first, first + 500)]))
    assert len(buffer.slots.place) == 2_048
    assert len(held(buffer, 10**6)) == 1_000
