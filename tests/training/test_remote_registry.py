"""A registry behind a URI: fetched, verified, cached; and a store that is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import numpy as np
import pytest

from stream_ad.detector import Detector
from stream_ad.errors import (
    ArtifactCorrupt,
    ArtifactError,
    ArtifactMismatch,
    ArtifactNotFound,
    ConfigError,
    MissingDependency,
    OutputError,
    RegistryConflict,
    RegistryError,
)
from stream_ad.training import remote_store
from stream_ad.training.registry import Registry
from stream_ad.training.remote_store import RemoteStore
from stream_ad.training.shelf import MOST_LOADED, Shelved
from stream_ad.windows import WindowSpec
from tests.training.registries import (
    CONFIG,
    HOUR,
    LENGTH,
    SPEC,
    Death,
    Died,
    expect_whole,
    fitted,
    made,
    promoted,
    said,
)

WEIGHTS, CARD = "weights.safetensors", "card.json"


@pytest.fixture
def uri() -> Iterator[str]:
    root = f"/{uuid4().hex}"
    yield f"memory:/{root}/models"
    memory = fsspec.filesystem("memory")
    if memory.exists(root):
        memory.rm(root, recursive=True)


def files(uri: str) -> dict[str, bytes]:
    memory = fsspec.filesystem("memory")
    root = memory._strip_protocol(uri)
    return {path.removeprefix(f"{root}/"): memory.cat_file(path) for path in memory.find(root)}


def change(uri: str, name: str, data: bytes) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file(f"{memory._strip_protocol(uri)}/default/{name}", data)


# ------------------------------------------------------------------ there and back


def test_files_come_first_the_card_last_then_the_promotion(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put: list[str] = []
    registry = Registry(uri, tmp_path)
    store = registry._store
    assert isinstance(store, RemoteStore)
    for name in ("put_file", "pipe_file"):
        monkeypatch.setattr(store._fs, name, noting(put, getattr(store._fs, name), name))
    promoted(registry, 1)
    names = [path.rpartition("default/")[2] for path in put]
    assert names[0] == "000001/claimed"
    assert sorted(names[1:3]) == ["000001/arrays.safetensors", "000001/weights.safetensors"]
    assert names[3:] == ["000001/card.json", "promotions/000001.json"]


def noting(put: list[str], act: Callable[..., Any], name: str) -> Callable[..., Any]:
    def noted(*args: Any, **options: Any) -> Any:
        put.append(args[1 if name == "put_file" else 0])
        return act(*args, **options)

    return noted


def test_another_machine_fetches_what_was_put(uri: str, tmp_path: Path) -> None:
    promoted(Registry(uri, tmp_path / "a"), 1, 2)
    other = Registry(uri, tmp_path / "b")
    folder = other.folder(2)
    assert folder.is_relative_to(tmp_path / "b")
    ours = {path.name: path.read_bytes() for path in folder.iterdir()}
    there = files(uri)
    assert sorted(ours) == ["arrays.safetensors", CARD, WEIGHTS]
    assert ours == {name: there[f"default/000002/{name}"] for name in ours}
    assert said(other.promotions()) == [(1, 1, 1, 1), (2, 2, 2, 1)]


def test_what_is_in_the_cache_is_not_fetched_again(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(Registry(uri, tmp_path), 1)
    other = Registry(uri, tmp_path)
    store = other._store
    assert isinstance(store, RemoteStore)
    monkeypatch.setattr(store._fs, "get_file", None)
    assert (other.folder(1) / CARD).is_file()


def test_a_damaged_copy_in_the_cache_is_fetched_anew(uri: str, tmp_path: Path) -> None:
    registry = promoted(Registry(uri, tmp_path), 1)
    (registry.folder(1) / WEIGHTS).write_bytes(b"half")
    folder = registry.folder(1)
    assert (folder / WEIGHTS).read_bytes() == files(uri)[f"default/000001/{WEIGHTS}"]


def test_another_registry_of_that_uri_has_nothing_from_the_one_before(
    uri: str, tmp_path: Path
) -> None:
    promoted(Registry(uri, tmp_path), 1)
    memory = fsspec.filesystem("memory")
    memory.rm(memory._strip_protocol(uri), recursive=True)
    promoted(Registry(uri, tmp_path / "other"), 7)
    registry = Registry(uri, tmp_path)
    expect_whole(registry)
    assert (registry.folder(1) / CARD).read_bytes() == files(uri)[f"default/000001/{CARD}"]


def test_the_cache_keeps_what_the_registry_keeps(uri: str, tmp_path: Path) -> None:
    writer, reader = Registry(uri, tmp_path / "a"), Registry(uri, tmp_path / "b")
    for hour in range(1, 7):
        promoted(writer, hour)
        reader.folder(hour)
    assert writer.retain(2) == [2, 3, 4]
    promoted(writer, 7)
    reader.folder(7)
    for machine in ("a", "b"):
        kept = {path.name for path in (tmp_path / machine).glob("*/default/*")}
        assert kept == {"000001", "000005", "000006", "000007"}


def test_the_cache_lies_in_the_folder_of_the_user(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    folder = promoted(Registry(uri), 1).folder(1)
    assert folder.is_relative_to(tmp_path / "xdg/stream-ad/models")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Registry(uri).folder(1).is_relative_to(tmp_path / "home/.cache/stream-ad/models")


def test_a_store_of_folders_will_do(tmp_path: Path) -> None:
    """Some stores have folders that must be there before their files."""
    registry = promoted(Registry(f"local://{tmp_path}/models", tmp_path / "cache"), 1, 2, 3, 4)
    assert isinstance(registry._store, RemoteStore)
    assert registry.retain(2) == [2]
    registry.refuse("no")
    there = sorted(path.name for path in (tmp_path / "models/default").iterdir())
    assert there == ["000001", "000003", "000004", "promotions", "refusals"]
    expect_whole(Registry(f"local://{tmp_path}/models", tmp_path / "other"))


def test_a_user_without_a_home_is_told(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(OutputError, match="set XDG_CACHE_HOME"):
        Registry(uri)


# ------------------------------------------------------------------ what is not trusted


@pytest.mark.parametrize("name", [WEIGHTS, "arrays.safetensors", CARD])
def test_what_was_damaged_on_the_way_is_refused(uri: str, tmp_path: Path, name: str) -> None:
    promoted(Registry(uri, tmp_path / "a"), 1)
    data = bytearray(files(uri)[f"default/000001/{name}"])
    data[len(data) // 2] ^= 1
    change(uri, f"000001/{name}", bytes(data))
    with pytest.raises(ArtifactCorrupt, match=f"{uri}/default/000001, as it was fetched: .*{name}"):
        Registry(uri, tmp_path / "b").folder(1)
    assert not list((tmp_path / "b").glob("*/default/0*"))


def test_an_exchanged_artifact_is_not_the_promoted_one(uri: str, tmp_path: Path) -> None:
    registry = promoted(Registry(uri, tmp_path / "a"), 1, 2)
    there = files(uri)
    for name in (WEIGHTS, "arrays.safetensors", CARD):
        change(uri, f"000001/{name}", there[f"default/000002/{name}"])
    other = Registry(uri, tmp_path / "b")
    with pytest.raises(ArtifactCorrupt, match=r"000001/card\.json was changed"):
        other.load(SPEC, CONFIG)
    with pytest.raises(ArtifactCorrupt, match=r"000001/card\.json was changed"):
        registry.rollback()


def test_a_missing_file_is_told(uri: str, tmp_path: Path) -> None:
    promoted(Registry(uri, tmp_path / "a"), 1)
    memory = fsspec.filesystem("memory")
    memory.rm(f"{memory._strip_protocol(uri)}/default/000001/{WEIGHTS}")
    with pytest.raises(ArtifactNotFound, match=WEIGHTS):
        Registry(uri, tmp_path / "b").folder(1)


# ------------------------------------------------------------------ a store that is not there


class Away(Exception):
    """What a store's own client raises."""


