"""Laws that every model, network and scorer keeps; each has a subject that breaks it.

A law is a small function that takes a subject and raises AssertionError. A new model needs
no test of its own for them: it is in the table.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stream_ad.detector import Detector, Scores
from stream_ad.detector.blocks import one_thread
from stream_ad.detector.models import MODELS, WindowModel
from stream_ad.detector.models.ae import Ae
from stream_ad.detector.networks import NETWORKS
from stream_ad.detector.scorers import SCORERS
from stream_ad.errors import InputError
from tests.detector.streams import few_steps, waves

T, C = 16, 3
Make = Callable[..., Any]

KINDS = [(m, n) for m in MODELS for n in NETWORKS]
EVERY = [(m, n, s) for m in MODELS for n in NETWORKS for s in SCORERS]
SEEDLESS = {"linear"}  # of these, histories of this size leave nothing to chance


def batch(n: int = 12) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, T, C, generator=generator)


# --- laws of a model: a subject is a function that makes a new one


def law_shapes(make: Make) -> None:
    """Give z (B, D), x_hat (B, T, C), error (B,) and sensor error (B, C)."""
    out = make().eval()(batch(5))
    assert out.z.ndim == 2
    assert len(out.z) == 5
    assert out.x_hat.shape == (5, T, C)
    assert out.error.shape == (5,)
    assert out.sensor_error.shape == (5, C)


def law_evaluation_is_deterministic(make: Make) -> None:
    """Twice the same input, twice the same output, and no buffer moves."""
    model = make().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, second = model(batch()), model(batch())
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def law_rows_are_independent(make: Make) -> None:
    """Alone = in a batch = shuffled, but for rounding (`test_bits` sees to that)."""
    model, x = make().eval(), batch()
    whole, order = model(x), torch.randperm(12, generator=torch.Generator().manual_seed(1))
    for part, some in zip(model(x[order]), whole, strict=True):
        torch.testing.assert_close(part, some[order])
    for part, some in zip(model(x[3:4]), whole, strict=True):
        torch.testing.assert_close(part, some[3:4])


def law_input_is_untouched(make: Make) -> None:
    """Change no input, neither in evaluation nor in training."""
    x = batch()
    x[2, 3, 1] = torch.nan
    before = x.clone()
    model = make()
    model.eval()(x)
    model.train()(x)
    assert torch.equal(x.nan_to_num(7), before.nan_to_num(7))


def law_every_parameter_learns(make: Make) -> None:
    """Have a gradient of the mean error in every parameter."""
    model = make().train()
    model(batch()).error.mean().backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def law_missing_cells_are_the_median_and_do_not_score(make: Make) -> None:
    """Let a missing cell act as 0 on the latent and not at all on the errors."""
    model, x = make().eval(), batch()
    hole, zero = x.clone(), x.clone()
    hole[:, 4:9, 1], zero[:, 4:9, 1] = torch.nan, 0
    out, filled = model(hole), model(zero)
    assert torch.equal(out.z, filled.z)
    assert torch.equal(out.x_hat, filled.x_hat)
    assert all(torch.isfinite(part).all() for part in out)
    hole[:, :, 1] = torch.nan
    assert (model(hole).sensor_error[:, 1] == 0).all()
    hole.requires_grad_()
    model(hole).error.mean().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters())


def law_an_oddity_of_one_sensor_is_in_its_error(make: Make) -> None:
    """Raise the error of a sensor by its own huge values."""
    model, x = make().eval(), batch()
    before = model(x)
    x[:, 5, 2] += 40
    after = model(x)
    assert (after.sensor_error[:, 2] > 5 * before.sensor_error[:, 2]).all()


MODEL_LAWS = [
    law_shapes,
    law_evaluation_is_deterministic,
    law_rows_are_independent,
    law_input_is_untouched,
    law_every_parameter_learns,
    law_missing_cells_are_the_median_and_do_not_score,
    law_an_oddity_of_one_sensor_is_in_its_error,
]


def making(model: type[WindowModel], network: str = "dense") -> Make:
    def make() -> WindowModel:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            return model(T, C, network=network)

    return make


@pytest.mark.parametrize("law", MODEL_LAWS)
@pytest.mark.parametrize(("model", "network"), KINDS)
def test_model(law: Callable[[Make], None], model: str, network: str) -> None:
    with one_thread():
        law(making(MODELS[model], network))


# --- subjects that break them


class Unshaped(Ae):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x)._replace(error=torch.zeros(()))


class Restless(Ae):
    def encode(self, x: Tensor) -> Tensor:
        return super().encode(x + torch.rand_like(x))


class Sociable(Ae):
    def encode(self, x: Tensor) -> Tensor:
        return super().encode(x - x.mean(0))


class Grabbing(Ae):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x.nan_to_num_())


class Lazy(Ae):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.unused = nn.Linear(2, 2)


class Maskless(Ae):
    def forward(self, x: Tensor) -> Any:
        return super().forward(torch.nan_to_num(x, nan=1.0))


class Smearing(Ae):
    def forward(self, x: Tensor) -> Any:
        out = super().forward(x)
        return out._replace(sensor_error=torch.ones_like(out.sensor_error))


BROKEN: dict[Callable[[Make], None], type[WindowModel]] = {
    law_shapes: Unshaped,
    law_evaluation_is_deterministic: Restless,
    law_rows_are_independent: Sociable,
    law_input_is_untouched: Grabbing,
    law_every_parameter_learns: Lazy,
    law_missing_cells_are_the_median_and_do_not_score: Maskless,
    law_an_oddity_of_one_sensor_is_in_its_error: Smearing,
}


@pytest.mark.parametrize("law", MODEL_LAWS)
def test_a_broken_model_fails(law: Callable[[Make], None]) -> None:
    with pytest.raises(AssertionError), one_thread():
        law(making(BROKEN[law]))


# --- laws of a detector: a subject is a function from settings to an unfitted one


@pytest.fixture
def _few_steps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        few_steps(patch, 30)
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
]


@pytest.mark.usefixtures("_few_steps")
@pytest.mark.parametrize("law", DETECTOR_LAWS)
@pytest.mark.parametrize(("model", "network", "scorer"), EVERY)
def test_detector(law: Callable[[Make], None], model: str, network: str, scorer: str) -> None:
    def make(**settings: Any) -> Detector:
        return Detector(model, scorer, network=network, epochs=1, **settings)

    law(make)


@pytest.mark.usefixtures("_few_steps")
@pytest.mark.parametrize("model", MODELS)
def test_the_seed_decides_all_that_is_left_to_chance(model: str) -> None:
    a, b = (
        Detector(model, epochs=1, seed=seed).fit(history()).decision_function(history())
        for seed in (1, 2)
    )
    assert (a.tobytes() == b.tobytes()) == (model in SEEDLESS)


class Stand:
    """A detector that scores by the mean absolute value; broken subjects change one thing."""

    def __init__(self, seed: int = 0, k: int = 10) -> None:
        self.seed, self.k = seed, k
        self._bank = SimpleNamespace(scorer=SimpleNamespace(bank=range(10)))

    def fit(self, x: NDArray[np.float32]) -> Stand:
        self.level = x.mean(axis=0)
        return self

    def _fitted(self) -> SimpleNamespace:
        return self._bank

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
    def fit(self, x: NDArray[np.float32]) -> Stand:
        super().fit(x)
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
    def fit(self, x: NDArray[np.float32]) -> Stand:
        self.spacing = np.abs(np.diff(x, axis=0)).mean(axis=(1, 2)).min()
        return super().fit(x)

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
}


@pytest.mark.parametrize("law", DETECTOR_LAWS)
def test_a_broken_detector_fails(law: Callable[[Make], None]) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)), np.errstate(all="ignore"):
        law(BROKEN_DETECTORS[law])


@pytest.mark.parametrize("law", DETECTOR_LAWS[:4] + DETECTOR_LAWS[5:8])
def test_the_stand_in_itself_keeps_the_laws(law: Callable[[Make], None]) -> None:
    """So the broken ones fail for what is broken in them."""
    law(Stand)


# --- a law that needs real training


def beats_a_constant(d: Detector) -> None:
    """On sines the error is far below that of rebuilding every sensor's mean."""
    x = waves(400, T, C)
    d.fit(x[:300])
    scaled = d._fitted().scaler.scale(x[300:])
    assert np.median(d.score(x[300:]).error) < 0.2 * scaled.var(axis=(0, 1)).mean()


@pytest.mark.parametrize(("model", "network"), KINDS)
def test_training_beats_a_constant_reconstruction(
    model: str, network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_steps(monkeypatch, 250)
    beats_a_constant(Detector(model, "error", network=network, epochs=1))


def test_a_model_that_learned_nothing_does_not_beat_a_constant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few_steps(monkeypatch, 1)
    with pytest.raises(AssertionError):
        beats_a_constant(Detector("ae", "error", epochs=1))
