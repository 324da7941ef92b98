"""Each fault command in its quick form, and the broken build that must not pass."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.faults import brokers, kill, poison, rebalance, trainer

WRONG = ("lost", "duplicated", "altered", "reordered")


def figures(file: Path) -> dict[str, float]:
    found: dict[str, float] = orjson.loads(file.read_bytes())["figures"]
    return found


def wrong(found: dict[str, float]) -> float:
    """Return how many outputs were lost, repeated, changed or out of order."""
    assert found["scores lost"] >= 0
    return sum(value for name, value in found.items() if name.endswith(WRONG))


def test_nothing_is_lost_over_kills_of_workers(kafka: str, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    assert kill.main(["--quick", "--bootstrap", kafka, "--json", str(file)]) == 0
    found = figures(file)
    assert wrong(found) == 0
    assert found["kills inside an open transaction"] >= 1


def test_a_build_that_commits_positions_outside_the_transaction_fails(
    kafka: str, tmp_path: Path
) -> None:
    file = tmp_path / "figures.json"
    assert kill.main(["--quick", "--broken", "--bootstrap", kafka, "--json", str(file)]) == 1
    assert wrong(figures(file)) > 0


def test_nothing_is_lost_over_joins_leaves_and_pauses(kafka: str, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    assert rebalance.main(["--quick", "--bootstrap", kafka, "--json", str(file)]) == 0
    assert wrong(figures(file)) == 0


def test_nothing_is_half_promoted_over_kills_of_trainer_and_workers(
    kafka: str, tmp_path: Path
) -> None:
    file = tmp_path / "figures.json"
    assert trainer.main(["--quick", "--bootstrap", kafka, "--json", str(file)]) == 0
    found = figures(file)
    assert wrong(found) == 0
    assert found["promotions not announced"] == 0


def test_poison_is_told_and_the_rest_is_scored(kafka: str, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    assert poison.main(["--quick", "--bootstrap", kafka, "--json", str(file)]) == 0
    found = figures(file)
    assert found["dead letters"] > 0
    assert found["jumps counted"] > 0


@pytest.mark.usefixtures("runtime")
def test_nothing_is_lost_over_kills_of_brokers(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    assert brokers.main(["--quick", "--json", str(file)]) == 0
    assert wrong(figures(file)) == 0
