"""A run that is cut off, by a kill, a full disk or the keyboard, finishes to the same bytes."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.command import alerts, good, outputs, refused, scores
from tests.cli.nursery import KILLED, checkpoint
from tests.cli.recordings import SENSORS, write_config, write_csv
from tests.cli.recordings import plant as rows_of_plant
from tests.conftest import Nursery

KILLS = 20
STEPS = 3_000  # of the recording that is cut off


class Cut:
    """A command that is cut off again and again, and what it gives when it is not."""

    def __init__(self, folder: Path, nursery: Nursery) -> None:
        # wide cells in a column that nobody reads make many reads of a short recording, and
        # machines one after another in places make the sort at the end real work
        rows = rows_of_plant(STEPS)
        rows = [
            *rows[:1200],
            *rows[1200:2400:3],
            *rows[1201:2400:3],
            *rows[1202:2400:3],
            *rows[2400:],
        ]
        wide = "x" * 1_500
        file = write_csv(folder / "wide.csv", [[*row, wide] for row in rows], [*SENSORS, "note"])
        config = write_config(folder / "c.yaml", alarm={"budget_per_machine_day": 200})
        self.folder, self.nursery = folder, nursery
        self.arguments = ("replay", file, "-c", config, "--train-until", 1200, "--checkpoint-s", 0)
        answer = self.run("whole")
        assert answer["code"] == 0, answer
        self.seconds = answer["seconds"]
        ended, began = (
            (folder / "whole" / n).stat().st_mtime for n in ("checkpoint.json", "model")
        )
        self.scoring_s = ended - began
        self.whole = outputs(folder / "whole")

    def run(self, out: str, *more: object, **request: Any) -> Any:
        return self.nursery.run(*self.arguments, "-o", self.folder / out, *more, **request)

    def assert_finishes(self, out: str) -> None:
        answer = self.run(out)
        assert answer["code"] == 0, answer
        assert outputs(self.folder / out) == self.whole
        assert not list((self.folder / out).glob(".*"))


@pytest.fixture(scope="session")
def cut(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Cut:
    return Cut(tmp_path_factory.mktemp("cut"), nursery)


@pytest.fixture(scope="session")
def unfinished(cut: Cut) -> Path:
    """Leave a folder whose run was killed while it scored; it is to be copied, not changed."""
    assert cut.run("unfinished", die_at_sync=12)["code"] == KILLED
    stands = checkpoint(cut.folder / "unfinished")
    assert stands is not None
    assert 0 < stands[0] < 3 * STEPS
    return cut.folder / "unfinished"


def test_the_run_that_is_cut_off_says_something(cut: Cut) -> None:
    found = scores(cut.folder / "whole")
    assert len(found) > 500
    assert {a["event"] for a in alerts(cut.folder / "whole")} >= {"opened", "closed"}


def test_killed_at_twenty_random_points_and_resumed_the_bytes_are_the_same(cut: Cut) -> None:
    """Six times from the start on, fourteen times from the first checkpoint on."""
    rng = np.random.default_rng(0)
    folder = str(cut.folder / "killed")
    resumed: list[int] = []
    for kill in range(KILLS):
        answer = {"code": 0}
        while answer["code"] == 0:  # a run that was faster than its killer has to be right
            point: dict[str, Any] = {"after_s": float(rng.uniform(0.01, 0.6)) * cut.seconds}
            if kill >= 6:
                after_s = float(rng.uniform(0, 0.35)) * cut.scoring_s
                point = {"after_s": after_s, "scoring": folder}
            answer = cut.run("killed", signal=signal.SIGKILL, **point)
            assert answer["code"] == KILLED or outputs(cut.folder / "killed") == cut.whole
        stands = checkpoint(cut.folder / "killed")
        if stands is not None and not stands[1]:
            resumed.append(stands[0])
    cut.assert_finishes("killed")
    assert sum(position > 0 for position in resumed) >= 3, resumed


@pytest.mark.parametrize("step", [2, 8])
def test_killed_while_it_makes_something_durable_it_still_finishes(cut: Cut, step: int) -> None:
    """The first five steps are those of the model, then come checkpoints."""
    out = f"step{step}"
    assert cut.run(out, die_at_sync=step)["code"] == KILLED
    cut.assert_finishes(out)


# after resuming, without checkpoints on the way: three outputs and a checkpoint made durable
# (a file and its folder each), two sorted outputs put in place, and the finished checkpoint
STEPS_AT_THE_END = 3 + 2 + 2 + 2 + 2


@pytest.mark.parametrize("step", range(3, STEPS_AT_THE_END + 3))
def test_killed_at_any_step_of_the_end_it_still_finishes(
    cut: Cut, unfinished: Path, step: int
) -> None:
    """The last two steps make metrics.json durable: the run is finished and starts anew."""
    out = shutil.copytree(unfinished, cut.folder / f"end{step}")
    answer = cut.run(out.name, "--checkpoint-s", 1000, die_at_sync=step)
    assert answer["code"] == KILLED
    stands = checkpoint(out)
    assert stands is not None
    assert stands[1] == (step >= STEPS_AT_THE_END)  # at that step only its durability is open
    cut.assert_finishes(out.name)


def test_interrupted_from_the_keyboard_it_says_so_and_resumes(cut: Cut) -> None:
    for _ in range(5):  # on a busy machine the keys may be pressed after the end
        shutil.rmtree(cut.folder / "keys", ignore_errors=True)
        folder = str(cut.folder / "keys")
        answer = cut.run("keys", signal=signal.SIGINT, after_s=0, scoring=folder)
        if answer["code"] != 0:
            break
    assert answer["code"] == 130, answer
    assert answer["err"].strip().endswith("goes on from its last checkpoint")
    assert "Traceback" not in answer["err"]
    cut.assert_finishes("keys")


# --- an unfinished run of something else ---


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def other_config(cut: Cut, _: Path) -> tuple[object, ...]:
    config = write_config(cut.folder / "other.yaml", alarm={"budget_per_machine_day": 3})
    return (cut.arguments[1], "-c", config)


def other_windows(cut: Cut, _: Path) -> tuple[object, ...]:
    config = write_config(cut.folder / "other.yaml", windows={"hop": 2})
    return (cut.arguments[1], "-c", config)


def other_input(cut: Cut, _: Path) -> tuple[object, ...]:
    file = write_csv(cut.folder / "other.csv", rows_of_plant(500))
    return (file, *cut.arguments[2:4])


def damaged_checkpoint(cut: Cut, out: Path) -> tuple[object, ...]:
    flip(out / "checkpoint.json")
    return cut.arguments[1:4]


def cut_checkpoint(cut: Cut, out: Path) -> tuple[object, ...]:
    (out / "checkpoint.json").write_bytes((out / "checkpoint.json").read_bytes()[:100])
    return cut.arguments[1:4]


def shorter_outputs(cut: Cut, out: Path) -> tuple[object, ...]:
    (out / "scores.csv").write_bytes(b"")
    return cut.arguments[1:4]


def damaged_model(cut: Cut, out: Path) -> tuple[object, ...]:
    flip(out / "model" / "arrays.safetensors")
    return cut.arguments[1:4]


def no_model(cut: Cut, out: Path) -> tuple[object, ...]:
    shutil.rmtree(out / "model")
    return cut.arguments[1:4]


def swapped_model(cut: Cut, out: Path) -> tuple[object, ...]:
    config = write_config(cut.folder / "seed.yaml", detector={"seed": 9})
    swap = cut.folder / "swap"
    good("replay", cut.arguments[1], "-c", config, "-o", swap, "--train-until", 1200)
    shutil.rmtree(out / "model")
    shutil.copytree(swap / "model", out / "model")
    return cut.arguments[1:4]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_config, "another config"),
        (other_windows, "another config and windows"),
        (other_input, "another input"),
        (damaged_checkpoint, "checkpoint.json: damaged"),
        (cut_checkpoint, "checkpoint.json: damaged"),
        (shorter_outputs, "scores.csv: has 0 bytes"),
        (damaged_model, "arrays.safetensors"),
        (no_model, "no artifact in"),
        (swapped_model, "another detector"),
    ],
)
def test_an_unfinished_run_of_something_else_is_refused(
    cut: Cut, unfinished: Path, change: Callable[[Cut, Path], tuple[object, ...]], words: str
) -> None:
    out = shutil.copytree(unfinished, cut.folder / change.__name__)
    rest = change(cut, out)
    said = refused("replay", *rest, "--train-until", 1200, "-o", out)
    assert words in said


def test_another_end_of_history_is_another_run(cut: Cut, unfinished: Path) -> None:
    out = shutil.copytree(unfinished, cut.folder / "until")
    assert "another config" in refused(*cut.arguments[:4], "--train-until", 1500, "-o", out)


# --- a full disk ---


@pytest.mark.parametrize("size", [10_000, 100_000, 300_000])
def test_a_full_disk_is_said_and_the_run_goes_on_once_there_is_room(cut: Cut, size: int) -> None:
    out = f"full{size}"
    answer = cut.run(out, file_bytes=size)
    assert answer["code"] == 2, answer
    assert "cannot" in answer["err"]
    assert "File too large" in answer["err"]
    assert "Traceback" not in answer["err"] + answer["out"]
    cut.assert_finishes(out)
