"""Versions that never change, and decisions that are made once: on a disk and elsewhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from copy import copy
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_ad.errors import (
    ArtifactCorrupt,
    ArtifactError,
    ArtifactMismatch,
    ArtifactNotFound,
    ConfigError,
    OutputError,
    RegistryConflict,
)
from stream_ad.training import local_store
from stream_ad.training.local_store import LocalStore
from stream_ad.training.promotions import Promotion, Refusal, loadable, not_replaced, standing
from stream_ad.training.registry import Registry
from tests.training.registries import HOUR, Made, dying, expect_whole, made, promoted, said

Make = Callable[[], Registry]


@pytest.fixture(params=["folder", "memory"])
def new(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Return what makes an empty registry, in a folder or elsewhere."""
    numbers = count()

    def make() -> Registry:
        if request.param == "folder":
            return Registry(str(tmp_path / f"registry{next(numbers)}"))
        return Registry(f"memory://{uuid4().hex}/models", tmp_path / "cache")

    return make


@pytest.fixture(autouse=True)
def _no_power_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


# ------------------------------------------------------------------ what is written


promotions = st.builds(
    Promotion,
    number=st.integers(1, 10**6),
    group=st.text(),
    version=st.integers(1, 10**6),
    effective_from=st.integers(-(2**61), 2**61),
    reason=st.text(),
    card_sha256=st.text(),
    reference=st.integers(1, 10**6),
    made_at=st.text(),
    accepted=st.lists(st.text()).map(tuple),
    figures=st.dictionaries(st.text(), st.none() | st.booleans() | st.floats(-1e9, 1e9)),
)


@given(promotions)
def test_a_promotion_is_read_as_it_was_written(one: Promotion) -> None:
    assert Promotion.from_json(one.to_json()) == one


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", "3"),
        ("version", None),
        ("effective_from", "soon"),
        ("effective_from", 1.5),
        ("accepted", "m1"),
        ("reason", 5),
    ],
)
def test_a_changed_promotion_is_refused_by_file_and_key(
    tmp_path: Path, key: str, value: object
) -> None:
    registry = promoted(Registry(str(tmp_path)), 1)
    file = tmp_path / "default/promotions/000001.json"
    file.write_bytes(orjson.dumps(orjson.loads(file.read_bytes()) | {key: value}))
    with pytest.raises(ArtifactCorrupt, match=rf"000001\.json: {key}: "):
        registry.promotions()


def test_half_a_promotion_is_refused_by_file(tmp_path: Path) -> None:
    registry = promoted(Registry(str(tmp_path)), 1)
    file = tmp_path / "default/promotions/000001.json"
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(ArtifactCorrupt, match=r"promotions/000001\.json"):
        registry.promotions()


def test_a_promotion_holds_what_was_decided(new: Make) -> None:
    registry = promoted(new(), 1)
    registry.add(made(2))
    figures = {"gate": {"passed": True, "checks": [{"name": "faults", "figures": {"recall": 0.5}}]}}
    one = registry.promote(
        2, 5 * HOUR, "because", reference=1, accepted=("m1", "m2"), figures=figures
    )
    assert registry.promotions()[-1] == one
    assert (one.number, one.version, one.effective_from, one.reference) == (2, 2, 5 * HOUR, 1)
    assert (one.reason, one.accepted, one.figures) == ("because", ("m1", "m2"), figures)
    assert registry.promotion(2) == one
    record = one.record()
    assert record.effective_from == "1970-01-01T05:00:00Z"
    assert registry.announced(record) == one
    other = record.model_copy(update={"card_sha256": "0" * 64})
    with pytest.raises(ArtifactMismatch, match=r"announced was version 2 \(card 000000000000\)"):
        registry.announced(other)
    with pytest.raises(ArtifactNotFound, match="no promotion 7"):
        registry.announced(record.model_copy(update={"promotion": 7}))


def test_decisions_are_read_in_order(new: Make) -> None:
    registry = new()
    registry.refuse("too early")
    promoted(registry, 1)
    for n in range(3):
        registry.refuse(f"worse {n}", {"recall": 0.1 * n}, version=None)
    promoted(registry, 2)
    registry.refuse("last", version=2)
    found = registry.decisions()
    texts = ["too early", "at 1", "worse 0", "worse 1", "worse 2", "at 2", "last"]
    assert [one.reason for one in found] == texts
    refusals = [one for one in found if isinstance(one, Refusal)]
    assert [(one.after, one.number) for one in refusals] == [(0, 1), (1, 1), (1, 2), (1, 3), (2, 1)]
    assert refusals[2].figures == {"recall": 0.1}
    assert refusals[-1].version == 2
    assert said(registry.promotions()) == [(1, 1, 1, 1), (2, 2, 2, 1)]


