"""Members judged without labels: nothing held out is learned, and the rule takes the best."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_ad.config import Config, parse_config
from stream_ad.detector import Detector, Scores
from stream_ad.detector.models import MODELS
from stream_ad.detector.scorers import SCORERS
from stream_ad.errors import NotEnoughHistory
from stream_ad.evaluation.metrics import auc_roc
from stream_ad.progress import Silence
from stream_ad.training import compare as room
from stream_ad.training.compare import (
    HELD_OUT,
    MEMBERS,
    apart,
    compare,
    with_member,
)
from stream_ad.training.comparison import DEFAULT, Comparison, Heard, Judged
from stream_ad.training.fit import train as really_train
from stream_ad.training.history import History
from stream_ad.training.injected import FAULTS
from stream_ad.windows import Windows
from tests.detector.streams import few_steps, spec_of, waves, windows_of

SPEC = spec_of()
LINEAR = (("linear", "error"), ("linear", "ares"))


def config_of() -> Config:
    names = [sensor.name for sensor in SPEC.sensors]
    windows = {"sensors": names, "period_s": 1, "length": SPEC.length}
    alarm = {"budget_per_machine_day": 2000}
    return parse_config({"windows": windows, "alarm": alarm, "detector": {"epochs": 2}})


def history(n: int = 200, seed: int = 0) -> History:
    windows = windows_of(waves(n, seed=seed), SPEC)
    return History(windows, int(windows.start.max()) + SPEC.window_ns)


def member(
    *auc: float, above: float = 0.0, model: str = "linear", scorer: str = "joined"
) -> Judged:
    heard = tuple(Heard("spike", 3, 1, 0.5, value) for value in auc)
    return Judged(model, scorer, above, 0.01, 0.02, heard)


def test_what_judges_lies_after_all_that_teaches_and_a_gap() -> None:
    whole = history()
    learned, held_out = apart(whole, SPEC)
    assert len(held_out) == round(HELD_OUT * 200)
    assert held_out.start.max() == whole.windows.start.max()
    last = learned.windows.start.max() + SPEC.window_ns
    assert last <= learned.until
    assert held_out.start.min() - last >= SPEC.window_ns


def test_members_never_meet_what_they_are_judged_by(monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[Windows] = []

    def watched(given: History, *others: Any) -> Detector:
        met.append(given.windows)
        return really_train(given, *others)

    monkeypatch.setattr(room, "train", watched)
    whole = history()
    spoiled = History(whole.windows, whole.until)
    compared = compare(whole, config_of(), SPEC, Silence(), LINEAR)
    cut = apart(whole, SPEC)[1].start.min()
    assert len(met) == len(LINEAR)
    assert all((part.start + 2 * SPEC.window_ns <= cut).all() for part in met)
    spoiled.windows.values[spoiled.windows.start >= cut] += 100
    again = compare(spoiled, config_of(), SPEC, Silence(), LINEAR)
    assert [m.asked for m in again.members] == [m.asked for m in compared.members]
    assert all(m.above == 1 and not m.within for m in again.members)


def test_the_figures_are_those_of_the_detector() -> None:
    """Share above the line and AUC against a fit and metrics done apart from it."""
    whole, config = history(), config_of()
    found = compare(whole, config, SPEC, Silence(), LINEAR[:1]).members[0]
    learned, held_out = apart(whole, SPEC)
    detector = really_train(learned, with_member(config, *LINEAR[0]), SPEC, Silence())
    normal = detector.score(held_out.values).raw
    assert found.above == (normal > detector.line_.line).mean()
    assert found.asked == detector.line_.p_line
    wanted = [(kind, severity) for kind, severity, _ in FAULTS]
    assert [(heard.kind, heard.severity) for heard in found.heard] == wanted
    assert found.auc == np.mean([heard.auc for heard in found.heard])
    kinds = {heard.kind: heard for heard in found.heard}  # the severest of each
    assert kinds["spike"].recall == 1
    assert kinds["drift"].auc > 0.99
    assert all(0 <= heard.recall <= 1 and 0.4 < heard.auc <= 1 for heard in found.heard)


def test_auc_counts_ties_one_half() -> None:
    rng = np.random.default_rng(0)
    normal, odd = rng.integers(0, 9, 40).astype(float), rng.integers(3, 12, 30).astype(float)
    wanted = auc_roc(np.repeat([0, 1], [40, 30]), np.concatenate([normal, odd]))
    assert room._auc(np.sort(normal), odd) == pytest.approx(wanted, abs=1e-12)


def test_the_same_history_gives_the_same_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    few_steps(monkeypatch, 30)
    a, b = (compare(history(), config_of(), SPEC, Silence()) for _ in range(2))
    assert a == b
    assert tuple((m.model, m.scorer) for m in a.members) == MEMBERS


def test_the_default_is_a_member() -> None:
    assert DEFAULT in {f"{model} + {scorer}" for model, scorer in MEMBERS}


def test_every_member_is_in_the_tables() -> None:
    assert {model for model, _ in MEMBERS} <= MODELS.keys()
    assert {scorer for _, scorer in MEMBERS} <= SCORERS.keys()


class Deaf:
    """A detector whose scores say nothing, with a line that nothing reaches."""

    model, scorer = "deaf", "error"

    def __init__(self, like: Detector) -> None:
        self.known, self.card, self.calibration_ = like.known, like.card, like.calibration_
        self.line_ = SimpleNamespace(line=2.0, p_line=0.01)

    def score(
        self, values: NDArray[np.float32], start: NDArray[np.int64], machine: object = None
    ) -> Scores:
        raw = np.random.default_rng(len(values)).random(len(values))
        return Scores(raw, raw, raw[:, None])


def test_a_deaf_member_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its line always holds: that alone must not be enough."""

    def train(given: History, config: Config, *others: Any) -> Any:
        detector = really_train(given, config, *others)
        return Deaf(detector) if config.detector.scorer == "ares" else detector

    monkeypatch.setattr(room, "train", train)
    compared = compare(history(), config_of(), SPEC, Silence(), LINEAR[::-1])
    deaf, hearing = compared.members
    assert deaf.within
    assert deaf.recall == 0
    assert deaf.auc == pytest.approx(0.5, abs=0.1)
    assert compared.best == hearing


