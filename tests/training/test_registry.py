"""Train into a registry, replay with it: who scores which window, and who is not trusted."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from stream_ad.detector import Detector
from stream_ad.detector.artifact import sealed
from stream_ad.errors import ConfigError
from stream_ad.training.registry import Registry
from tests.cli.command import good, metrics, refused, scores
from tests.cli.recordings import HOP, LEARNED, LENGTH, STEPS, text_of, write_config, write_csv
from tests.cli.recordings import plant as rows_of_plant
from tests.conftest import Plant


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def with_registry(folder: Path, uri: Path, **sections: Any) -> Path:
    return write_config(folder / "c.yaml", registry={"uri": str(uri)}, **sections)


def test_a_registry_scores_what_ends_after_its_history(plant: Plant, tmp_path: Path) -> None:
    """The history ends at step 159, so the first window is the one that ends at step 160."""
    good("replay", plant.recording, "-c", plant.scoring, "-o", tmp_path)
    found, said = scores(tmp_path), metrics(tmp_path)["windows"]
    assert min(start for _, start in found) == text_of(LEARNED - LENGTH)
    assert said["scored"] == len(found) == 3 * ((STEPS - LEARNED) // HOP)
    assert said["before_model"] == said["closed"] - said["scored"] > 0
    assert not (tmp_path / "model").exists()


def test_the_same_detector_trained_by_a_replay_gives_the_same_scores(
    plant: Plant, tmp_path: Path
) -> None:
    until = 3 * LEARNED
    good("replay", plant.recording, "-c", plant.learning, "-o", tmp_path, "--train-until", until)
    assert scores(tmp_path) == plant.clean


def test_training_takes_the_whole_file_by_default(plant: Plant, tmp_path: Path) -> None:
    said = good("train", plant.recording, "-c", plant.learning, "-o", tmp_path / "r").out
    assert f"{text_of(STEPS - 1).removesuffix('Z')}.000000001Z" in said
    good("replay", plant.recording, "-c", with_registry(tmp_path, tmp_path / "r"), "-o", tmp_path)
    assert scores(tmp_path) == {}


def test_the_share_that_is_history_is_a_matter_of_replays(plant: Plant, tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.yaml", training={"history_share": 0.4})
    assert (
        text_of(STEPS - 1)[:-1] in good("train", plant.recording, "-c", config, "-o", tmp_path).out
    )


@pytest.fixture(scope="session")
def two(plant: Plant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a registry of two versions; the second one takes effect at step 240."""
    registry = tmp_path_factory.mktemp("two") / "registry"
    shutil.copytree(plant.registry, registry)
    config = write_config(registry.parent / "seed.yaml", detector={"seed": 5})
    arguments = ("train", plant.recording, "-c", config, "-o", registry)
    assert "version 2" in good(*arguments, "--train-until", 3 * 240).out
    return registry


