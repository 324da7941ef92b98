"""Trainings of a replay: the same whatever the batches and after a kill, never of an incident."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from stream_ad.config import Config, load_config, parse_config
from stream_ad.detector import Detector
from stream_ad.errors import ConfigError, ModelError
from stream_ad.replay import ReplayOptions, replay
from stream_ad.training import retraining
from stream_ad.training.shelf import MOST_LOADED, Shelf
from stream_ad.transport.base import Batch, Outputs, Source
from stream_ad.windows import WindowSpec
from stream_ad.windows.spec import parse_rfc3339
from tests.cli.command import alerts, good, metrics, outputs, refused
from tests.cli.nursery import KILLED
from tests.cli.recordings import FAULT, HOP, LENGTH, PERIOD, Row, text_of, write_config, write_csv
from tests.cli.recordings import plant as rows_of_plant
from tests.conftest import Nursery

STEPS, LEARNED, EVERY = 900, 1_200, 100  # steps; rows of history; scored windows
LATE_FAULT = range(560, 600)  # of FAULT's machine, after its history
WINDOW_NS = LENGTH * PERIOD * 10**9


class Again:
    """Batches of another size."""

    def __init__(self, source: Source, size: int) -> None:
        self._source, self._size = source, size

    def batches(self, position: int = 0) -> Iterator[Batch]:
        for batch in self._source.batches(position):
            for first in range(0, len(batch.records), self._size):
                part = batch.records.take(slice(first, first + self._size))
                last = first + self._size >= len(batch.records)
                end = batch.position if last else int(part.offset[-1]) + 1
                yield Batch(part, batch.dead if last else (), end, batch.counts if last else {})


class Cut(Exception):
    """The run ends here."""


@dataclass(frozen=True)
class Site:
    """A recording with a fault in what is scored, its settings, and the whole run."""

    folder: Path
    file: Path
    settings: Path

    @property
    def whole(self) -> Path:
        return self.folder / "whole"

    @property
    def config(self) -> Config:
        return load_config(self.settings)

    def run(
        self, out: str, size: int = 10**9, cut_at: int | None = None, **options: Any
    ) -> dict[str, Any]:
        """Run in batches of a size, up to a batch if the run is to be cut off."""
        seen = 0

        def watch(_: Outputs) -> None:
            nonlocal seen
            seen += 1
            if seen == cut_at:
                raise Cut

        asked = ReplayOptions(
            self.file, self.folder / out, train_until=str(LEARNED), checkpoint_s=0.0
        )
        config = options.pop("config", self.config)
        return replay(asked, config, wrap_source=lambda s, _: Again(s, size), watch=watch)


def rows() -> list[Row]:
    found = rows_of_plant(STEPS)
    for row in found:
        step = (row[1] // 1000 - 1_704_067_200) // PERIOD
        if row[0] == FAULT[0] and step in LATE_FAULT:
            row[2:5] = ("-40", "60", "80")  # far out: what is tested is not how well it is heard
    return found


def settings(path: Path, **training: Any) -> Path:
    return write_config(
        path,
        detector={"model": "linear", "scorer": "error"},
        alarm={"budget_per_machine_day": 5},
        training={"every_windows": EVERY, "buffer_windows": 250} | training,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("refits")
    wide = "x" * 400  # in a column that nobody reads: several reads of a short recording
    file = write_csv(folder / "p.csv", [[*row, wide] for row in rows()], ["a", "b", "c", "note"])
    made = Site(folder, file, settings(folder / "c.yaml"))
    made.run("whole")
    return made


def everything(folder: Path) -> dict[str, bytes]:
    """Return all outputs, and all detectors."""
    cards = {str(p.relative_to(folder)): p.read_bytes() for p in folder.glob("model*/*")}
    return outputs(folder) | cards


def scored(folder: Path) -> list[dict[str, str]]:
    with (folder / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def bank(folder: Path) -> set[tuple[str, int]]:
    """Return the windows that a detector learned from and set its line by."""
    line = Detector.load(folder).calibration_
    return set(zip(line.machine.tolist(), line.start.tolist(), strict=True))


# ------------------------------------------------------------------ what it does


def test_versions_score_what_ends_after_the_record_that_they_were_made_at(site: Site) -> None:
    tried = metrics(site.whole)["trainings"]
    assert [one["version"] for one in tried] == [2, 3, 4]
    since = {one["version"]: parse_rfc3339(one["effective_from"]) for one in tried}
    for row in scored(site.whole):
        end = parse_rfc3339(row["window_end"])
        newest = max((v for v in since if since[v] <= end), default=1)
        assert int(row["model_version"]) == newest
    # looked at every 50 records, of which four close a window
    counts = [
        0,
        *(
            sum(int(r["model_version"]) < one["version"] for r in scored(site.whole))
            for one in tried
        ),
    ]
    assert all(abs(b - a - EVERY) <= 13 for a, b in pairwise(counts))


def test_the_newest_windows_teach_and_those_of_an_incident_do_not(site: Site) -> None:
    said = alerts(site.whole)
    opened = [e for e in said if e["event"] == "opened" and e["machine_id"] == FAULT[0]]
    assert any(text_of(LATE_FAULT.start - LENGTH) <= e["started_at"] for e in opened)
    spans: dict[str, tuple[str, int, int]] = {}
    for event in said:  # until the last is told; an open incident lasts
        begun = parse_rfc3339(event["started_at"])
        last = parse_rfc3339(event["window_start"]) if event["event"] == "closed" else 2**62
        spans[event["incident_id"]] = (event["machine_id"], begun, last)
    before = bank(site.whole / "model")
    for number, one in enumerate(metrics(site.whole)["trainings"], 2):
        learned = bank(site.whole / f"model-{number}")
        assert len(learned) == one["windows"] <= 250
        at = parse_rfc3339(one["at"])
        assert max(start + WINDOW_NS for _, start in learned) <= at
        # an incident that opened later had not yet been told of
        for machine, begun, last in spans.values():
            if begun <= at:
                hit = [
                    start
                    for name, start in learned
                    if name == machine and start + WINDOW_NS > begun and start <= last
                ]
                assert not hit
        assert len(learned - before) > 20
        before = learned
    one = metrics(site.whole)["trainings"][-1]
    assert sum(one["buffer"]["left_out"].values()) >= len(LATE_FAULT) // HOP
    assert one["left_out"] == {"muted": 0, "not_scored": 0}


def test_card_report_and_metrics_tell_of_it(site: Site) -> None:
    card = orjson.loads((site.whole / "model-3" / "card.json").read_bytes())
    one = metrics(site.whole)["trainings"][1]
    assert card["version"] == 3
    words = f"{one['windows']} windows from {one['from']} to {one['to']}; passed: "
    assert words in card["promoted"]
    assert card["promoted"].startswith(one["cause"])
    assert parse_rfc3339(one["effective_from"]) == card["effective_from"]
    report = (site.whole / "report.html").read_text()
    assert "Trainings" in report
    assert "held as well against the last version that an operator accepted" in report
    assert metrics(site.whole)["model"]["version"] == 4


# ------------------------------------------------------------------ laws


@pytest.mark.parametrize("size", [1, 7, 100, 1_301])
def test_other_batches_give_the_same_bytes(site: Site, size: int) -> None:
    site.run(f"size{size}", size)
    assert everything(site.folder / f"size{size}") == everything(site.whole)


@pytest.mark.parametrize("seed", range(4))
def test_cut_off_anywhere_and_resumed_the_bytes_are_the_same(site: Site, seed: int) -> None:
    """Again and again, in batches of another size each time; a cut one keeps its checkpoint."""
    rng = np.random.default_rng(seed)
    out, cuts = f"cut{seed}", 0
    for _ in range(8):
        size = int(rng.choice([5, 13, 90, 400]))
        try:
            site.run(out, size, cut_at=int(rng.integers(1, 2 + 900 // size)))
            break
        except Cut:
            cuts += 1
    else:
        site.run(out)
    assert cuts > 2
    assert everything(site.folder / out) == everything(site.whole)


def test_killed_while_a_refit_is_saved_it_finishes_to_the_same_bytes(
    site: Site, nursery: Nursery
) -> None:
    """The first five durable steps are the first model's, then come a refit's five."""
    out = site.folder / "killed"
    command = ("replay", site.file, "-c", site.settings, "-o", out, "--train-until", LEARNED)
    for step in (7, 12):
        answer = nursery.run(*command, "--checkpoint-s", 1000, die_at_sync=step)
        assert answer["code"] == KILLED, answer
        assert (out / "model").is_dir()
    answer = nursery.run(*command)
    assert answer["code"] == 0, answer
    assert everything(out) == everything(site.whole)
    assert not list(out.glob(".*"))


def test_without_refits_all_is_scored_by_the_first_version(site: Site) -> None:
    one = site.config.training.model_copy(update={"every_windows": None})
    said = site.run("none", config=site.config.model_copy(update={"training": one}))
    assert "trainings" not in said
    assert {row["model_version"] for row in scored(site.folder / "none")} == {"1"}
    first = parse_rfc3339(metrics(site.whole)["trainings"][0]["effective_from"])
    for ours, theirs in zip(scored(site.whole), scored(site.folder / "none"), strict=True):
        if parse_rfc3339(ours["window_end"]) < first:
            assert ours == theirs


def test_a_refit_that_fails_changes_nothing_and_says_why(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Detector:
        raise ModelError("the loss is not a number")

    monkeypatch.setattr(retraining, "train", broken)
    said = site.run("broken")
    assert [one["failed"] for one in said["trainings"]] == ["the loss is not a number"] * 3
    monkeypatch.undo()
    one = site.config.training.model_copy(update={"every_windows": None})
    site.run("never", config=site.config.model_copy(update={"training": one}))
    for name in ("scores.csv", "alerts.jsonl"):
        files = (site.folder / out / name for out in ("broken", "never"))
        assert len({file.read_bytes() for file in files}) == 1
    assert not (site.folder / "broken" / "model-2").exists()
    assert "the loss is not a number" in (site.folder / "broken" / "report.html").read_text()


def test_one_machine_after_another_is_refitted_only_where_time_goes_on(
    site: Site, tmp_path: Path
) -> None:
    found = sorted(rows(), key=lambda row: str(row[0]))
    file = write_csv(tmp_path / "p.csv", found)
    asked = ReplayOptions(file, tmp_path / "out", train_until=text_of(LEARNED // 3))
    said = replay(asked, site.config)
    began = [one["effective_from"] for one in said["trainings"] if "version" in one]
    assert began == sorted(set(began))
    assert not any("failed" in one for one in said["trainings"])  # a cause waits instead
    versions = {(row["machine_id"], row["model_version"]) for row in scored(tmp_path / "out")}
    assert {"1", "2"} <= {version for machine, version in versions if machine == "m3"}


def test_another_run_in_the_folder_leaves_no_refit_of_the_one_before(site: Site) -> None:
    out = shutil.copytree(site.whole, site.folder / "again")
    (out / "model-notes").mkdir()
    one = site.config.training.model_copy(update={"every_windows": None})
    site.run("again", config=site.config.model_copy(update={"training": one}))
    assert sorted(p.name for p in out.glob("model*")) == ["model", "model-notes"]


def test_a_changed_detector_of_an_unfinished_run_is_refused(site: Site) -> None:
    with pytest.raises(Cut):
        site.run("swapped", 20, cut_at=120)  # the last checkpoint is some batches old
    out = site.folder / "swapped"
    assert (out / "model-2").is_dir()
    shutil.rmtree(out / "model-2")
    shutil.copytree(out / "model", out / "model-2")
    command = ("replay", site.file, "-c", site.settings, "-o", out, "--train-until", LEARNED)
    assert "another detector" in refused(*command)


# ------------------------------------------------------------------ memory, settings


def test_few_detectors_are_in_memory_and_all_score_the_same_bits(site: Site) -> None:
    shelf, spec = Shelf(site.whole, "cpu"), WindowSpec.from_config(site.config.windows)
    versions = [shelf.get(number, spec) for number in (1, 2, 3, 4)]
    rng = np.random.default_rng(0)
    windows, start = rng.normal(size=(9, LENGTH, 3)).astype(np.float32), np.arange(9) * WINDOW_NS
    for version in (*versions, *versions[::-1]):
        plain = Detector.load(shelf.folder(version.number), device="cpu")
        assert (version.detector.score(windows, start).raw == plain.score(windows, start).raw).all()
        assert len(shelf.few) <= MOST_LOADED


@pytest.mark.parametrize("every", [9, 0, -1, 12.5, "often"])
def test_refits_at_no_such_distance_are_refused(every: object) -> None:
    with pytest.raises(ConfigError, match=r"training\.every_windows"):
        parse_config({"training": {"every_windows": every}})


def test_a_replay_by_a_registry_trains_none_anew_and_says_so(site: Site, tmp_path: Path) -> None:
    """The settings of a service that trains serve its replay as they are."""
    registry, detector = tmp_path / "r", {"model": "linear", "scorer": "error"}
    good("train", site.file, "-c", site.settings, "-o", registry)
    trains = {"every_windows": EVERY}
    asked: dict[str, dict[str, Any]] = {
        "not": {},
        "all": {"training": trains},
        "some": {"groups": {"ones": {"match": ["m1"], "training": trains}}},
    }
    said = {}
    for name, more in asked.items():
        uri = {"uri": str(registry)}
        config = write_config(tmp_path / f"{name}.yaml", detector=detector, registry=uri, **more)
        said[name] = good("replay", site.file, "-c", config, "-o", tmp_path / name).err
    note = "this replay trains none anew"
    assert [name for name in asked if note in said[name]] == ["all", "some"]
    assert outputs(tmp_path / "not") == outputs(tmp_path / "all")


def test_training_takes_no_notice(site: Site, tmp_path: Path) -> None:
    good("train", site.file, "-c", site.settings, "-o", tmp_path / "r")
