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
    FAULTS,
    HELD_OUT,
    MEMBERS,
    apart,
    compare,
    with_member,
)
from stream_ad.training.comparison import Comparison, Heard, Judged
from stream_ad.training.fit import train as really_train
from stream_ad.training.history import History
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


def member(auc: float, above: float = 0.0, model: str = "ae", allowed: float = 0.02) -> Judged:
    return Judged(model, "error", above, 0.01, allowed, (Heard("spike", 3, 1, 0.5, auc),))


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


def test_every_member_is_in_the_tables() -> None:
    assert {model for model, _ in MEMBERS} <= MODELS.keys()
    assert {scorer for _, scorer in MEMBERS} <= SCORERS.keys()


class Deaf:
    """A detector whose scores say nothing, with a line that nothing reaches."""

    model, scorer = "deaf", "error"

    def __init__(self, like: Detector) -> None:
        self.known, self.card, self.calibration_ = like.known, like.card, like.calibration_
        self.line_ = SimpleNamespace(line=2.0, p_line=0.01)

    def score(self, values: NDArray[np.float32], start: NDArray[np.int64]) -> Scores:
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


def test_the_highest_auc_of_those_whose_line_held_is_taken() -> None:
    a, b, c = member(0.8), member(0.9), member(0.99, above=0.5)
    assert Comparison((a, b, c), 40).best is b
    assert Comparison((a, b, c), 40).why.endswith("the highest of those whose line held")


def test_of_equals_the_plainest_is_taken() -> None:
    a, b = member(0.896), member(0.9)
    assert Comparison((a, b), 40).best is a
    assert Comparison((member(0.894), b), 40).best is b


def test_where_no_line_held_the_highest_auc_is_taken_and_it_is_said() -> None:
    a, b = member(0.8, above=0.5), member(0.9, above=0.6)
    compared = Comparison((a, b), 40)
    assert compared.best is b
    assert "no line held" in compared.why


def test_the_card_holds_all_of_it() -> None:
    card = Comparison((member(0.9, model="linear"), member(0.8)), 40).to_card()
    assert (card["taken"], card["windows"]) == ("linear + error", 40)
    assert [m["mean_auc"] for m in card["members"]] == [0.9, 0.8]
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