def test_versions_switch_by_the_end_of_the_window(plant: Plant, two: Path, tmp_path: Path) -> None:
    good("replay", plant.recording, "-c", with_registry(tmp_path, two), "-o", tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    for row in rows:
        assert row["model_version"] == ("2" if row["window_end"] >= text_of(240) else "1")
    found = scores(tmp_path / "out")
    first = {(r["machine_id"], r["window_start"]) for r in rows if r["model_version"] == "1"}
    assert found.keys() == plant.clean.keys()
    assert {key: found[key] for key in first} == {key: plant.clean[key] for key in first}
    assert all(found[key] != plant.clean[key] for key in found.keys() - first)


def test_a_later_version_that_takes_effect_earlier_replaces_the_one_before(
    plant: Plant, two: Path, tmp_path: Path
) -> None:
    """Version 3 learned the shorter past: from its time on it is the newest."""
    registry = shutil.copytree(two, tmp_path / "registry")
    good("train", plant.recording, "-c", plant.learning, "-o", registry, "--train-until", 3 * 200)
    good("replay", plant.recording, "-c", with_registry(tmp_path, registry), "-o", tmp_path / "o")
    for row in rows_of(tmp_path / "o"):
        assert row["model_version"] == ("3" if row["window_end"] >= text_of(200) else "1")


def test_the_registry_of_an_unfinished_run_may_not_change(
    plant: Plant, two: Path, tmp_path: Path
) -> None:
    from stream_ad.errors import StateError
    from stream_ad.replay import ReplayOptions, replay
    from stream_ad.transport.base import Outputs

    def cut_off(_: Outputs) -> None:
        raise InterruptedError

    from stream_ad.config import load_config

    registry = shutil.copytree(plant.registry, tmp_path / "registry")
    config = load_config(with_registry(tmp_path, registry), {})
    options = ReplayOptions(plant.recording, tmp_path / "out", checkpoint_s=0)
    with pytest.raises(InterruptedError):
        replay(options, config, watch=cut_off)
    for name in ("000002", "promotions/000002.json"):
        _copy(two / "default" / name, registry / "default" / name)
    with pytest.raises(StateError, match="another detector"):
        replay(options, config)


def _copy(path: Path, to: Path) -> None:
    if path.is_dir():
        shutil.copytree(path, to)
    else:
        shutil.copy(path, to)


def test_a_version_that_is_not_promoted_scores_nothing(
    plant: Plant, two: Path, tmp_path: Path
) -> None:
    registry = shutil.copytree(two, tmp_path / "registry")
    (registry / "default" / "promotions" / "000002.json").unlink()
    good("replay", plant.recording, "-c", with_registry(tmp_path, registry), "-o", tmp_path / "out")
    assert scores(tmp_path / "out") == plant.clean


def from_before(registry: Path) -> Path:
    """Make of a registry one from before promotions: versions say themselves when they score."""
    shutil.rmtree(registry / "default" / "promotions")
    for folder in (registry / "default").iterdir():
        card(group=None)(folder)
    return registry


def test_a_registry_from_before_promotions_scores_as_it_did(
    plant: Plant, two: Path, tmp_path: Path
) -> None:
    registry = from_before(shutil.copytree(two, tmp_path / "registry"))
    for uri, out in ((two, "now"), (registry, "before")):
        good("replay", plant.recording, "-c", with_registry(tmp_path, uri), "-o", tmp_path / out)
    assert (tmp_path / "now/scores.csv").read_bytes() == (
        tmp_path / "before/scores.csv"
    ).read_bytes()


# --- what is not trusted ---


def flip(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)

    return change


def halve(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return change


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def swap(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes((folder.with_name("000002") / name).read_bytes())

    return change


def card(**keys: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        tree = orjson.loads((folder / "card.json").read_bytes())
        for key, value in keys.items():
            if value is None:
                del tree[key]
            else:
                tree[key] = value
        (folder / "card.json").write_bytes(sealed(tree))

    return change


def one_digit(folder: Path) -> None:
    """Change a setting in the card and nothing else."""
    text = (folder / "card.json").read_text()
    assert '"k": 10' in text
    (folder / "card.json").write_text(text.replace('"k": 10', '"k": 3'))


def garbage(folder: Path) -> None:
    """Give both tensor files other content, with digests that fit."""
    import hashlib

    digest = hashlib.sha256(b"no tensors").hexdigest()
    names = ("weights.safetensors", "arrays.safetensors")
    for name in names:
        (folder / name).write_bytes(b"no tensors")
    card(files={name: {"sha256": digest} for name in names})(folder)


WEIGHTS, ARRAYS, CARD = "weights.safetensors", "arrays.safetensors", "card.json"
UNFIT = "card and files do not fit each other"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (flip(WEIGHTS), WEIGHTS),
        (flip(ARRAYS), ARRAYS),
        (halve(WEIGHTS), WEIGHTS),
        (halve(ARRAYS), ARRAYS),
        (halve(CARD), CARD),
        (remove(WEIGHTS), WEIGHTS),
        (remove(ARRAYS), ARRAYS),
        (remove(CARD), CARD),
        (swap(WEIGHTS), WEIGHTS),
        (swap(ARRAYS), ARRAYS),
        (garbage, "not a safetensors file"),
        (card(format=99), "format 99"),
        (card(format=None), "format None"),
        (card(files={}), "SHA-256"),
        (card(files=[]), CARD),
        (one_digit, CARD),
        (card(effective_from=None), "effective_from = None"),
        (card(effective_from="soon"), "effective_from = 'soon'"),
        (card(effective_from=1.5), "effective_from = 1.5"),
        (card(windows=None), UNFIT),
        (card(windows={}), UNFIT),
        (card(sensors=[]), UNFIT),
        (card(sensors=None), UNFIT),
        (card(line=None), UNFIT),
        (card(line={}), UNFIT),
    ],
)
def test_an_artifact_that_is_not_whole_is_refused(
    plant: Plant, two: Path, tmp_path: Path, change: Callable[[Path], None], words: str
) -> None:
    """No promotion knows its digest here, and what is wrong is found all the same."""
    registry = from_before(shutil.copytree(two, tmp_path / "registry"))
    change(registry / "default" / "000001")
    config = with_registry(tmp_path, registry)
    assert words in refused("replay", plant.recording, "-c", config, "-o", tmp_path / "out")
    assert not (tmp_path / "out" / "metrics.json").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (card(effective_from=0), "card.json was changed"),
        (card(settings=None), "card.json was changed"),
        (halve(CARD), "card.json was changed"),
        (remove(CARD), CARD),
        (swap(CARD), "card.json was changed"),
        (flip(WEIGHTS), WEIGHTS),
        (remove(ARRAYS), ARRAYS),
        (swap(ARRAYS), ARRAYS),
    ],
)
def test_an_artifact_that_is_not_the_promoted_one_is_refused(
    plant: Plant, two: Path, tmp_path: Path, change: Callable[[Path], None], words: str
) -> None:
    registry = shutil.copytree(two, tmp_path / "registry")
    change(registry / "default" / "000001")
    config = with_registry(tmp_path, registry)
    said = refused("replay", plant.recording, "-c", config, "-o", tmp_path / "out")
    assert words in said
    assert "000001" in said