def test_groups_know_nothing_of_each_other(new: Make) -> None:
    registry = promoted(new(), 1, 2)
    assert registry.add(made(), "presses") == 1
    registry.promote(1, 7 * HOUR, "its first", "presses")
    registry.refuse("no", group="presses")
    assert said(registry.promotions("presses")) == [(1, 1, 7, 1)]
    assert len(registry.decisions("presses")) == 2
    assert registry.numbers() == [1, 2]
    assert len(registry.decisions()) == 2


# ------------------------------------------------------------------ who scores


@given(st.lists(st.integers(0, 8), max_size=8))
def test_who_scores_is_the_newest_whose_time_has_come(hours: list[int]) -> None:
    every = [Promotion(n, "g", n, hour, "", "", 1, "") for n, hour in enumerate(hours, 1)]
    kept = not_replaced(every)
    for end in range(-1, 10):
        counting = [one for one in every if one.effective_from <= end]
        among = [one for one in kept if one.effective_from <= end]
        assert counting[-1:] == among[-1:]
    assert [one.effective_from for one in kept] == sorted({one.effective_from for one in kept})


@given(st.lists(st.integers(0, 8), max_size=8), st.sets(st.integers(1, 8)))
def test_what_can_be_loaded_scores_what_it_scored_before_others_were_removed(
    hours: list[int], there: set[int]
) -> None:
    every = [Promotion(n, "g", n, hour, "", "", 1, "") for n, hour in enumerate(hours, 1)]
    kept = loadable(every, there)
    assert all(one.version in there for one in kept)
    for end in range(-1, 10):
        scores = [one for one in every if one.effective_from <= end][-1:]
        among = [one for one in kept if one.effective_from <= end][-1:]
        assert among in ([], scores)
    last = not_replaced(every)[-1:]
    assert kept[-1:] == [one for one in last if one.version in there]


def test_an_artifact_does_not_score_before_it_is_promoted(new: Make) -> None:
    registry = new()
    assert registry.add(made()) == 1
    assert registry.promotions() == []
    assert registry.card(1)["group"] == "default"
    assert "effective_from" not in registry.card(1)


def test_the_reference_stays_until_something_is_accepted(new: Make) -> None:
    registry = promoted(new(), 1, 2)
    registry.add(made())
    registry.promote(3, 3 * HOUR, "a new normal", accepted=("m1",))
    promoted(registry, 4)
    assert [one.reference for one in registry.promotions()] == [1, 1, 3, 3]


def test_a_version_published_by_hand_is_its_own_reference(new: Make) -> None:
    registry = promoted(new(), 1)
    version = registry.publish(made(5), 5 * HOUR, "trained from a file")
    assert (version.number, version.promotion, version.reference) == (2, 2, None)
    assert said(registry.promotions())[-1] == (2, 2, 5, 2)
    assert registry.card(2)["promoted"] == "trained from a file"


def test_what_is_not_there_or_not_whole_is_not_promoted(new: Make) -> None:
    registry = promoted(new(), 1)
    with pytest.raises(ArtifactNotFound, match="000002"):
        registry.promote(2, HOUR, "not there")
    registry.add(made())
    with pytest.raises(ArtifactNotFound, match="version 9, which drift would be judged by"):
        registry.promote(2, HOUR, "no such reference", reference=9)
    assert len(registry.promotions()) == 1


def test_half_a_detector_is_not_promoted(tmp_path: Path) -> None:
    registry = promoted(Registry(str(tmp_path)), 1)
    registry.add(made())
    (tmp_path / "default/000002/weights.safetensors").write_bytes(b"half")
    with pytest.raises(ArtifactCorrupt, match=r"weights\.safetensors"):
        registry.promote(2, HOUR, "damaged")
    assert len(registry.promotions()) == 1


def test_a_version_that_was_exchanged_is_not_promoted_again(tmp_path: Path) -> None:
    registry = promoted(Registry(str(tmp_path)), 1, 2)
    Made(99).save(tmp_path / "default/000001")
    with pytest.raises(ArtifactCorrupt, match=r"000001/card\.json was changed.* in promotion 1"):
        registry.rollback()
    assert len(registry.promotions()) == 2


