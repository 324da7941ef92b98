"""Laws that every model keeps on every network; each has a subject that breaks it.

A law is a small function that takes a subject and raises AssertionError. A new model needs
no test of its own for them: it is in the table. `test_detectors` has those of whole detectors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stream_ad.detector import Detector
from stream_ad.detector.blocks import one_thread
from stream_ad.detector.models import MODELS, Output, WindowModel
from stream_ad.detector.models.ae import Ae
from stream_ad.detector.networks import NETWORKS
from tests.detector.streams import few_steps, waves

T, C = 16, 3
Make = Callable[..., Any]

KINDS = [(m, n) for m in MODELS for n in NETWORKS]


def batch(n: int = 12) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, T, C, generator=generator)


def both(out: Output) -> Any:
    """Return the sum of both mean errors: a model's own may leave its decoder out."""
    return out.error.mean() + out.sensor_error.sum(1).mean()


# --- a subject is a function that makes a new model


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
    """Have a gradient of the errors, its own and the reconstruction's, in every parameter."""
    model = make().train()
    both(model(batch())).backward()
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
    both(model(hole)).backward()
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
            return model(T, C, network=network, latent_dim=8)  # a bottleneck, whatever the rule

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


# --- a law that needs real training


def beats_a_constant(d: Detector) -> None:
    """On sines the reconstruction is far closer than every sensor's mean."""
    x = waves(400, T, C)
    d.fit(x[:300])
    scaled = d._fitted().scaler.scale(x[300:])
    rebuilt = d.score(x[300:]).sensor_error.sum(axis=1)
    assert np.median(rebuilt) < 0.5 * scaled.var(axis=(0, 1)).mean()


@pytest.mark.parametrize(("model", "network"), KINDS)
def test_training_beats_a_constant_reconstruction(
    model: str, network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_steps(monkeypatch, 100)
    beats_a_constant(Detector(model, "error", network=network, epochs=1))


def test_a_model_that_learned_nothing_does_not_beat_a_constant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few_steps(monkeypatch, 1)
    with pytest.raises(AssertionError):
        beats_a_constant(Detector("ae", "error", epochs=1))
