"""Targets of the papers benchmark, by results that were made by hand."""

from __future__ import annotations

import math

import pytest

from tests.benchmarks import papers_targets as asked
from tests.benchmarks.papers_judging import figures
from tests.benchmarks.papers_results import MEAN, Results
from tests.benchmarks.papers_runs import Figures, Job
from tests.benchmarks.papers_tables import grids
from tests.benchmarks.papers_tasks import AS_IT_COMES, CLEAN, MORE, SEVEN
from tests.benchmarks.table import Figure

SEEDS = (1, 2)
MODELS = ("ae", "lis_ae", "linsep_lis_ae", "ncae", "deep_svdd", "deep_sad", "anorand")
GOOD: Figures = {
    **dict.fromkeys(("error", "ares", "ares_10", "ares_100", "rebuilt", "phase_1"), 100.0),
    "fit_s": 2.0,
}


def perfect() -> dict[Job, Figures]:
    """Return results in which everything holds."""
    runs: dict[Job, Figures] = {}
    for seed in SEEDS:
        for training in (CLEAN, AS_IT_COMES):
            for name in SEVEN:
                for who in MODELS:
                    runs[Job("tables", name, training, who, seed)] = dict(GOOD)
                for peer in ("kNN", "IForest"):
                    runs[Job("tables", name, training, peer, seed)] = {"score": 90.0}
            for name in (*SEVEN, *MORE):
                beside = ("default",) if name in SEVEN else ("default", "kNN", "IForest")
                for who in beside:
                    score = 95.0 if who == "default" else 90.0
                    runs[Job("table default", name, training, who, seed)] = {"score": score}
    return runs


def judged(runs: dict[Job, Figures]) -> dict[str, Figure]:
    found = figures(Results(runs), judged=True, classes=False)
    assert len({figure.name for figure in found}) == len(found)
    return {figure.name: figure for figure in found}


def change(runs: dict[Job, Figures], job: tuple[str, str, str, str], **values: float) -> None:
    for seed in SEEDS:
        runs[Job(*job, seed)] = runs[Job(*job, seed)] | values


def test_perfect_results_hold_every_target() -> None:
    found = judged(perfect())
    assert all(figure.held for figure in found.values())
    assert sum(figure.target is not None for figure in found.values()) > 40


def test_a_partial_run_is_judged_by_nothing() -> None:
    assert figures(Results(perfect()), judged=False, classes=False) == []


@pytest.mark.parametrize("target", asked.TABLES)
def test_each_figure_alone_can_miss_its_target(target: asked.Target) -> None:
    runs = perfect()
    change(runs, target[:4], **{target.scorer: target.least - 0.06})
    name = f"{target.group}.{target.training}.{target.subject}.{target.detector}.{target.scorer}"
    figure = judged(runs)[name.replace(" ", "_")]
    assert (figure.held, figure.target) == (False, target.least)
    change(runs, target[:4], **{target.scorer: target.least - 0.04})  # printed, it is the target
    assert judged(runs)[figure.name].held


def test_the_mean_is_over_seeds() -> None:
    runs = perfect()
    runs[Job("tables", "cardio", CLEAN, "ae", 1)]["error"] = 90.0
    runs[Job("tables", "cardio", CLEAN, "ae", 2)]["error"] = 96.0
    assert judged(runs)["tables.clean.cardio.ae.error"].value == 93.0
    over = Results(runs).of("tables", "cardio", CLEAN, "ae", "error")
    assert over.sd == pytest.approx(math.sqrt(18))
    assert over.text() == "93.0 ± 4.2"


def test_a_model_that_did_not_run_misses() -> None:
    runs = {job: f for job, f in perfect().items() if job.detector != "ncae"}
    found = judged(runs)
    mine = [f for name, f in found.items() if "ncae" in name and f.target is not None]
    assert len(mine) > 6
    assert not any(figure.held for figure in mine)


def test_ncae_has_to_beat_the_plain_ae_on_every_contaminated_set() -> None:
    runs = perfect()
    change(runs, ("tables", "arrhythmia", AS_IT_COMES, "ae"), error=80.0)
    change(runs, ("tables", "arrhythmia", AS_IT_COMES, "ncae"), ares=79.5)
    figure = judged(runs)["ncae.ares.as_it_comes.most_below_ae.error"]
    assert figure.value == pytest.approx(0.5)
    assert not figure.held