# ------------------------------------------------------------------ two writers


def test_a_decision_about_an_older_state_is_refused(new: Make) -> None:
    registry = promoted(new(), 1)
    registry.add(made())
    registry.promote(2, 2 * HOUR, "knows of the first", after=1)
    with pytest.raises(RegistryConflict, match="promotion 2 came after promotion 1"):
        registry.promote(1, 3 * HOUR, "knew of the first only", after=1)
    with pytest.raises(RegistryConflict, match="after promotion 0"):
        registry.promote(1, 3 * HOUR, "knew of none", after=0)
    assert len(registry.promotions()) == 2


def test_a_file_is_made_once(new: Make) -> None:
    store = new()._store
    store.create("default/promotions/000001.json", b"first")
    with pytest.raises(RegistryConflict, match="another process has made it meanwhile"):
        store.create("default/promotions/000001.json", b"second")
    assert store.read("default/promotions/000001.json") == b"first"


def test_a_file_is_made_once_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    store = LocalStore(tmp_path)
    store.create("g/a.json", b"first")
    with pytest.raises(RegistryConflict):
        store.create("g/a.json", b"second")
    assert store.read_all("g") == {"a.json": b"first"}
    assert [path.name for path in (tmp_path / "g").iterdir()] == ["a.json"]


def test_writers_at_the_same_moment_all_get_numbers_of_their_own(tmp_path: Path) -> None:
    def write(hour: int) -> int:
        registry = Registry(str(tmp_path))
        number = registry.add(made(hour))
        registry.refuse(str(hour))
        registry.promote(number, hour * HOUR, str(hour))
        return number

    with ThreadPoolExecutor(8) as pool:
        numbers = [*pool.map(write, range(16))]
    registry = Registry(str(tmp_path))
    assert sorted(numbers) == registry.numbers() == [*range(1, 17)]
    assert [one.number for one in registry.promotions()] == [*range(1, 17)]
    assert len(registry.decisions()) == 32
    expect_whole(registry)