USUAL = member(0.6, 0.6, 0.6, 0.6)
CLEAR = member(0.5, 0.7, 0.7, 0.7, scorer="error")


def test_who_is_better_in_three_quarters_of_the_faults_replaces_the_default() -> None:
    compared = Comparison((CLEAR, USUAL), 40)
    assert compared.usual is USUAL
    assert compared.best is CLEAR
    assert compared.why == "mean AUC 0.650, better in 3 of the 4 faults than linear + joined, 0.600"
    assert Comparison((USUAL, CLEAR, member(0.7, 0.8, 0.8, 0.8, model="ae")), 40).best.model == "ae"


@pytest.mark.parametrize(
    "other",
    [
        member(0.6, 0.6, 0.9, 0.9, model="ae"),  # ties are no gain
        member(0.1, 0.7, 0.7, 0.7, model="ae"),  # loses more than it gains
        member(0.6, 0.61, 0.61, 0.61, model="ae"),
        member(0.9, 0.9, 0.9, 0.9, model="ae", above=0.5),
    ],
    ids=["in half of the faults", "not in the mean", "by too little", "its line broke"],
)
def test_who_is_not_clearly_better_does_not(other: Judged) -> None:
    compared = Comparison((other, USUAL), 40)
    assert compared.best is USUAL
    assert compared.why.endswith("whose line held is better by 0.01 and in 3 of the 4 faults")


def test_the_default_stays_where_its_line_broke_and_it_is_said() -> None:
    moved = member(0.6, 0.6, 0.6, 0.6, above=0.5)
    wide = member(0.5, 0.6, 0.5, 0.5, scorer="error")
    compared = Comparison((wide, moved), 40)
    assert compared.best is moved
    assert compared.why.endswith("; its line did not hold on the held-out windows")
    assert Comparison((moved, CLEAR), 40).best is CLEAR


def test_without_the_default_the_first_is_to_be_beaten() -> None:
    first, second = member(0.6, model="ae"), member(0.5, model="ae", scorer="error")
    assert Comparison((first, second), 40).best is first
    assert Comparison((second, first), 40).best is first
    alone = Comparison((second,), 40)
    assert (alone.best, alone.why) == (second, "mean AUC 0.500")


def test_the_card_holds_all_of_it() -> None:
    card = Comparison((member(0.9, scorer="error"), member(0.8)), 40).to_card()
    assert (card["taken"], card["usual"]) == ("linear + error", "linear + joined")
    assert card["windows"] == 40
    assert [m["mean_auc"] for m in card["members"]] == [0.9, 0.8]
    assert [m["hears_more"] for m in card["members"]] == [1, 0]
    assert card["members"][0]["heard"] == (
        {"kind": "spike", "severity": 3, "sensors": 1, "recall": 0.5, "auc": 0.9},
    )


def test_too_little_to_judge_by_is_said() -> None:
    with pytest.raises(NotEnoughHistory, match="a quarter of the history's 30 windows"):
        compare(history(30), config_of(), SPEC, Silence())
    whole = history()
    whole.windows.values[whole.windows.start >= apart(whole, SPEC)[1].start.min()] = np.nan
    with pytest.raises(NotEnoughHistory, match="apart 0 are usable"):
        compare(whole, config_of(), SPEC, Silence())