@pytest.mark.parametrize(
    "ask",
    [
        lambda registry: registry.numbers(),
        lambda registry: registry.promotions(),
        lambda registry: registry.folder(1),
        lambda registry: registry.card(1),
        lambda registry: registry.add(made()),
        lambda registry: registry.promote(1, 0, "no"),
        lambda registry: registry.rollback(),
        lambda registry: registry.retain(2),
        lambda registry: registry.load(SPEC, CONFIG),
    ],
)
@pytest.mark.parametrize("error", [Away("no route to host"), OSError(110, "Timed out"), Away()])
def test_a_store_that_cannot_be_reached_is_one_error(
    uri: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ask: Callable[[Registry], object],
    error: Exception,
) -> None:
    registry = promoted(Registry(uri, tmp_path), 1, 2)
    store = registry._store
    assert isinstance(store, RemoteStore)

    def away(*_: Any, **__: Any) -> None:
        raise error

    for name in ("find", "ls", "cat", "cat_file", "exists", "pipe_file", "put_file", "get_file"):
        monkeypatch.setattr(store._fs, name, away)
    with pytest.raises(RegistryError, match=f"{uri}.*: cannot be reached") as caught:
        ask(registry)
    assert caught.value.__cause__ is error
    assert isinstance(caught.value, ArtifactError)
    monkeypatch.undo()
    assert len(registry.promotions()) == 2


