"""A good challenger passes; each fault of a challenger is refused by the check that is for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_ad.alerting.drift import DAY_NS
from stream_ad.config import Config, DriftConfig, parse_config
from stream_ad.detector import Detector, Scores
from stream_ad.errors import ModelError
from stream_ad.progress import Silence
from stream_ad.training import recall
from stream_ad.training.fit import train
from stream_ad.training.gate import Verdict, judge, split
from stream_ad.training.history import History
from stream_ad.training.reference import Normal
from stream_ad.windows import Windows
from tests.detector.streams import spec_of

SPEC = spec_of(length=8, sensors=4, period_s=300)  # 36 windows a day
OTHERS = ("a", "b")
NAMES = ["alarm_rate", "sensors", "faults", "labelled", "index", "moved"]


def config_of(**training: Any) -> Config:
    windows = {"sensors": list(SPEC.names), "period_s": 300, "length": 8}
    return parse_config(
        {
            "windows": windows,
            "alarm": {"budget_per_machine_day": 0.5},
            "training": {"gate": training},
        }
    )


CONFIG = config_of()
ODD = np.array([1.5, 0, 0, 0], np.float32)
FAR = np.array([3, -3, 3, -3], np.float32)


LAST = 32  # days that there are


@cache
def plant(machine: str) -> NDArray[np.float32]:
    """Return the windows of a machine, (n, 8, 4): what four sensors share, and what each adds."""
    rng = np.random.default_rng(OTHERS.index(machine))
    slots = LAST * 36 * 8
    pushes = rng.normal(size=slots)
    load = np.zeros(slots)
    for t in range(1, slots):
        load[t] = 0.8 * load[t - 1] + 0.6 * pushes[t]
    gains = np.array([1.0, -0.8, 0.6, 1.2])
    values = 10 + load[:, None] * gains + 0.2 * rng.normal(size=(slots, 4))
    return np.asarray(values.reshape(-1, 8, 4), np.float32)


def days(first: int, last: int) -> Windows:
    """Return the windows of two machines from one day to another."""
    rows = np.arange(36 * first, 36 * last)
    values = np.stack([plant(name)[rows] for name in OTHERS], axis=1).reshape(-1, 8, 4)
    machine = np.array([*OTHERS] * len(rows), object)
    start = rows.repeat(2) * SPEC.hop_ns
    return Windows(machine, start, values, np.arange(len(start)))


def fitted(windows: Windows, config: Config = CONFIG) -> Detector:
    until = int(windows.start.max()) + SPEC.window_ns
    return train(History(windows, until), config, SPEC, Silence())


class Parts(NamedTuple):
    """What the gate is given, so that a test changes one thing."""

    challenger: Any
    champion: Any
    reference: Any
    learned: Windows
    held_out: Windows
    anomalies: Windows
    config: Config = CONFIG
    accepted: frozenset[str] = frozenset()

    def verdict(self) -> Verdict:
        return judge(
            self.challenger,
            self.champion,
            self.reference,
            self.learned,
            self.held_out,
            self.anomalies,
            self.config,
            SPEC,
            moved=None,
            accepted=self.accepted,
            now=18 * DAY_NS,
        )


NONE = days(0, 0)


@cache
def champion() -> Detector:
    return fitted(days(0, 10))


def challenge(windows: Windows | None = None) -> Parts:
    """Return a challenger of eighteen days beside the champion of the first ten."""
    windows = days(4, 18) if windows is None else windows
    learned, _, held_out = split(windows, np.zeros(len(windows), np.int64), SPEC, 0.2)
    return Parts(fitted(learned), champion(), champion(), learned, held_out, NONE)


@cache
def good() -> Parts:
    return challenge()


def refused_by(verdict: Verdict) -> list[str]:
    assert not verdict.passed
    assert verdict.sentence.startswith("refused: ")
    return [check.name for check in verdict.checks if not check.passed]


def figures(verdict: Verdict, name: str) -> dict[str, float]:
    return next(check.figures for check in verdict.checks if check.name == name)


def with_line(detector: Detector, line: float) -> Any:
    """Return the detector with another alarm line."""
    return View(detector, line=line)


class View:
    """A detector that differs in what a test says, the same in all else."""

    def __init__(
        self,
        of: Detector,
        *,
        line: float | None = None,
        known: NDArray[np.bool_] | None = None,
        card: dict[str, Any] | None = None,
        score: Callable[[Scores], Scores] = lambda scores: scores,
    ) -> None:
        self._of, self._score = of, score
        self.line_ = of.line_ if line is None else replace(of.line_, line=line)
        self.known = of.known if known is None else known
        self.card = of.card | (card or {})
        self.calibration_ = of.calibration_

    def score(
        self, values: NDArray[np.float32], start: NDArray[np.int64], machine: object = None
    ) -> Scores:
        return self._score(self._of.score(values, start))


def broken(scores: Scores) -> Scores:
    raw = scores.raw.copy()
    raw[-1:] = np.nan
    return replace(scores, raw=raw)


# ----------------------------------------------------------------- as it should be


def test_a_good_challenger_passes_and_says_what_it_was_held_against() -> None:
    verdict = good().verdict()
    assert verdict.passed, verdict.sentence
    assert [check.name for check in verdict.checks] == NAMES
    assert verdict.sentence.startswith("passed: ")
    assert "held-out windows alarm" in verdict.sentence
    assert "recall of injected faults" in verdict.sentence
    assert verdict.beyond == ()
    assert verdict.moved.at == 18 * DAY_NS
    assert verdict.moved.total.keys() == {*OTHERS, "*"}


def test_the_figures_are_those_of_the_detectors() -> None:
    """Counted anew, apart from the gate."""
    parts = good()
    raw = parts.challenger.score(parts.held_out.values, parts.held_out.start).raw
    found = parts.verdict()
    assert figures(found, "alarm_rate")["above"] == (raw > parts.challenger.line_.line).mean()
    assert figures(found, "alarm_rate")["windows"] == len(parts.held_out)
    faults = figures(found, "faults")
    kinds = ("spike", "drift", "stuck", "lost_correlation", "delay", "scale")
    # every kind twice, and each time in windows of all machines
    assert faults["recall"] == pytest.approx(np.mean([faults[kind] for kind in kinds]))
    losses = [faults[f"champion_{kind}"] - faults[kind] for kind in kinds]
    assert faults["worst_loss"] == pytest.approx(max(losses))
    assert faults["loss"] == pytest.approx(faults["champion"] - faults["recall"])


def test_the_same_is_judged_the_same() -> None:
    assert good().verdict() == challenge().verdict()


def test_a_verdict_is_plain_json_even_where_a_figure_is_no_number() -> None:
    card = {"index": "hnsw", "index_check": {}}
    for verdict in (good().verdict(), _with(challenger=View(good().challenger, card=card))):
        text = json.dumps(verdict.to_json(), allow_nan=False)
        back = json.loads(text)
        assert back["passed"] is verdict.passed
        assert back["sentence"] == verdict.sentence
        assert [check["name"] for check in back["checks"]] == NAMES
    assert back["checks"][4]["figures"] == {"recall": None}


def _with(**changes: Any) -> Verdict:
    return good()._replace(**changes).verdict()


# ----------------------------------------------------------------- one fault, one check


def test_one_that_alarms_on_the_held_out_windows_is_refused() -> None:
    parts = good()
    raw = np.sort(parts.challenger.score(parts.held_out.values, parts.held_out.start).raw)
    low = with_line(parts.challenger, float(raw[len(raw) * 3 // 4]))
    verdict = _with(challenger=low)
    assert refused_by(verdict) == ["alarm_rate"]
    above = figures(verdict, "alarm_rate")["above"]
    assert f"{above:.1%} of {len(raw)} held-out windows alarm" in verdict.sentence
    assert "its line stands for" in verdict.sentence


def test_one_that_hears_less_is_refused() -> None:
    line = good().challenger.line_
    deaf = with_line(good().challenger, line.median + 4 * (line.line - line.median))
    verdict = _with(challenger=deaf)
    assert refused_by(verdict) == ["faults"]
    found = figures(verdict, "faults")
    assert found["loss"] > 0.05
    said = f"recall of injected faults fell from {found['champion']:.2f} to {found['recall']:.2f}"
    assert said in verdict.sentence


def test_one_that_lost_a_single_kind_is_refused_by_it() -> None:
    """The mean may fall by as much as it likes here."""
    line = good().challenger.line_
    deaf = with_line(good().challenger, line.median + 4 * (line.line - line.median))
    lenient = good()._replace(challenger=deaf, config=config_of(recall_loss=1.0, worst_loss=0.2))
    verdict = lenient.verdict()
    assert refused_by(verdict) == ["faults"]
    assert figures(verdict, "faults")["worst_loss"] > 0.2
    assert "by more than 0.2" in verdict.sentence
    assert "injected faults fell" not in verdict.sentence
    allowed = lenient._replace(config=config_of(recall_loss=1.0, worst_loss=1.0)).verdict()
    assert allowed.passed, allowed.sentence


def some(windows: Windows, share: float) -> NDArray[np.bool_]:
    return np.random.default_rng(0).random(len(windows)) < share


def odd(windows: Windows, ill: NDArray[np.bool_] | None = None) -> Windows:
    values = windows.values + ODD * (1 if ill is None else ill[:, None, None])
    return replace(windows, values=values)


def test_one_that_learned_a_fault_of_a_few_windows_is_refused_by_the_reference() -> None:
    """Its held-out windows have the fault as well: at the same alarm rate nothing seems lost."""
    windows = days(4, 18)
    parts = challenge(odd(windows, some(windows, 0.2) & (windows.machine == "a")))
    verdict = parts.verdict()
    assert refused_by(verdict) == ["moved"]
    assert verdict.beyond[0] == "a"
    assert "a tenth of what a showed lately scores at least" in verdict.sentence


def test_one_that_no_longer_finds_what_was_labelled_is_refused() -> None:
    """It learned as normal what an operator labelled an anomaly on another day."""
    windows = days(4, 18)
    lenient = config_of(recall_loss=1.0, worst_loss=1.0)
    parts = challenge(odd(windows, some(windows, 0.1)))
    parts = parts._replace(reference=None, anomalies=odd(days(30, 31)), config=lenient)
    verdict = parts.verdict()
    assert refused_by(verdict) == ["labelled"]
    assert figures(verdict, "labelled")["anomalies"] == 2  # one on each machine
    assert figures(verdict, "labelled")["window_recall"] < 0.6
    assert "of their windows" in verdict.sentence
    assert (
        parts._replace(config=config_of(recall_loss=1, worst_loss=1, labelled_loss=1))
        .verdict()
        .passed
    )
    kept = good()._replace(anomalies=odd(days(30, 31))).verdict()
    assert kept.passed, kept.sentence
    assert "of 2 labelled anomalies it finds 2, the champion 2" in kept.sentence


def test_one_labelled_anomaly_that_opens_no_incident_any_more_refuses() -> None:
    """So few windows that chance would explain them."""
    anomalies = odd(days(30, 31)).take(np.array([0, 2, 40, 42]))
    line = float(good().challenger.score(anomalies.values, anomalies.start).raw.max())
    deaf = with_line(good().challenger, line)
    lenient = config_of(recall_loss=1.0, worst_loss=1.0)
    verdict = _with(challenger=deaf, anomalies=anomalies, config=lenient)
    assert refused_by(verdict) == ["labelled"]
    assert "of 2 labelled anomalies it finds 0, the champion 2" in verdict.sentence


def test_a_champion_that_keeps_its_rate_is_asked_what_it_finds_now() -> None:
    """Held to the lower rate of a challenger, it would find no more than that one does."""
    anomalies, held_out = odd(days(30, 31)).take(np.array([0, 2, 40, 42])), good().held_out
    challenger, champion = good().challenger, good().champion
    found = challenger.score(anomalies.values, anomalies.start).raw
    deaf = with_line(challenger, float(found.max()))
    pair = recall.Pair.at_same_rate(deaf, champion, held_out)
    assert pair.rate.within
    assert pair.found_so_far(anomalies)[1].all()
    ordinary = float(np.quantile(champion.score(held_out.values, held_out.start).raw, 0.6))
    pair = recall.Pair.at_same_rate(deaf, with_line(champion, ordinary), held_out)
    assert not pair.rate.within
    assert (pair.found(anomalies)[1] == pair.found_so_far(anomalies)[1]).all()


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ({"recall": 0.979}, "its index finds 97.9% of the neighbours, less than 98%"),
        ({"recall": float("nan")}, "less than 98%"),
        ({}, "less than 98%"),
        ({"recall": None}, "less than 98%"),
    ],
)
def test_an_index_that_misses_neighbours_is_refused(check: dict[str, Any], said: str) -> None:
    verdict = _with(
        challenger=View(good().challenger, card={"index": "hnsw", "index_check": check})
    )
    assert refused_by(verdict) == ["index"]
    assert said in verdict.sentence


def test_an_index_that_finds_enough_passes() -> None:
    card = {"index": "hnsw", "index_check": {"recall": 0.98}}
    assert _with(challenger=View(good().challenger, card=card)).passed


def test_one_that_learned_what_lies_far_from_the_reference_is_refused() -> None:
    """The champion has learned it already; only the reference knows better."""
    windows = days(4, 18)
    shift = FAR * (windows.machine == "a")[:, None, None]
    parts = challenge(replace(windows, values=windows.values + shift))
    verdict = parts._replace(champion=parts.challenger).verdict()
    assert refused_by(verdict) == ["moved"]
    assert "a" in verdict.beyond
    assert "b" not in verdict.beyond
    assert "of what a showed lately" in verdict.sentence
    assert "stream-ad label ID normal --new-normal" in verdict.sentence
    accepted = parts._replace(champion=parts.challenger, accepted=frozenset({"a"})).verdict()
    assert accepted.passed, accepted.sentence
    assert "an operator accepted the new normal of a" in accepted.sentence


def test_one_that_lost_a_sensor_with_values_is_refused() -> None:
    known = good().champion.known & np.array([True, True, True, False])
    verdict = _with(challenger=View(good().challenger, known=known))
    assert refused_by(verdict) == ["sensors"]
    assert "it would not watch s3, which has values" in verdict.sentence


# ----------------------------------------------------------------- through several retrains


def fed(windows: Windows, by: Detector, height: float) -> tuple[Windows, float]:
    """Move machine a as far as it stays below a share of the line of a detector."""
    mine = (windows.machine == "a")[:, None, None]
    moved, size = windows, 0.0
    for step in np.linspace(0, 1.5, 76).tolist():
        odd = replace(windows, values=windows.values + FAR / 3 * np.float32(step) * mine)
        static = by.line_.static_score(by.score(odd.values, odd.start).raw[mine[:, 0, 0]])
        if np.median(static) > height:
            break
        moved, size = odd, step
    return moved, size


def test_one_machine_fed_just_below_the_line_cannot_take_the_model_along() -> None:
    """Every challenger is trained on what its champion let pass, until the reference says no."""
    drift = DriftConfig(max_per_day=1.5, max_total=3.0)
    config = CONFIG.model_copy(update={"drift": drift})
    scores, moved, passed = champion(), None, []
    history = [days(2, 10)]
    for day in range(10, 30):
        crafted, size = fed(days(day, day + 1), scores, 0.9)
        history.append(crafted)
        learned, _, held_out = split(Windows.concat(history), zeros(history), SPEC, 0.2)
        made = fitted(learned)
        verdict = judge(
            made,
            scores,
            champion(),
            learned,
            held_out,
            NONE,
            config,
            SPEC,
            moved=moved,
            accepted=frozenset(),
            now=(day + 1) * DAY_NS,
        )
        if not verdict.passed:
            break
        scores, moved, history = made, verdict.moved, history[-4:]
        passed.append(size)
    assert "moved" in refused_by(verdict)
    assert verdict.beyond[0] == "a"
    assert "b" not in verdict.beyond
    assert len(passed) >= 3
    assert passed[-1] > 1.5 * passed[0]  # the champions alone would have gone on with it
    assert moved is not None
    noise = Normal(champion()).noise(20, 20).max()
    assert max(moved.total["a"]) <= drift.max_total + noise


def zeros(parts: list[Windows]) -> NDArray[np.int64]:
    return np.zeros(sum(map(len, parts)), np.int64)


# ----------------------------------------------------------------- sensors come and go


def silenced(windows: Windows, sensor: int) -> Windows:
    values = windows.values.copy()
    values[:, :, sensor] = np.nan
    return replace(windows, values=values)


def test_a_sensor_that_fell_silent_is_told_and_no_reason_to_refuse() -> None:
    """Far from the reference it may be all the same; then both are said."""
    parts = challenge(silenced(days(4, 18), 2))
    wide = CONFIG.model_copy(update={"drift": DriftConfig(max_per_day=100, max_total=100)})
    for verdict in (parts._replace(config=wide).verdict(), parts.verdict()):
        assert "it no longer watches s2, silent of late" in verdict.sentence
        assert figures(verdict, "sensors") == {"known": 3, "lost": 1, "gained": 0}
        assert [check.name for check in verdict.checks if not check.passed] in ([], ["moved"])
    assert parts._replace(config=wide).verdict().passed


def test_a_sensor_that_the_champion_never_knew_is_told() -> None:
    old = fitted(silenced(days(0, 10), 1))
    verdict = _with(champion=old, reference=old)
    assert verdict.passed, verdict.sentence
    assert "it also watches s1" in verdict.sentence


def test_a_champion_that_can_score_nothing_of_late_is_followed() -> None:
    only = days(0, 10)
    for sensor in (1, 2, 3):
        only = silenced(only, sensor)
    verdict = challenge(silenced(days(4, 18), 0))._replace(champion=fitted(only)).verdict()
    faults = next(check for check in verdict.checks if check.name == "faults")
    assert faults.passed
    assert "can score too few of the held-out windows" in faults.sentence


# ----------------------------------------------------------------- corrupted, or nobody there


@pytest.mark.parametrize("who", ["challenger", "champion", "reference"])
def test_scores_that_are_no_numbers_never_pass(who: str) -> None:
    verdict = _with(**{who: View(champion(), score=broken)})
    assert refused_by(verdict) == ["scores"]
    assert f"the {who} gives scores that are not finite numbers" in verdict.sentence
    assert verdict.moved.total == {}


@pytest.mark.parametrize("who", ["challenger", "champion", "reference"])
@pytest.mark.parametrize("line", [np.nan, np.inf, -1e9])
def test_a_line_that_is_no_number_above_the_median_never_passes(who: str, line: float) -> None:
    assert refused_by(_with(**{who: with_line(good().challenger, line)})) == ["scores"]


def test_a_detector_that_says_it_is_broken_never_passes() -> None:
    def fails(scores: Scores) -> Scores:
        raise ModelError(f"{len(scores)} of {len(scores)} scores are not finite numbers")

    verdict = _with(challenger=View(champion(), score=fails))
    assert refused_by(verdict) == ["scores"]
    assert "the challenger is broken: " in verdict.sentence


def test_at_a_cold_start_the_line_and_the_index_are_judged() -> None:
    parts = good()._replace(champion=None, reference=None)
    verdict = parts.verdict()
    assert verdict.passed
    assert [check.name for check in verdict.checks] == ["alarm_rate", "index"]
    card = {"index": "hnsw", "index_check": {"recall": 0.5}}
    assert refused_by(parts._replace(challenger=View(champion(), card=card)).verdict()) == ["index"]
    line = with_line(good().challenger, np.inf)
    assert refused_by(parts._replace(challenger=line).verdict()) == ["scores"]
    assert refused_by(parts._replace(challenger=View(champion(), score=broken)).verdict())


def test_without_a_reference_that_is_said() -> None:
    verdict = _with(reference=None)
    assert verdict.passed
    moved = next(check for check in verdict.checks if check.name == "moved")
    assert "no reference yet" in moved.sentence


def test_held_out_windows_without_values_are_no_proof() -> None:
    held_out = good().held_out
    empty = replace(held_out, values=np.full_like(held_out.values, np.nan))
    verdict = _with(held_out=empty)
    assert "alarm_rate" in refused_by(verdict)
    assert "it can score 0 of the held-out windows, at least 4 are needed" in verdict.sentence


# ----------------------------------------------------------------- at the same alarm rate


def test_a_champion_that_alarms_on_everything_does_not_win_by_recall(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Were its line not raised, nobody could follow it."""
    line = champion().line_
    shrill = with_line(champion(), float(np.nextafter(line.median, np.inf)))
    verdict = _with(champion=shrill)
    assert verdict.passed, verdict.sentence
    assert "the champion's line no longer holds" in verdict.sentence
    assert figures(verdict, "faults")["champion_above"] > 0.4
    monkeypatch.setattr(recall, "raised", lambda line, raw, above: line)
    assert refused_by(_with(champion=shrill)) == ["faults"]


def test_a_view_is_the_detector_that_it_shows() -> None:
    """What the tests above rest on."""
    assert _with(challenger=View(good().challenger)) == good().verdict()
