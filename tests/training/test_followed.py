"""What counted live scores the replay, group by group; what is gone is refused, never replaced."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_ad.config import Config, parse_config
from stream_ad.errors import ArtifactNotFound
from stream_ad.groups import Groups
from stream_ad.lineup import Lineup
from stream_ad.pipeline import Pipeline
from stream_ad.progress import Silence
from stream_ad.training.followed import load_followed
from stream_ad.training.promotions import Promotion
from stream_ad.training.registry import Registry
from stream_ad.training.removed import find_removed
from stream_ad.transport.base import Batch
from stream_ad.versions import Removed, Version
from stream_ad.windows import Windows, rfc3339
from stream_ad.windows.spec import parse_rfc3339
from tests.training.registries import CONFIG, HOUR, LENGTH, SPEC, made

NAMES = ("default", "presses")


class Promotions:
    """A registry of promotions, version and time of each, and of the versions that are there."""

    where = "the registry"

    def __init__(self, there: Mapping[str, set[int]], **made: list[tuple[int, int]]) -> None:
        self._there = there
        self._made = {
            group: [
                Promotion(number, group, version, since, "", "", version, "")
                for number, (version, since) in enumerate(rows, 1)
            ]
            for group, rows in made.items()
        }

    def promotions(self, group: str) -> list[Promotion]:
        return self._made.get(group, [])

    def numbers(self, group: str) -> set[int]:
        return self._there.get(group, set())

    def version(self, one: Promotion, *_: object) -> Version:
        return Version(Mock(), one.version, one.effective_from, one.group, promotion=one.number)


def config_for(uri: str | None = None) -> Config:
    groups = {"presses": {"match": ["p*"]}}
    return parse_config(
        {"windows": CONFIG.windows.model_dump(), "groups": groups, "registry": {"uri": uri}}
    )


# ------------------------------------------------------------------ loaded


@pytest.mark.parametrize(
    ("counted", "there", "wanted"),
    [
        ({1}, {1, 2, 3}, [1]),
        ({1, 2}, {1, 2, 3}, [1, 2]),
        ({3}, {1, 2, 3}, [1, 3]),  # 2 was taken back by then
        ({2, 3}, {1, 2, 3}, [1, 2, 3]),
        ({2, 4}, {1, 2, 3}, [1, 2, 3, 4]),
        ({2, 4}, {1, 3}, [1, 3, 4]),
        ({3, 4}, {3}, [4]),
    ],
)
def test_what_counted_and_what_it_replaced_is_loaded(
    counted: set[int], there: set[int], wanted: list[int]
) -> None:
    """Version 2 takes effect at 20, is taken back from then on, and version 3 comes at 30."""
    rows = [(1, 10), (2, 20), (1, 20), (3, 30)]
    registry: Any = Promotions({"default": there}, default=rows)
    found = load_followed(registry, SPEC, Groups(config_for()), {"default": counted})
    assert [version.promotion for version in found] == wanted


def test_of_each_group_is_loaded_what_counted_of_it() -> None:
    rows = [(1, 10), (2, 20), (3, 30)]
    there = {name: {1, 2, 3} for name in NAMES}
    registry: Any = Promotions(there, default=rows, presses=rows)
    found = load_followed(registry, SPEC, Groups(config_for()), {"default": {3}, "presses": {1, 2}})
    assert [(one.model_id, one.promotion) for one in found] == [
        ("default", 1),
        ("default", 2),
        ("default", 3),
        ("presses", 1),
        ("presses", 2),
    ]
    (only,) = load_followed(registry, SPEC, Groups(config_for()), {"presses": {1}})
    assert only.model_id == "presses"  # no version of default counted then


def test_what_counted_in_another_registry_is_refused() -> None:
    registry: Any = Promotions({"default": {1}}, default=[(1, 10)])
    with pytest.raises(ArtifactNotFound, match=r"promotions 4, 7 of default counted live .* not"):
        load_followed(registry, SPEC, Groups(config_for()), {"default": {1, 4, 7}})


def test_with_nothing_left_of_what_scored_nothing_is_replayed() -> None:
    registry: Any = Promotions({"default": {2}}, default=[(1, 10), (2, 20)])
    with pytest.raises(ArtifactNotFound, match=r"default: 1.*: put the folders"):
        load_followed(registry, SPEC, Groups(config_for()), {"default": {1}})


# ------------------------------------------------------------------ what scores

counts = st.none() | st.dictionaries(st.sampled_from(NAMES), st.integers(0, 5))


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 8), st.booleans()), max_size=8),
    counts,
)
def test_a_window_is_scored_by_the_newest_that_counted_in_its_group_and_what_is_gone_is_told(
    rows: list[tuple[str, int, bool]], told: dict[str, int] | None
) -> None:
    every: list[Version | Removed] = []
    for group, since, gone in rows:
        number = 1 + sum(one.model_id == group for one in every)
        judge = Mock(known=np.ones(2, bool))
        every.append(
            Removed(group, number, since, f"{group} {number}")
            if gone and told is not None
            else Version(judge, number, since, group, promotion=number)
        )
    there = [one for one in every if isinstance(one, Version)]
    removed = [one for one in every if isinstance(one, Removed)]
    lineup = Lineup(Groups(config_for()), there, removed)
    lineup.count_only(0, told)
    for machine, groups in (("m1", ("default",)), ("p1", ("presses", "default"))):
        for end in range(10):
            counting = [
                one
                for group in groups[::-1]
                for one in every
                if one.model_id == group and one.effective_from <= end
                if told is None or one.promotion <= told.get(group, 0)
            ]
            expected = counting[-1] if counting else None
            window = np.array([machine], object), np.array([end])
            if isinstance(expected, Removed):
                with pytest.raises(ArtifactNotFound, match=f"{expected.why}$"):
                    lineup.active(0, *window)
                continue
            (place,) = lineup.active(0, *window)
            assert (there[place] if place >= 0 else None) is expected


def test_a_window_that_needs_what_is_gone_is_refused_by_machine_and_time() -> None:
    gone = Removed("presses", 1, 0, "version 7 of presses (promotion 1)")
    shared = Version(Mock(known=np.ones(2, bool)), 1, 0, promotion=1)
    config = config_for()
    config = config.model_copy(
        update={"input": config.input.model_copy(update={"format": "window"})}
    )
    pipeline = Pipeline(config, SPEC, [shared], {}, removed=[gone])
    pipeline.lineup.count_only(0, {"default": 1, "presses": 1})
    start = 6 * HOUR + np.arange(3, dtype=np.int64) * SPEC.hop_ns
    values = np.zeros((3, LENGTH, 2), np.float32)
    windows = Windows(np.full(3, "p1", object), start, values, np.arange(3, dtype=np.int64))
    last = rfc3339(int(start[0]) + SPEC.window_ns)
    words = f"window of p1 that ends at {last} was scored by {gone.why}"
    with pytest.raises(ArtifactNotFound, match=re.escape(words)):
        pipeline.process([Batch(windows, [], 3)])


# ------------------------------------------------------------------ what is gone


class Range:
    """Promotions that counted one after the other; each from the record of its number in ms on."""

    def __init__(self, **counted: Collection[int]) -> None:
        self._counted = {group: {*numbers} for group, numbers in counted.items()}

    def counted(self) -> dict[str, set[int]]:
        return self._counted

    def time_beyond(self, group: str, promotion: int) -> int | None:
        return min((one for one in self._counted[group] if one > promotion), default=None)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=7),
    st.sets(st.integers(1, 7)),
    st.integers(1, 7),
    st.integers(1, 7),
)
def test_where_a_later_part_begins_nothing_is_needed_that_is_gone(
    hours: list[int], gone: set[int], first: int, last: int
) -> None:
    first, last = sorted(min(number, len(hours)) for number in (first, last))
    with TemporaryDirectory() as folder:
        registry = Registry(folder)
        for hour in hours:
            number = registry.add(made())
            registry.promote(number, hour * HOUR, "", reference=number)
        for number in gone & {*registry.numbers()}:
            registry._store.remove(f"default/{number:06d}")
        retold = Range(default=range(first, last + 1))
        found = find_removed(retold, config_for(folder), Silence())

    def scorer(counting: int, end: int) -> int:
        """Return the version that scored what ended at an hour while a promotion counted."""
        scored = [n for n in range(1, counting + 1) if hours[n - 1] <= end]
        return scored[-1] if scored else 0

    needed = {scorer(number, end) for number in range(first, last + 1) for end in range(11)}
    assert {one.promotion for one in found} == needed & gone
    for one in found:
        time = re.search(r"--from-time (1970-01-01T00:00:00\.\d+Z) or later", one.why)
        begins = re.search(r"windows end at (\S+) or later", one.why)
        if time is None and begins is None:
            assert scorer(last, 10) in gone  # to the end
            continue
        since = first if time is None else parse_rfc3339(time[1]) // 10**6
        hour = 0 if begins is None else parse_rfc3339(begins[1]) // HOUR
        later = {
            scorer(number, end) for number in range(since, last + 1) for end in range(hour, 11)
        }
        assert not later & gone


def test_what_is_gone_is_told_with_group_versions_registry_and_what_to_do(tmp_path: Path) -> None:
    """Retention left two of four; promotion 3 counted from ms 3 on and takes effect at 3 h."""
    registry = Registry(str(tmp_path))
    for hour in (1, 2, 3, 4):
        number = registry.add(made(), "presses")
        registry.promote(number, hour * HOUR, "", "presses", reference=number)
    assert registry.retain(2, "presses") == [1, 2]
    notes: list[str] = []
    progress = Mock(note=notes.append)
    gone = find_removed(Range(presses=[2, 3]), config_for(str(tmp_path)), progress)
    lack = f"versions missing of presses in {tmp_path}: 1, 2"
    assert notes == [f"{lack}: the replay ends where it needs one of them"]
    assert [(one.model_id, one.promotion, one.effective_from) for one in gone] == [
        ("presses", 1, HOUR),
        ("presses", 2, 2 * HOUR),
    ]
    assert gone[1].why == (
        "version 2 of presses in the live run (promotion 2), and another one would score it now; "
        f"{lack} (removed, as registry.keep = 10 of them are kept); put their folders back from a "
        "copy, or replay a later part into another folder: --from-time 1970-01-01T00:00:00.003Z or "
        "later, and where all windows end at 1970-01-01T03:00:00Z or later"
    )


def test_a_version_whose_reference_is_gone_cannot_score_again(tmp_path: Path) -> None:
    registry = Registry(str(tmp_path))
    for hour in (1, 2):
        registry.promote(registry.add(made()), hour * HOUR, "")
    registry._store.remove("default/000001")
    gone = find_removed(Range(default=[2]), config_for(str(tmp_path)), Silence())
    assert [one.promotion for one in gone] == [1, 2]
    assert "missing of default in" in gone[1].why
