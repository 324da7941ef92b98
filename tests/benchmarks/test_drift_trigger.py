"""The benchmark of drift triggers: what is counted, and a quick run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from stream_ad.windows import Windows
from tests.benchmarks import drift_trigger
from tests.benchmarks.drift_trigger import Outcome, Scenario, Scored, told, tuned


def stream(scenario: Scenario, height: float = 0.0, n: int = 3200) -> Scored:
    """Return four machines for ten days, calm; after half of them one is as high as said."""
    machine = np.array(["a", "b", "c", "d"] * (n // 4), object)
    day = np.arange(n) / (n / 10)
    static = 0.05 * np.random.default_rng(0).normal(size=n)
    static[(machine == "a") & (day > 5)] += height
    windows = Windows(machine, np.arange(n), np.zeros((n, 1, 1), np.float32), np.arange(n))
    return Scored(scenario, 20.0, windows, day, static, static[:, None])


STILL, JUMP = Scenario("still"), Scenario("jump", "spike", 5, 1.0, 1)


def test_a_trigger_is_false_where_nothing_moves_and_late_where_something_does() -> None:
    def run(of: Scored) -> list[float]:
        return [2.0, 7.0] if of.scenario.kind else [1.0, 2.0, 3.0]

    found = Outcome.of([stream(STILL), stream(JUMP), stream(STILL)], run)
    assert found.false == 30 * 6 / 40
    assert found.delays["jump"].tolist() == [2.0]  # what came before it is not counted
    assert found.cells() == ["4.50", "1/1, 2.0 d"]
    never = Outcome.of([stream(STILL), stream(JUMP), stream(JUMP)], lambda _: [])
    assert never.cells() == ["0.00", "0/2"]
    assert never.cost(10) == 10


@pytest.mark.parametrize(("per", "heard"), [("machine", True), ("group", False)])
def test_a_test_for_each_machine_hears_one_that_the_group_drowns(per: str, heard: bool) -> None:
    def make() -> Any:
        return drift_trigger.page_hinkley(0.1, 1.0)

    assert bool(told(stream(JUMP, 0.5), per, "median score", make)) is heard
    assert told(stream(STILL), per, "median score", make) == []


def test_of_a_grid_the_soonest_without_a_false_trigger_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grid = {"PageHinkley": drift_trigger.GRID["PageHinkley"]}
    monkeypatch.setattr(drift_trigger, "GRID", grid)
    streams = [stream(STILL), stream(JUMP, 0.5)]
    chosen = {(per, statistic): make for per, statistic, _, _, make in tuned(streams, 10)}
    delays = {}
    for text, make in grid["PageHinkley"].items():
        assert told(streams[0], "machine", "median score", make) == []
        delays[text] = min(told(streams[1], "machine", "median score", make), default=np.inf)
    best = told(streams[1], "machine", "median score", chosen["machine", "median score"])
    assert best[0] == min(delays.values())


def test_a_quick_run_writes_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, file = tmp_path / "page.md", tmp_path / "figures.json"
    few = {"PageHinkley": dict([*drift_trigger.GRID["PageHinkley"].items()][:2])}
    monkeypatch.setattr(drift_trigger, "GRID", few)
    assert drift_trigger.main(["--quick", "--markdown", str(page), "--json", str(file)]) == 0
    figures = orjson.loads(file.read_bytes())["figures"]
    assert figures["watch differs from its test"] == 0
    text = page.read_text()
    assert "| machine | median score | PageHinkley, as built |" in text
    assert text.count("\n| ") == 1 + 6 + 1
