"""Laws that a detector keeps with every model, network and scorer; each has one that breaks it.

A law takes a function from settings to an unfitted detector. What a network learns depends on
no scorer, so laws share trainings (`remembered_fits`) but for the one that trains twice.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_ad.detector import Detector, Scores
from stream_ad.detector.models import MODELS
from stream_ad.detector.networks import NETWORKS
from stream_ad.detector.scorers import SCORERS
from stream_ad.errors import ArtifactCorrupt, InputError
from stream_ad.windows.spec import NS
from tests.detector.streams import few_steps, waves
from tests.laws.remembering import remembered_fits

T, C = 16, 3
STEPS = 20  # of every phase of a training
Make = Callable[..., Any]

# `joined` reads latents and windows, whatever the body: one network is enough for it
EVERY = [
    (m, n, s) for m in MODELS for n in NETWORKS for s in SCORERS if s != "joined" or n == "dense"
]
SEEDLESS = {"linear"}  # of these, histories of this size leave nothing to chance


@pytest.fixture
def _few_steps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        few_steps(patch, STEPS)
        yield


def history(n: int = 80) -> NDArray[np.float32]:
    return waves(n, T, C)


def law_the_same_seed_gives_the_same_scores(make: Make) -> None:
    """Give the same bytes for the same seed."""
    a, b = (make(seed=1).fit(history()).decision_function(history()) for _ in range(2))
    assert a.tobytes() == b.tobytes()


def law_saving_and_loading_changes_nothing(make: Make) -> None:
    """Save, load, score: the same bytes."""
    d = make().fit(history())
    with tempfile.TemporaryDirectory() as folder:
        d.save(Path(folder) / "m")
        again = type(d).load(Path(folder) / "m")
    assert again.score(history()).raw.tobytes() == d.score(history()).raw.tobytes()


def law_fit_leaves_the_history_as_it_is(make: Make) -> None:
    """Neither fitting nor scoring writes into its input."""
    x = history()
    before = x.copy()
    make().fit(x).explain(x)
    assert x.tobytes() == before.tobytes()


def law_scoring_never_learns(make: Make) -> None:
    """Scores stay the same whatever was scored before."""
    d = make().fit(history())
    first = d.decision_function(history()).tobytes()
    d.decision_function(history() + 100)
    d.explain(history() - 100)
    assert d.decision_function(history()).tobytes() == first


def law_a_constant_sensor_survives_and_shows_when_it_moves(make: Make) -> None:
    """Score a sensor that stood still; see its move as an anomaly of that sensor."""
    x = history()
    x[:, :, 1] = 5
    d = make().fit(x)
    moved = x.copy()
    moved[:, :, 1] = 9
    assert np.isfinite(d.decision_function(x)).all()
    assert np.median(d.decision_function(moved)) > d.decision_function(x).max()
    assert (d.score(moved).sensor_error.argmax(axis=1) == 1).mean() > 0.9


def law_repeated_rows_are_survived(make: Make) -> None:
    """Every window fifty times: finite scores, and an odd window still stands out."""
    x = np.repeat(history(12), 50, axis=0)
    d = make().fit(x)
    scores = d.decision_function(x)
    assert np.isfinite(scores).all()
    assert d.decision_function(x[:1] + 50)[0] > scores.max()


def law_more_neighbours_than_windows_are_survived(make: Make) -> None:
    """Take k near, at and beyond the number of windows in the bank."""
    n = len(make().fit(history(30))._fitted().scorer.bank)
    for k in (n - 1, n, n + 1, 1000):
        assert np.isfinite(make(k=k).fit(history(30)).decision_function(history(30))).all()


def law_higher_is_more_anomalous(make: Make) -> None:
    """Score a window the higher, the farther it is shifted."""
    d = make().fit(history())
    x = history(200)[180:]
    medians = [float(np.median(d.decision_function(x + shift))) for shift in (0, 3, 30, 3000)]
    assert medians == sorted(medians)
    assert medians[0] < medians[-1]


def law_what_cannot_be_scored_is_a_named_error(make: Make) -> None:
    """Raise InputError for a window of NaN and for a wrong shape, never give a number."""
    d = make().fit(history())
    for bad in (np.full((2, T, C), np.nan), np.zeros((2, C, T)), np.zeros((2, T)), np.zeros(T)):
        with pytest.raises(InputError):
            d.score(bad)


def law_holes_are_survived(make: Make) -> None:
    """Learn from windows with a fifth of their cells missing and a sensor that never spoke."""
    x = history()
    x[np.random.default_rng(0).random(x.shape) < 0.2] = np.nan
    x[:, :, 2] = np.nan
    d = make().fit(x)
    assert np.isfinite(d.decision_function(x)).all()
    assert np.isfinite(d.decision_function(history())).all()


def law_labelled_anomalies_are_not_in_the_bank(make: Make) -> None:
    """Keep rows that are labelled anomalous out of what counts as normal."""
    x, y = history(), np.zeros(80, np.int64)
    y[10:60:10] = -1
    x[y < 0] += 30
    d = make().fit(x, y)
    rows = d._fitted().scorer.bank.start // (T * NS)
    assert len(rows)
    assert not set(rows) & set(np.flatnonzero(y < 0))
    normal = d.decision_function(x[y == 0])
    assert np.median(d.decision_function(x[y < 0])) > np.median(normal)


def law_a_changed_file_is_refused(make: Make) -> None:
    """Load nothing when a bit of any file but the card is another one."""
    d = make().fit(history())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m"
        d.save(path)
        for file in (f for f in path.iterdir() if f.suffix != ".json"):
            whole = file.read_bytes()
            file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
            with pytest.raises(ArtifactCorrupt):
                type(d).load(path)
            file.write_bytes(whole)


DETECTOR_LAWS = [
    law_the_same_seed_gives_the_same_scores,
    law_saving_and_loading_changes_nothing,
    law_fit_leaves_the_history_as_it_is,
    law_scoring_never_learns,
    law_a_constant_sensor_survives_and_shows_when_it_moves,
    law_repeated_rows_are_survived,
    law_more_neighbours_than_windows_are_survived,
    law_higher_is_more_anomalous,
    law_what_cannot_be_scored_is_a_named_error,
    law_holes_are_survived,
    law_labelled_anomalies_are_not_in_the_bank,
    law_a_changed_file_is_refused,
]


@pytest.mark.usefixtures("_few_steps")
@pytest.mark.parametrize("law", DETECTOR_LAWS)
@pytest.mark.parametrize(("model", "network", "scorer"), EVERY)
def test_detector(law: Callable[[Make], None], model: str, network: str, scorer: str) -> None:
    def make(**settings: Any) -> Detector:
        return Detector(model, scorer, network=network, epochs=1, **settings)

    # with one scorer the training is repeated, the others show that they repeat themselves
    repeated = law is law_the_same_seed_gives_the_same_scores and scorer == "ares"
    with remembered_fits(off=repeated):
        law(make)


@pytest.mark.usefixtures("_few_steps")
@pytest.mark.parametrize("model", MODELS)
def test_the_seed_decides_all_that_is_left_to_chance(model: str) -> None:
    with remembered_fits():
        a, b = (
            Detector(model, epochs=1, seed=seed).fit(history()).decision_function(history())
            for seed in (1, 2)
        )
    assert (a.tobytes() == b.tobytes()) == (model in SEEDLESS)


@dataclass
class Rows:
    """A bank that knows when its windows began."""

    start: NDArray[np.int64]

    def __len__(self) -> int:
        return min(10, len(self.start))


class Stand:
    """A detector that scores by the mean absolute value; broken subjects change one thing."""

    def __init__(self, seed: int = 0, k: int = 10) -> None:
        self.seed, self.k = seed, k

    def fit(self, x: NDArray[np.float32], y: NDArray[np.int64] | None = None) -> Stand:
        normal = np.flatnonzero(np.ones(len(x)) if y is None else y >= 0)
        self.level, self.bank = x[normal].mean(axis=0), Rows(normal * (T * NS))
        return self

    def _fitted(self) -> SimpleNamespace:
        return SimpleNamespace(scorer=SimpleNamespace(bank=self.bank))

    def raw(self, x: Any) -> NDArray[np.float64]:
        apart: NDArray[np.float64] = np.abs(np.asarray(x, float) - self.level).mean(axis=(1, 2))
        return apart + self.seed

    def score(self, x: Any) -> Scores:
        raw = self.raw(x)
        return Scores(raw, raw, np.abs(x - self.level).mean(axis=1))

    def decision_function(self, x: Any) -> NDArray[np.float64]:
        return self.score(x).raw

    def explain(self, x: Any) -> None:
        self.score(x)

    def save(self, path: Path) -> None:
        path.mkdir()
        np.save(path / "level.npy", self.level)

    @classmethod
    def load(cls, path: Path) -> Stand:
        self = cls()
        self.level = np.load(path / "level.npy")
        return self


class Seedless(Stand):
    def raw(self, x: Any) -> NDArray[np.float64]:
        return super().raw(x) + np.random.default_rng().random()


class Forgetful(Stand):
    def save(self, path: Path) -> None:
        path.mkdir()
        np.save(path / "level.npy", self.level.round(1))


class Scribbling(Stand):
    def fit(self, x: NDArray[np.float32], y: NDArray[np.int64] | None = None) -> Stand:
        super().fit(x, y)
        x -= self.level
        return self


class Learning(Stand):
    def score(self, x: Any) -> Scores:
        self.level = self.level * 0.9 + np.mean(x, axis=0) * 0.1
        return super().score(x)


class Dividing(Stand):
    def score(self, x: Any) -> Scores:
        with np.errstate(all="ignore"):
            raw = np.abs((x - self.level) / x.std(axis=0)).mean(axis=(1, 2))
        return Scores(raw, raw, raw[:, None].repeat(C, 1))


class Infinite(Stand):
    def fit(self, x: NDArray[np.float32], y: NDArray[np.int64] | None = None) -> Stand:
        self.spacing = np.abs(np.diff(x, axis=0)).mean(axis=(1, 2)).min()
        return super().fit(x, y)

    def raw(self, x: Any) -> NDArray[np.float64]:
        scores: NDArray[np.float64] = super().raw(x) / self.spacing
        return scores


class Greedy(Stand):
    def raw(self, x: Any) -> NDArray[np.float64]:
        assert self.k <= 10, "k > n"
        return super().raw(x)


class Inverted(Stand):
    def raw(self, x: Any) -> NDArray[np.float64]:
        return -super().raw(x)


class Tolerant(Stand):
    def score(self, x: Any) -> Scores:
        return super().score(np.zeros((1, T, C)))


class Deaf(Stand):
    def fit(self, x: NDArray[np.float32], y: NDArray[np.int64] | None = None) -> Stand:
        return super().fit(x)


class Whole(Stand):
    """Takes the mean over holes, which is none."""


class Trusting(Stand):
    """Checks no digest."""


BROKEN_DETECTORS: dict[Callable[[Make], None], type[Stand]] = {
    law_the_same_seed_gives_the_same_scores: Seedless,
    law_saving_and_loading_changes_nothing: Forgetful,
    law_fit_leaves_the_history_as_it_is: Scribbling,
    law_scoring_never_learns: Learning,
    law_a_constant_sensor_survives_and_shows_when_it_moves: Dividing,
    law_repeated_rows_are_survived: Infinite,
    law_more_neighbours_than_windows_are_survived: Greedy,
    law_higher_is_more_anomalous: Inverted,
    law_what_cannot_be_scored_is_a_named_error: Tolerant,
    law_holes_are_survived: Whole,
    law_labelled_anomalies_are_not_in_the_bank: Deaf,
    law_a_changed_file_is_refused: Trusting,
}


@pytest.mark.parametrize("law", DETECTOR_LAWS)
def test_a_broken_detector_fails(law: Callable[[Make], None]) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)), np.errstate(all="ignore"):
        law(BROKEN_DETECTORS[law])


KEPT_BY_THE_STAND = [
    law
    for law in DETECTOR_LAWS
    if BROKEN_DETECTORS[law] not in {Dividing, Tolerant, Whole, Trusting}
]


@pytest.mark.parametrize("law", KEPT_BY_THE_STAND)
def test_the_stand_in_itself_keeps_the_laws(law: Callable[[Make], None]) -> None:
    """So the broken ones fail for what is broken in them."""
    law(Stand)
