"""The benchmark of memory and disk with trainings on the way; what is flat is not judged here."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from stream_ad.windows.spec import NS
from tests.benchmarks import memory_retrained
from tests.benchmarks.generated import FAULT_EVERY, FAULT_WINDOWS
from tests.benchmarks.memory import PLANT
from tests.benchmarks.memory_retrained import FULL, QUICK, Disk, Reading, growth

NOTHING = Disk(0, 0, 0, 0, 0, 0)


def test_it_carries_every_window_and_trains_as_often_as_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with 0, the registry bounded, each training promoted or refused."""
    assert memory_retrained.main(["--quick", "--json", str(tmp_path / "figures.json")]) == 0
    printed = capsys.readouterr().out
    assert "Memory and disk on the way" in printed
    assert printed.endswith("held\n")
    record = orjson.loads((tmp_path / "figures.json").read_bytes())
    figures = record["figures"]
    assert figures["windows missing"] == 0
    assert figures["trainings"] == figures["promoted"] + figures["refused"] == 5
    assert 2 <= figures["most versions on disk"] <= QUICK.keep + 1
    assert figures["incidents in the checkpoint"] > 0
    assert record["targets"]["steady growth"] == record["targets"]["peak growth"] == 0.05


@pytest.mark.parametrize("run", [FULL, QUICK])
def test_the_first_detector_learns_from_no_fault_and_its_buffer_overflows(
    run: memory_retrained.Run,
) -> None:
    assert run.history / PLANT.machines < FAULT_EVERY - 2 * FAULT_WINDOWS
    assert run.config.training.buffer_windows == run.buffer < run.windows
    assert run.config.registry.keep == run.keep < run.trainings


def test_fifty_trainings_follow_from_a_million_windows() -> None:
    assert (FULL.windows, FULL.trainings) == (1_000_000, 50)


def test_memory_grows_from_the_last_detector_that_fills_what_is_bounded() -> None:
    """Neither what filled the buffer nor the detectors that stay loaded count, nor a later fall."""
    steps = [(0, 10, 100), (1, 40, 150), (2, 90, 180), (3, 99, 190), (3, 99, 250), (4, 99, 195)]
    steps += [(5, 99, 200), (6, 99, 210), (7, 99, 205)]
    readings = [Reading(0, n, n, taken, mib, mib, NOTHING) for n, taken, mib in steps]
    assert growth(readings, "resident", 90, after=3) == pytest.approx(0.05)
    assert growth(readings, "resident", 90, after=1) == pytest.approx(250 / 190 - 1)
    falling = [replace(readings[-1], peak=size) for size in (200, 190)]
    assert growth([*readings[:3], *falling], "peak", 90, after=1) == 0


def test_memory_that_never_settled_has_no_growth() -> None:
    assert math.isnan(growth([Reading(0, 0, 0, 5, 100, 100, NOTHING)], "peak", 10, after=0))


def test_no_quarantine_ends_before_the_recording() -> None:
    spec = PLANT.spec
    assert FULL.windows / PLANT.machines * spec.hop_ns < FULL.config.training.quarantine_s * NS


def test_disk_tells_versions_from_decisions_and_from_anything_else(tmp_path: Path) -> None:
    sizes = {"000001/card.json": 3, "000001/model.bin": 40, "000003/card.json": 5}
    sizes |= {"promotions/000001.json": 7, "refusals/000001-000001.json": 11, ".000004.x/part": 2}
    for name, size in sizes.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    assert Disk.of(tmp_path) == Disk(2, 48, 43, 2, 18, 2)