def test_a_package_that_is_missing_is_named(tmp_path: Path) -> None:
    fsspec.register_implementation(
        "absent", "no_such_module.FileSystem", clobber=True, errtxt="Install no_such_module"
    )
    with pytest.raises(MissingDependency, match=r"registry\.uri = 'absent://x': Install no_such"):
        Registry("absent://x", tmp_path)


def test_a_uri_that_nobody_knows_is_refused_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"registry\.uri = 'nowhere://host/x'") as caught:
        Registry("nowhere://user:secret@host/x", tmp_path)
    assert "secret" not in str(caught.value)


# ------------------------------------------------------------------ deaths and other writers


ACTS: dict[str, Callable[[Registry], object]] = {
    "publish": lambda registry: registry.publish(made(9), 9 * HOUR, "published"),
    "rollback": lambda registry: registry.rollback(),
    "retain": lambda registry: registry.retain(1),
}


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("act", ACTS)
def test_a_death_at_any_step_leaves_what_was_before_or_what_is_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str, done: bool
) -> None:
    after = promoted(Registry(f"memory://{uuid4().hex}/m", tmp_path / "after"), 1, 2, 3, 4)
    ACTS[act](after)
    for step in count(1):
        uri = f"memory://{uuid4().hex}/m"
        promoted(Registry(uri, tmp_path / f"{step}"), 1, 2, 3, 4)
        dead = Registry(uri, tmp_path / f"{step}")
        death = mortal(dead, step, done=done)
        with suppress(Died):
            ACTS[act](dead)
        registry = Registry(uri, tmp_path / f"{step}")
        states = [[(n, n, n, 1) for n in (1, 2, 3, 4)], said(after.promotions())]
        assert said(registry.promotions()) in states
        expect_whole(registry)
        monkeypatch.setattr(remote_store, "LEFT_OVER_S", 0.0)
        ACTS["publish"](registry)
        expect_whole(registry)
        there = {name.split("/")[1] for name in files(uri) if "/0" in name.partition("default")[2]}
        assert there - {"promotions"} == {f"{number:06d}" for number in registry.numbers()}
        if not death.came:
            break
    assert step > 1


def mortal(registry: Registry, step: int, *, done: bool) -> Death:
    """Let the process die at the n-th change in the store, or right after it."""
    death, store = Death(step), registry._store
    assert isinstance(store, RemoteStore)

    class Mortal:
        def __init__(self, fs: Any) -> None:
            self._fs = fs

        def __getattr__(self, name: str) -> Any:
            act = getattr(self._fs, name)
            if name not in {"pipe_file", "put_file", "rm_file"}:
                return act
            return then_dying(death, act) if done else death.before(act)

    store._fs = Mortal(store._fs)
    return death


def then_dying(death: Death, act: Callable[..., Any]) -> Callable[..., Any]:
    def step(*args: Any, **options: Any) -> Any:
        if not death.came:
            act(*args, **options)
        return death.before(lambda: None)()

    return step


def test_a_number_that_somebody_claims_is_left_to_them(uri: str, tmp_path: Path) -> None:
    registry = promoted(Registry(uri, tmp_path), 1)
    registry._store.create("default/000002/claimed", b"2200-01-01T00:00:00Z somebody")
    assert registry.numbers() == [1]
    assert registry.add(made()) == 3
    with pytest.raises(RegistryConflict, match="000002/claimed: another process"):
        registry._store.add("default/000002", made().save)
    assert "default/000002/claimed" in files(uri)


def test_a_claim_that_nobody_follows_up_is_cleared(uri: str, tmp_path: Path) -> None:
    registry = promoted(Registry(uri, tmp_path), 1)
    registry._store.create("default/000002/claimed", b"2020-01-01T00:00:00Z somebody")
    change(uri, "000002/weights.safetensors", b"half")
    registry.refuse("any writer")
    assert not [name for name in files(uri) if "000002" in name]


