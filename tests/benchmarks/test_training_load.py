"""Scoring beside a trainer as a benchmark: its figures by hand, and its quick form on a broker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pytest

from tests.benchmarks import training_load
from tests.benchmarks.training_load_line import Seen
from tests.benchmarks.training_load_paced import Phase, _batch, _elsewhere, longest_gap
from tests.benchmarks.training_load_site import share_trained
from tests.faults.worker import Event


def said(*moments: tuple[str, float]) -> list[Event]:
    return [Event(name, {}, at=at) for name, at in moments]


@pytest.mark.parametrize(
    ("moments", "share"),
    [
        ([("training", 2.0), ("training", 2.1), ("training promoted", 4.0)], 0.2),
        ([("training", -5.0), ("training failed", 1.0), ("training", 9.0)], 0.2),
        ([("training promoted", 4.0)], 0.0),
        ([("training", 12.0), ("training refused", 15.0)], 0.0),
    ],
)
def test_the_share_of_a_time_in_a_training(moments: list[tuple[str, float]], share: float) -> None:
    assert share_trained(said(*moments), 0.0, 10.0) == pytest.approx(share)


def test_gaps_at_swaps_and_elsewhere() -> None:
    """Scores each second but for the fourth and the fifth."""
    at = np.array([0.0, 1, 2, 3, 6, 7, 8, 9])
    assert longest_gap(at, 3.2, 3.4) == longest_gap(at, 2.5, 6.5) == 3.0
    assert longest_gap(at, 0.5, 1.5) == 1.0
    others = [*_elsewhere(at, [(4.0, 5.0)], [Phase(0.0, 9.0, 1.0)])]
    assert others == [1, 1, 1, 3, 3, 1, 1]


def test_a_batch_is_the_usual_time_between_commits_of_a_phase() -> None:
    """Gaps of 2, 2 and 6 s; what lies between the phases counts for nothing."""
    at = np.array([0.0, 1, 10, 12, 14, 50, 56])
    phases = [Phase(9.0, 20.0, 1.0), Phase(49.0, 60.0, 1.0)]
    assert _batch(at, phases) == 2.0


def test_delays_are_those_of_what_was_seen_in_a_time() -> None:
    seen = Seen([1.0, 2.0, 2.0, 3.0], [0.1, 0.2, 0.3, 0.4])
    assert seen.delays(2.0, 3.0).tolist() == [0.2, 0.3]


def test_the_command_measures_both_and_sees_a_swap(
    kafka: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    assert training_load.main(["--quick", "--bootstrap", kafka, "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    assert printed.endswith("held\n")
    figures = orjson.loads(file.read_bytes())["figures"]
    ratio = figures["throughput while trained/alone"]
    assert ratio is None or ratio > 0  # nothing, where the topic ends before a training begins
    assert figures["p99 while training/idle"] > 0
    assert 0 < figures["share of these phases in a training"] <= 1
    assert figures["swaps"] >= 1
    assert figures["trainings in these phases"] >= 1
    assert figures["niceness of the trainer"] == 19
