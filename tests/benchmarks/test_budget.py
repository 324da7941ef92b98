"""The budget benchmark: what is counted, what is a slope that is told of, and a quick run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from scipy.stats import poisson

from stream_ad.errors import InputError
from tests.benchmarks import budget
from tests.benchmarks.budget_results import figures
from tests.benchmarks.factories import DAY_S, PLANS, STEADY
from tests.benchmarks.fault_free import FAULT_FREE, fault_free
from tests.benchmarks.slopes import SLOPES, TOUCHED, Ramp, Refitted, refitted_ramps, smallest
from tests.benchmarks.tallies import Tally, poisson_interval


@pytest.mark.parametrize("count", [0, 1, 7, 60, 600])
def test_beyond_either_bound_the_count_has_a_chance_of_a_fortieth(count: int) -> None:
    low, high = poisson_interval(count)
    assert poisson.cdf(count, high) == pytest.approx(0.025)
    if count:
        assert poisson.sf(count - 1, low) == pytest.approx(0.025)
    else:
        assert low == 0


def test_every_factory_scores_thirty_machine_days_and_the_drifting_one_learns_with_the_steady() -> (
    None
):
    assert [plan.machines * plan.days for plan in PLANS] == [30, 30, 30]
    steady, rough, drifting = (plan.learned for plan in PLANS)
    assert steady == drifting != rough


def test_a_factory_creeps_only_after_its_history() -> None:
    plan = STEADY.shortened(machines=1, days=1, history_days=1)
    still, creeping = (
        np.concatenate([batch.records.values for batch in variant.source(3).batches()])
        for variant in (plan, replace(plan, creep=2.0))
    )
    before = DAY_S // 60
    assert np.array_equal(still[:before], creeping[:before], equal_nan=True)
    moved = np.abs(creeping - still)[before:]
    # 5 % of the way at once, all of it at the end; each sensor its own size
    ratio = moved[-1] / moved[0]
    assert np.nanmedian(ratio) == pytest.approx(20, rel=0.1)


def _ramp(slope: float, alarms: float) -> Ramp:
    return Ramp("one sensor", slope, alarms, drift=False, static_score=1.0)


def test_the_smallest_slope_is_the_one_from_which_on_every_seed_told() -> None:
    found = [_ramp(1, 0.9), _ramp(1, 0.1), _ramp(2, 0.5), _ramp(2, 0.9), _ramp(4, 1)]
    assert smallest(found, "one sensor") == 2
    assert np.isnan(smallest([*found, _ramp(4, 0.4)], "one sensor"))


def test_a_ramp_that_refits_have_learned_is_told_at_its_end() -> None:
    """It goes through three of them and more; by its score it is ordinary."""
    plan = replace(STEADY.shortened(machines=1, days=10, history_days=7), sensors=4, hop=8)
    config = plan.config(11, 2.0, {})
    found = refitted_ramps(plan, 11, config, [2.5], every=400, which=["one sensor"])
    ((never,), (often,)) = found.never, found.often
    assert (never.refits, never.told, never.drift) == (0, True, True)
    assert (often.told, often.drift) == (True, True)
    assert often.refits >= 3
    assert often.static_score < 1 < never.static_score


def test_targets_are_the_issues() -> None:
    tally = Tally(60, 60, 0, 1000, 100, 10, 0)
    found = [Ramp(touched, SLOPES[0], 1, drift=True, static_score=9) for touched in TOUCHED]
    names = [plan.name for plan in PLANS]
    factories, moved = {n: [tally] for n in names}, dict.fromkeys(names, 1.0)
    judged = list(figures(factories, moved, found, Refitted(found, found)))
    targets = {f.name: f.target for f in judged if f.target is not None}
    assert all(figure.held for figure in judged)
    for name in names:
        of = {k.removeprefix(f"{name}."): v for k, v in targets.items() if k.startswith(name)}
        of.pop("drift_incidents", None)
        assert of == {
            "expected": 50,
            "over_asked": 0.5,
            "over_asked.at_most": 2.0,
            "p_0.1_over": 0.7,
            "p_0.1_over.at_most": 1.4,
            "p_0.01_over": 0.7,
            "p_0.01_over.at_most": 1.4,
        }


def test_fault_free_recordings_learn_from_sixty_percent(real_data: Path) -> None:
    assert {family: len(fault_free(family, real_data)) for family in FAULT_FREE} == {
        "oil_3w": 26,
        "skab": 1,
    }
    (bench,) = fault_free("skab", real_data)
    assert (len(bench.values), bench.history, len(bench.sensors)) == (9405, 5643, 8)
    assert not bench.label.any()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no fault-free recordings of oil_3w"):
        fault_free("oil_3w", tmp_path)
    assert budget.main(["--quick", "--data", str(tmp_path)]) == 1


def test_a_quick_run_reports_every_part(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    pair = ["--model", "linear", "--scorer", "joined"]
    assert budget.main(["--quick", *pair, "--data", str(real_data), "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == "held"
    titles = ("Factory rough: 4 machine-days", "Ramps over 2 days", "95 % Poisson", "fitted anew")
    for title in titles:
        assert title in printed
    record = orjson.loads(file.read_bytes())
    assert record["figures"]["steady.expected"] == pytest.approx(8, abs=0.5)
    assert {"fault_free.oil_3w.over_asked", "normal.tep.p_0.1_over"} < set(record["figures"])
    assert record["targets"]["drifting.over_asked.at_most"] == 2.0