def test_only_one_of_two_promotions_of_a_number_is_made(
    new: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines may see no lock of each other: then the file decides."""
    monkeypatch.setattr(local_store, "alone", lambda _: nullcontext())
    first = promoted(new(), 1)
    first.add(made())
    second = copy(first)
    second._store = copy(first._store)
    reads = second._store.read_all

    def late(folder: str) -> dict[str, bytes]:
        found = reads(folder)
        if folder.endswith("promotions") and len(first.promotions()) == 1:
            first.promote(2, 2 * HOUR, "the other's")
        return found

    monkeypatch.setattr(second._store, "read_all", late)
    with pytest.raises(RegistryConflict):
        second.promote(1, 3 * HOUR, "too late")
    assert said(first.promotions()) == [(1, 1, 1, 1), (2, 2, 2, 1)]


def test_a_writer_that_does_not_end_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = promoted(Registry(str(tmp_path)), 1)
    monkeypatch.setattr(local_store, "PATIENCE_S", 0.05)
    with local_store.alone(tmp_path / "default"):
        with pytest.raises(RegistryConflict, match="another process has been writing here"):
            registry.refuse("waits in vain")
        assert len(registry.decisions()) == 1  # who reads does not wait


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "registry").write_text("")
    with pytest.raises(OutputError, match="a file stands where a folder is wanted"):
        Registry(str(tmp_path / "registry")).add(made())


# ------------------------------------------------------------------ back


def test_a_rollback_takes_effect_from_when_on_what_it_undoes_did(new: Make) -> None:
    registry = promoted(new(), 1, 2, 3)
    one = registry.rollback(reason="too many alarms")
    assert (one.number, one.version, one.effective_from) == (4, 2, 3 * HOUR)
    assert one.reason == "back from version 3 of promotion 3: too many alarms"
    assert [p.version for p in not_replaced(registry.promotions())] == [1, 2, 2]


def test_another_rollback_goes_back_one_more(new: Make) -> None:
    registry = promoted(new(), 1, 2, 3)
    assert [registry.rollback().version for _ in range(2)] == [2, 1]
    with pytest.raises(ArtifactNotFound, match="no version to go back to"):
        registry.rollback()
    promoted(registry, 4)
    assert registry.rollback().version == 1


def test_a_rollback_to_a_version_that_scored(new: Make) -> None:
    registry = promoted(new(), 1, 2, 3)
    registry.add(made())  # version 4 was never promoted
    assert registry.rollback(to=1).version == 1
    for number in (1, 4, 9):  # scores now, never scored, is not there
        with pytest.raises(ArtifactNotFound, match=f"of number {number}; .* before: 2, 3"):
            registry.rollback(to=number)


def test_a_rollback_takes_back_a_promotion_by_hand(new: Make) -> None:
    """Versions 1, 2, 3 scored, then 1 was promoted by hand: before that scored 3, then 2."""
    registry = promoted(new(), 1, 2, 3)
    registry.promote_by_hand(1)
    assert [registry.rollback().version for _ in range(3)] == [3, 2, 1]
    with pytest.raises(ArtifactNotFound, match="no version to go back to"):
        registry.rollback()


@pytest.mark.parametrize(
    ("acts", "scored"),
    [
        ("new new back new back", [1, 2, 1, 3, 1]),  # neither 3 nor 2: both were taken back
        ("new new new back hand1 back back", [1, 2, 3, 2, 1, 2, 1]),
        ("new new hand1 hand2 back back back", [1, 2, 1, 2, 1, 2, 1]),
        ("new new new to1 to3 back", [1, 2, 3, 1, 3, 1]),
        ("new new new new to2 back", [1, 2, 3, 4, 2, 1]),
        ("new again new again back", [1, 1, 2, 2, 1]),
        ("new new new back back new back hand3 back", [1, 2, 3, 2, 1, 4, 1, 3, 1]),
    ],
)
def test_each_rollback_goes_to_what_scored_before_what_it_takes_back(
    new: Make, acts: str, scored: list[int]
) -> None:
    registry = new()
    for act in acts.split():
        if act == "new":
            promoted(registry, 5)
        elif act == "again":
            now = registry.promotions()[-1]
            registry.promote(now.version, now.effective_from, "once more")
        elif act == "back":
            registry.rollback()
        elif act.startswith("hand"):
            registry.promote_by_hand(int(act[-1]))
        else:
            registry.rollback(to=int(act[-1]))
    assert [one.version for one in registry.promotions()] == scored


def test_the_version_before_that_retention_removed_is_told(tmp_path: Path) -> None:
    registry = promoted(Registry(str(tmp_path)), 1, 2, 3, 4, 5, 6)
    registry.retain(2)
    assert registry.rollback().version == 5
    with pytest.raises(
        ArtifactNotFound,
        match=r"version 4, .* removed \(registry.keep\); .*: 1, 2 \(removed\), .* 6$",
    ):
        registry.rollback()
    assert registry.rollback(to=1).version == 1


def test_a_rollback_brings_its_reference_back(new: Make) -> None:
    registry = promoted(new(), 1)
    registry.add(made())
    registry.promote(2, 2 * HOUR, "a new normal", accepted=("*",))
    back = registry.rollback()
    assert (back.reference, back.accepted) == (1, ())
    assert registry.rollback(to=2).reference == 2


def test_nothing_to_go_back_to_in_an_empty_registry(new: Make) -> None:
    with pytest.raises(ArtifactNotFound, match="versions that scored before: none"):
        new().rollback()


def test_a_promotion_by_hand_begins_after_what_was_learned_and_what_scores(new: Make) -> None:
    registry = promoted(new(), 5)
    late, early = registry.add(made(9)), registry.add(made(2))
    assert registry.promote_by_hand(late, "it is good").effective_from == 9 * HOUR + 1
    assert registry.promote_by_hand(early).effective_from == 9 * HOUR + 1
    with pytest.raises(ConfigError, match="another version of default: it scores since"):
        registry.promote_by_hand(early)


# ------------------------------------------------------------------ retention


ACT = st.sampled_from(["new", "accept", "back", "add"])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(ACT, st.integers(0, 6)), max_size=12), st.integers(1, 4))
def test_retention_leaves_all_that_scores_and_all_that_a_rollback_needs(
    acts: list[tuple[str, int]], keep: int
) -> None:
    with TemporaryDirectory() as folder:
        registry = Registry(folder)
        for act, hour in acts:
            if act == "back":
                if len(standing(registry.promotions())) > 1:
                    registry.rollback()
            else:
                number = registry.add(made(hour))
                accepted = ("*",) if act == "accept" else ()
                if act != "add":
                    registry.promote(number, hour * HOUR, act, accepted=accepted)
        before, every = registry.numbers(), registry.promotions()
        removed, left = registry.retain(keep), registry.numbers()
        assert sorted(removed + left) == before
        assert left[-keep:] == before[-keep:]
        assert registry.promotions() == every
        for one in [*every[-1:], *loadable(every, {*left})]:
            assert {one.version, one.reference} <= {*left}
        assert registry.retain(keep) == []
        if len(standing(every)) > 1:
            registry.rollback()
        expect_whole(registry)


def test_retention_removes_the_oldest(new: Make) -> None:
    registry = promoted(new(), 1, 2, 3, 4, 5, 6)
    assert registry.retain(2) == [2, 3, 4]
    assert registry.numbers() == [1, 5, 6]  # drift is judged by the first
    assert len(registry.decisions()) == 6
    with pytest.raises(ArtifactError):
        registry.rollback(to=3)
    assert registry.rollback().version == 5


def test_numbers_are_never_used_again(new: Make) -> None:
    registry = promoted(new(), 1, 2)
    registry._store.remove("default/000002")
    assert registry.add(made()) == 3


# ------------------------------------------------------------------ from before promotions


def old(folder: Path, *hours: int) -> Registry:
    """Make a registry as it was written before there were promotions."""
    for number, hour in enumerate(hours, 1):
        extra = {"version": number, "effective_from": hour * HOUR, "promoted": f"refit {number}"}
        Made(hour).save(folder / f"default/{number:06d}", **extra)
    return Registry(str(folder))


def test_versions_from_before_are_promotions_of_their_own(tmp_path: Path) -> None:
    registry = old(tmp_path, 3, 1, 2)
    assert said(registry.promotions()) == [(1, 1, 3, 1), (2, 2, 1, 2), (3, 3, 2, 3)]
    assert [one.reason for one in registry.promotions()] == ["refit 1", "refit 2", "refit 3"]
    assert [one.version for one in not_replaced(registry.promotions())] == [2, 3]


def test_promotions_count_on_from_versions_from_before(tmp_path: Path) -> None:
    registry = promoted(old(tmp_path, 1, 2), 3)
    assert said(registry.promotions()) == [(1, 1, 1, 1), (2, 2, 2, 2), (3, 3, 3, 2)]
    assert registry.rollback(to=1).reference == 1
    assert registry.retain(1) == [2]
    promoted(registry, 4, 5, 6)
    assert registry.retain(2) == [3, 4]  # what scores is judged by the first since the rollback
    assert said(registry.promotions())[:3] == [(1, 1, 1, 1), (3, 3, 3, 2), (4, 1, 3, 1)]


# ------------------------------------------------------------------ deaths


def publish(registry: Registry) -> None:
    registry.publish(made(9), 9 * HOUR, "published")


ACTS: dict[str, Callable[[Registry], object]] = {
    "publish": publish,
    "refuse": lambda registry: registry.refuse("no"),
    "rollback": lambda registry: registry.rollback(),
    "retain": lambda registry: registry.retain(1),
}


@pytest.mark.parametrize(
    ("act", "hours"),
    [("publish", ()), ("refuse", ()), *((act, (1, 2, 3, 4)) for act in ACTS)],
    ids=str,
)
def test_a_death_at_any_step_leaves_what_was_before_or_what_is_after(
    tmp_path: Path, hours: tuple[int, ...], act: str
) -> None:
    before = promoted(Registry(str(tmp_path / "before")), *hours)
    (tmp_path / "before").mkdir(exist_ok=True)
    after = Registry(str(shutil.copytree(tmp_path / "before", tmp_path / "after")))
    ACTS[act](after)
    for step in count(1):
        folder = tmp_path / f"step{step}"
        shutil.copytree(tmp_path / "before", folder)
        with dying(step) as death:
            ACTS[act](Registry(str(folder)))
        registry = Registry(str(folder))
        states = [said(one.promotions()) for one in (before, after)]
        assert said(registry.promotions()) in states
        assert {*registry.numbers()} <= {*before.numbers(), *after.numbers()}
        assert len(registry.decisions()) in {len(before.decisions()), len(after.decisions())}
        expect_whole(registry)
        publish(registry)
        assert not list(folder.rglob(".*"))
        assert registry.promotions()[-1].effective_from == 9 * HOUR
        expect_whole(registry)
        if not death.came:
            break
    assert step > 5
