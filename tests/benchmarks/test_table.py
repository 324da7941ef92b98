"""The shared form of benchmark commands."""

from __future__ import annotations

import math
from argparse import Namespace
from pathlib import Path

import orjson
import pytest

from tests.benchmarks.table import Figure, Grid, conclude, options


def _arguments(*words: str) -> Namespace:
    return options("a benchmark").parse_args(words)


@pytest.mark.parametrize(
    ("figure", "held"),
    [
        (Figure("rate", 9.0), True),
        (Figure("rate", 10.0, target=10.0), True),
        (Figure("rate", 9.9, target=10.0), False),
        (Figure("growth", 0.05, target=0.05, bound="at most"), True),
        (Figure("growth", 0.06, target=0.05, bound="at most"), False),
        (Figure("lost", 1, target=0, bound="exactly"), False),
        (Figure("rate", math.nan, target=10.0), False),
        (Figure("growth", math.nan, target=0.05, bound="at most"), False),
        (Figure("lost", math.nan, target=0, bound="exactly"), False),
    ],
)
def test_a_target_is_held_on_its_own_side_only(figure: Figure, held: bool) -> None:
    assert figure.held is held


def test_all_held_ends_with_held_and_zero(capsys: pytest.CaptureFixture[str]) -> None:
    figures = [Figure("rate", 12, target=10), Figure("seconds", 3)]
    assert conclude(figures, _arguments()) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "held"


def test_the_last_line_names_every_figure_that_was_missed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    figures = [
        Figure("rate", 8, target=10),
        Figure("growth", 0.5, target=0.05, bound="at most", form=".0%"),
        Figure("lost", 0, target=0, bound="exactly"),
    ]
    assert conclude(figures, _arguments()) == 1
    assert capsys.readouterr().out.splitlines()[-1] == (
        "missed: rate 8 (at least 10), growth 50% (at most 5%)"
    )


def test_quick_judges_correctness_and_only_reports_the_rest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    slow = Figure("rate", 8, target=10)
    assert conclude([slow], _arguments("--quick")) == 0
    assert "not judged" in capsys.readouterr().out
    lost = Figure("lost", 1, target=0, bound="exactly", correctness=True)
    assert conclude([slow, lost], _arguments("--quick")) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "missed: lost 1 (exactly 0)"


def test_the_file_holds_all_figures_and_the_targets_as_numbers(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    figures = [Figure("rate", 12.5, target=10), Figure("seconds", 3)]
    conclude(figures, _arguments("--json", str(file)), {"a.auc": 0.5})
    assert orjson.loads(file.read_bytes()) == {
        "figures": {"a.auc": 0.5, "rate": 12.5, "seconds": 3},
        "targets": {"rate": 10},
    }


def test_a_grid_is_the_same_in_markdown() -> None:
    grid = Grid("title", ["name", "a", "b"], [["x", "1", "2"], ["y", "-", "3"]])
    assert grid.markdown().splitlines() == [
        "| name | a | b |",
        "|:--|--:|--:|",
        "| x | 1 | 2 |",
        "| y | - | 3 |",
    ]