def test_our_own_first_try_is_no_other_writer(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client may try again by itself after an answer that was lost."""
    registry = promoted(Registry(uri, tmp_path), 1)
    store = registry._store
    assert isinstance(store, RemoteStore)
    pipe = store._fs.pipe_file

    def twice(path: str, data: bytes, mode: str = "overwrite") -> None:
        pipe(path, data, mode=mode)
        pipe(path, data, mode=mode)

    monkeypatch.setattr(store._fs, "pipe_file", twice)
    registry.refuse("once")
    assert len(registry.decisions()) == 2


# ------------------------------------------------------------------ scores


@pytest.fixture(scope="module")
def detectors() -> list[Detector]:
    return [fitted(seed) for seed in range(7)]


@pytest.mark.parametrize("remote", [False, True], ids=["folder", "memory"])
def test_many_versions_score_with_few_detectors_in_memory(
    uri: str, tmp_path: Path, detectors: list[Detector], remote: bool
) -> None:
    registry = Registry(uri if remote else str(tmp_path / "r"), tmp_path / "cache")
    for n, detector in enumerate(detectors, 1):
        registry.promote(registry.add(detector), n * HOUR, "a test")
    registry = Registry(uri if remote else str(tmp_path / "r"), tmp_path / "elsewhere")
    versions = registry.load(SPEC, CONFIG)
    assert [(v.number, v.promotion, v.effective_from) for v in versions] == [
        (n, n, n * HOUR) for n in range(1, 8)
    ]
    values = np.random.default_rng(9).normal(size=(30, LENGTH, 2)).astype(np.float32)
    start = np.arange(30, dtype=np.int64) * SPEC.hop_ns
    for version, detector in [*zip(versions, detectors, strict=True)] * 2:
        assert isinstance(version.detector, Shelved)
        plain = detector.set_budget(CONFIG.alarm)
        assert (version.detector.score(values, start).raw == plain.score(values, start).raw).all()
        assert version.detector.line_.line == plain.line_.line
        assert version.detector.channels == plain.channels
        assert len(registry._few["default"]) <= MOST_LOADED
    references = [v.reference and (v.reference.number, v.reference.promotion) for v in versions]
    assert references == [None] + [(1, 1)] * 6


def test_the_reference_brings_what_was_accepted_with_it(
    tmp_path: Path, detectors: list[Detector]
) -> None:
    registry = Registry(str(tmp_path))
    for n, accepted in enumerate([(), ("m1",), (), ()]):
        number = registry.add(detectors[n])
        registry.promote(number, n * HOUR, "a test", accepted=accepted)
    registry.rollback()
    last = registry.version(registry.promotions()[-1], SPEC, CONFIG)
    assert (last.number, last.promotion, last.accepted) == (3, 5, frozenset())
    assert last.reference is not None
    assert (last.reference.number, last.reference.accepted) == (2, frozenset({"m1"}))
    again = registry.version(registry.rollback(to=2), SPEC, CONFIG)
    assert (again.number, again.reference, again.accepted) == (2, None, frozenset())


def test_versions_that_were_removed_and_those_before_them_are_not_loaded(
    tmp_path: Path, detectors: list[Detector]
) -> None:
    registry = Registry(str(tmp_path))
    for n in range(1, 7):
        registry.promote(registry.add(detectors[n]), n * HOUR, "a test")
    assert registry.retain(2) == [2, 3, 4]
    assert [version.number for version in registry.load(SPEC, CONFIG)] == [5, 6]


def test_a_version_of_another_grid_is_refused(tmp_path: Path, detectors: list[Detector]) -> None:
    registry = Registry(str(tmp_path))
    registry.promote(registry.add(detectors[0]), 0, "a test")
    assert len(registry.load(SPEC, CONFIG)) == 1
    other = WindowSpec.from_config(CONFIG.windows.model_copy(update={"hop": 2}))
    with pytest.raises(ArtifactMismatch, match=r"default/000001: .*hop.*a registry of their own"):
        registry.load(other, CONFIG)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    registry = Registry(str(tmp_path))
    with pytest.raises(ArtifactNotFound, match="stream-ad train FILE"):
        registry.load(SPEC, CONFIG)
    registry.add(made())
    with pytest.raises(ArtifactNotFound, match="stream-ad models promote 1"):
        registry.load(SPEC, CONFIG)