@pytest.mark.parametrize(
    ("windows", "words"),
    [
        ({"sensors": ["a", "b"]}, "sensors"),
        ({"sensors": ["a", "c", "b"]}, "sensors"),
        ({"sensors": ["a", "b", "c", "d"]}, "sensors"),
        ({"length": 16}, "windows.length 8 slots, not 16 slots"),
        ({"period_s": 30}, "windows.period_s 60.0, not 30.0"),
        ({"hop": 2}, "windows.hop 4 slots, not 2 slots"),
    ],
)
def test_a_detector_of_other_windows_is_refused(
    plant: Plant, tmp_path: Path, windows: dict[str, Any], words: str
) -> None:
    file = write_csv(tmp_path / "a.csv", [[*r, "0"] for r in rows_of_plant()], [*"abcd"])
    config = with_registry(tmp_path, plant.registry, windows=windows)
    for command in ("replay", "train"):
        out = tmp_path / "out" if command == "replay" else plant.registry
        said = refused(command, file, "-c", config, "-o", out)
        assert words in said
        assert f"{plant.registry / 'default' / '000001'}: " in said
        assert "train into a new folder and name that one in registry.uri" in said
    assert Registry(str(plant.registry)).numbers() == [1]


def beside(plant: Plant, folder: Path, until: int) -> Path:
    """Put a second version beside the first one, made for windows that come twice as often."""
    config = write_config(folder / "hop.yaml", windows={"hop": HOP // 2})
    arguments = ("train", plant.recording, "-c", config, "-o", folder / "other")
    good(*arguments, "--train-until", 3 * until)
    registry = shutil.copytree(plant.registry, folder / "registry")
    detector = Detector.load(folder / "other/default/000001")
    Registry(str(registry)).publish(detector, detector.card["effective_from"], "for a test")
    return registry


def test_a_version_that_never_scores_may_be_of_other_windows(plant: Plant, tmp_path: Path) -> None:
    """The second one learned no later past, so the first one is replaced for good."""
    registry = beside(plant, tmp_path, LEARNED)
    config = with_registry(tmp_path, registry, windows={"hop": HOP // 2})
    good("replay", plant.recording, "-c", config, "-o", tmp_path / "out")
    assert {row["model_version"] for row in rows_of(tmp_path / "out")} == {"2"}


@pytest.mark.parametrize(("hop", "number"), [(HOP, "000002"), (HOP // 2, "000001")])
def test_no_windows_fit_two_versions_of_different_ones(
    plant: Plant, tmp_path: Path, hop: int, number: str
) -> None:
    registry = beside(plant, tmp_path, 240)
    config = with_registry(tmp_path, registry, windows={"hop": hop})
    said = refused("replay", plant.recording, "-c", config, "-o", tmp_path / "out")
    assert f"{registry / 'default' / number}: the detector was made for windows.hop" in said


def test_an_empty_registry_says_how_to_fill_it(plant: Plant, tmp_path: Path) -> None:
    config = with_registry(tmp_path, tmp_path / "none")
    said = refused("replay", plant.recording, "-c", config, "-o", tmp_path / "out")
    assert "stream-ad train FILE" in said


def test_a_registry_that_fsspec_does_not_know_is_refused(plant: Plant, tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.yaml", registry={"uri": "nowhere://x"})
    said = refused("replay", plant.recording, "-c", config, "-o", tmp_path / "out")
    assert "registry.uri = 'nowhere://x'" in said
    assert "a URI that fsspec knows" in said
    assert said == refused("train", plant.recording, "-c", plant.learning, "-o", "nowhere://x")


@pytest.mark.parametrize("uri", ["", " ", "file://"])
def test_a_registry_without_a_name_is_not_the_folder_one_is_in(uri: str) -> None:
    with pytest.raises(ConfigError, match="allowed is the path of a folder"):
        Registry(uri)


def test_a_cut_and_a_registry_contradict_each_other(plant: Plant, tmp_path: Path) -> None:
    arguments = ("replay", plant.recording, "-c", plant.scoring, "-o", tmp_path / "out")
    assert "registry.uri" in refused(*arguments, "--train-until", 100)


def test_other_things_in_a_registry_are_no_versions(plant: Plant, tmp_path: Path) -> None:
    registry = shutil.copytree(plant.registry, tmp_path / "registry")
    (registry / "default" / ".000009.17.new").mkdir()
    (registry / "default" / "notes").mkdir()
    (registry / "other").mkdir()
    assert Registry(str(registry)).numbers() == [1]


def test_a_detector_saved_by_hand_says_what_it_lacks(plant: Plant, tmp_path: Path) -> None:
    folder = plant.registry / "default" / "000001"
    detector = Detector.load(folder)
    del detector.card["effective_from"], detector.card["group"]
    detector.save(tmp_path / "registry" / "default" / "000001")
    config = with_registry(tmp_path, tmp_path / "registry")
    said = refused("replay", plant.recording, "-c", config, "-o", tmp_path / "out")
    assert "`stream-ad train` writes it" in said
