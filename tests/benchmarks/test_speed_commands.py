"""The speed and memory benchmarks as commands; what is fast or flat is not judged here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pyarrow.csv as arrow_csv
import pytest
import torch

from stream_ad.config import DetectorConfig
from tests.benchmarks import memory, scoring
from tests.benchmarks.bare import Bare, K
from tests.benchmarks.generated import DEAD_EVERY, FAULT_EVERY, FAULT_WINDOWS, Plant


def test_scoring_compares_product_and_ceiling(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with 0, prints both tables, and product and ceiling gave the same scores."""
    assert scoring.main(["--quick", "--json", str(tmp_path / "figures.json")]) == 0
    printed = capsys.readouterr().out
    assert "Windows per second" in printed
    assert printed.endswith("held\n")
    record = orjson.loads((tmp_path / "figures.json").read_bytes())
    figures, targets = record["figures"], record["targets"]
    assert figures["rows missing 8x64 0.5k"] == 0
    assert figures["detector/ceiling 8x64 0.5k"] > 0
    assert figures["whole/ceiling 8x64 0.5k"] > 0
    assert targets["detector/ceiling 8x64 0.5k"] == 0.8
    assert targets["whole/ceiling 8x64 0.5k"] == 0.5
    assert {name for name in targets if name.endswith("default")} == {
        "rows missing 8x64 0.5k default"
    }
    for part in ("detector/ceiling", "whole/ceiling", "detector_per_s", "whole_per_s"):
        assert figures[f"{part} 8x64 0.5k default"] > 0


def test_memory_carries_every_window(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It ends with 0 after incidents and dead letters, and reports the growth."""
    assert memory.main(["--quick", "--json", str(tmp_path / "figures.json")]) == 0
    printed = capsys.readouterr().out
    assert "Resident memory" in printed
    assert printed.endswith("held\n")
    record = orjson.loads((tmp_path / "figures.json").read_bytes())
    assert record["figures"]["windows missing"] == 0
    assert record["figures"]["incident events"] > 0
    assert record["figures"]["dead letters"] > 0
    assert record["targets"]["growth"] == 0.05


def test_growth_is_the_highest_memory_against_that_after_the_first_windows() -> None:
    tally = memory.Tally([10, 49_999, 50_000, 70_000, 90_000], [90, 120, 100, 104, 103])
    assert tally.growth() == pytest.approx(0.04)


def test_a_process_knows_its_memory() -> None:
    block = np.ones(32 << 20, np.uint8)
    assert block.nbytes < memory.resident() <= memory.peak()


@pytest.mark.parametrize(("index", "kinds"), [("exact", 2), ("hnsw", 3)])
def test_the_ceiling_searches_the_whole_bank(index: str, kinds: int) -> None:
    """Each of its searches finds the distances that brute force finds."""
    plant = Plant(1, 2, 4)
    detector = plant.detector(64, index=index)
    parts = detector._fitted()
    scaled = parts.scaler.scale(plant.windows(40).values)
    bare = Bare(detector, scaled)
    with torch.no_grad():
        queries = parts.model(torch.from_numpy(scaled)).z.double().numpy()
    apart = np.linalg.norm(queries[:, None] - parts.scorer.bank.z[None].astype(np.float64), axis=2)
    expected = np.sort(apart, axis=1)[:, :K]
    assert len(bare.searches) == kinds
    for search in bare.searches:
        bare.search = search
        np.testing.assert_allclose(bare.found(scaled)[1], expected, rtol=1e-3, atol=1e-3)


def test_the_ceiling_of_the_default_is_the_mean_distance_to_its_neighbours() -> None:
    """Over its own latents, by brute force."""
    plant = Plant(1, 2, 4)
    detector = scoring._default(plant, 64)
    config = DetectorConfig()
    assert (detector.model, detector.scorer) == (config.model, config.scorer)
    parts = detector._fitted()
    scaled = parts.scaler.scale(plant.windows(40).values)
    with torch.no_grad():
        queries = parts.model(torch.from_numpy(scaled)).z.double().numpy()
    apart = np.linalg.norm(queries[:, None] - parts.scorer.bank.z[None].astype(np.float64), axis=2)
    expected = np.sort(apart, axis=1)[:, :K].mean(axis=1)
    scores = Bare(detector, scaled).scores(scaled)
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-3)


def test_a_recording_holds_what_the_plant_says(tmp_path: Path) -> None:
    """Rows, machines, faults and unreadable times of a rough plant are those announced."""
    plant, each = Plant(16, 3, 4, rough=True), FAULT_EVERY
    plant.write(tmp_path / "a.csv", each)
    table = arrow_csv.read_csv(tmp_path / "a.csv")
    assert table.num_rows == (each + 1) * plant.length * plant.machines
    dead = np.array(table.column("time").to_pylist()) == "soon"
    assert dead.sum() == table.num_rows // DEAD_EVERY == 1
    windows = plant.windows(each).values.reshape(each, plant.machines, plant.length, plant.sensors)
    silent = np.isnan(windows[:, :, :, -1]).all(axis=2)
    assert silent.sum(axis=0).tolist() == [FAULT_WINDOWS] * plant.machines
    written = table.column("s1").to_numpy()[: each * plant.length * plant.machines]
    turns = written.reshape(each, plant.length, plant.machines).transpose(0, 2, 1)
    np.testing.assert_array_equal(turns.astype(np.float32), windows[:, :, :, 1])