def test_ncae_may_lose_a_point_on_clean_sets() -> None:
    for lost, held in ((1.0, True), (1.1, False)):
        runs = perfect()
        change(runs, ("tables", "thyroid", CLEAN, "ncae"), ares=100.0 - lost)
        figure = judged(runs)["ncae.ares.clean.most_below_ae.ares"]
        assert figure.value == pytest.approx(lost)
        assert figure.held == held


@pytest.mark.parametrize(
    ("who", "of", "most"),
    [("lis_ae", "phase_1", 1), ("linsep_lis_ae", "phase_1", 1), ("anorand", "rebuilt", 2)],
)
@pytest.mark.parametrize("training", [CLEAN, AS_IT_COMES])
def test_nobody_ends_far_below_where_it_began(
    who: str, of: str, most: float, training: str
) -> None:
    for lost, held in ((most, True), (most + 0.1, False)):
        runs = perfect()
        change(runs, ("tables", "mammography", training, who), error=98.0 - lost, **{of: 98.0})
        figure = judged(runs)[f"{who}.{training}.most_below_its_{of}".replace(" ", "_")]
        assert figure.value == pytest.approx(lost)
        assert figure.held == held


def test_a_fit_takes_at_most_six_times_the_aes_on_every_set() -> None:
    runs = perfect()
    change(runs, ("tables", "thyroid", AS_IT_COMES, "deep_sad"), fit_s=12.0)
    assert judged(runs)["deep_sad.most_times_fit_of_ae"].held
    change(runs, ("tables", "thyroid", AS_IT_COMES, "ae"), fit_s=1.9)
    figure = judged(runs)["deep_sad.most_times_fit_of_ae"]
    assert figure.value == pytest.approx(12 / 1.9)
    assert not figure.held


def test_the_default_is_judged_by_the_issues_figures_and_by_the_peers_of_the_run() -> None:
    runs = perfect()
    for name in SEVEN:  # below the issue's kNN (92.0), above the one here (90.0)
        change(runs, ("table default", name, CLEAN, "default"), score=91.0)
    for name in MORE:  # above the issue's figures (73.8), below the forest here
        change(runs, ("table default", name, AS_IT_COMES, "default"), score=89.0)
        change(runs, ("table default", name, AS_IT_COMES, "kNN"), score=80.0)
    found = judged(runs)
    assert not found["default.clean.seven"].held
    assert found["default.clean.seven.over_kNN_here"].value == pytest.approx(1.0)
    assert found["default.as_it_comes.more"].held
    figure = found["default.as_it_comes.more.over_kNN_and_IForest_here"]
    assert figure.value == pytest.approx(-1.0)
    assert not figure.held


def test_no_set_may_lie_more_than_eight_points_below_knn() -> None:
    for score, held in ((82.0, True), (81.9, False)):
        runs = perfect()
        change(runs, ("table default", "wine", CLEAN, "default"), score=score)
        figure = judged(runs)["default.most_below_kNN"]
        assert figure.value == pytest.approx(90 - score)
        assert figure.held == held


def test_classes_are_averaged_within_a_seed() -> None:
    runs = {
        Job("one digit", str(digit), CLEAN, "ae", seed): {"error": 90.0 + digit + seed}
        for digit in (0, 8)
        for seed in SEEDS
    }
    over = Results(runs).of("one digit", MEAN, CLEAN, "ae", "error")
    assert over.mean == 95.5
    assert over.sd == pytest.approx(math.sqrt(0.5))
    found = {f.name: f for f in figures(Results(runs), judged=True, classes=True)}
    assert not found["one_digit.clean.mean.ae.ares_10"].held  # not measured


def test_the_tables_show_published_asked_and_ours() -> None:
    runs = perfect()
    change(runs, ("tables", "cardio", CLEAN, "ae"), error=90.0)
    shown = {grid.title: grid for grid in grids(Results(runs))}
    row = next(r for r in shown["ae"].rows if r[:2] == ["cardio", CLEAN])
    assert row[2] == "94.3"
    assert "error >= 94.0: missed" in row[3]
    assert "ares_10 >= 92.7: held" in row[3]
    gains = next(r for r in shown["ares minus error"].rows if r[:2] == ["ae", CLEAN])
    assert gains[2 + SEVEN.index("cardio")] == "+10.0"
    assert gains[-1] == "+1.4"
