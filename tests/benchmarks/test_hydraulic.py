"""The hydraulic benchmark: which cycles teach, which are ranked, and a quick run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pytest

from stream_ad.errors import InputError
from tests.benchmarks import hydraulic
from tests.benchmarks.hydraulic import FACTORS, load, split


def test_sixty_percent_of_the_stable_good_cycles_teach_and_all_other_stable_ones_are_ranked() -> (
    None
):
    """Cycle i shows i; the cooler is good (100) in the even ones, those from 100 on unstable."""
    number = np.arange(120)
    cycles = np.broadcast_to(number[:, None, None], (120, 2, 1)).astype(np.float32)
    profile = np.zeros((120, 5), np.int64)
    profile[:, 0] = np.where(number % 2 == 0, 100, 3)
    profile[:, 4] = number >= 100
    part = split(cycles, profile, "cooler", seed=1)
    taught, ranked = part.training[:, 0, 0], part.test[:, 0, 0]
    assert len(taught) == 30  # of 50
    assert (taught % 2 == 0).all()
    assert sorted([*taught, *ranked]) == list(range(100))
    assert np.array_equal(part.label, ranked % 2 == 1)
    other = split(cycles, profile, "cooler", seed=2)
    assert set(other.training[:, 0, 0]) != set(taught)


@pytest.mark.parametrize(
    ("factor", "good", "worn"),
    [("cooler", 489, 960), ("pump", 489, 960), ("accumulator", 360, 1089), ("valve", 369, 1080)],
)
def test_real_cycles_are_counted_as_in_their_profile(
    real_data: Path, factor: str, good: int, worn: int
) -> None:
    part = split(*load(real_data), factor, seed=1)
    assert part.training.shape == (good * 6 // 10, 60, 8)
    assert len(part.test) == good + worn - good * 6 // 10
    assert part.label.sum() == worn


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"hydraulic_1hz\.npz does not exist"):
        load(tmp_path)


def test_targets_are_the_issues() -> None:
    targets = {name: factor.auc_roc for name, factor in FACTORS.items()}
    assert targets == {"cooler": 1.0, "pump": 0.99, "accumulator": 0.97, "valve": 0.85}


def test_a_quick_run_puts_every_detector_beside_the_target(
    real_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(hydraulic, "FACTORS", {"cooler": FACTORS["cooler"]})  # for the time
    monkeypatch.setattr(hydraulic, "DETECTORS", (hydraulic.DEFAULT, "mahalanobis"))
    monkeypatch.setattr(hydraulic, "BASELINES", ("mahalanobis",))
    file = tmp_path / "figures.json"
    assert hydraulic.main(["--data", str(real_data), "--quick", "--json", str(file)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "held"
    record = orjson.loads(file.read_bytes())
    assert record["targets"] == {"cooler_auc_roc": 1.0}
    assert record["figures"]["cooler.default.auc_roc"] > 0.99
    assert record["figures"]["cooler.mahalanobis.auc_roc"] > 0.99
