"""The training loop: steps, early stopping, the best weights, no row dropped."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stream_ad.detector.models.ae import Ae
from stream_ad.detector.models.descent import Descent, descend, mean_error
from stream_ad.errors import ModelError


class Point(nn.Module):
    """One weight."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([1.0]))


def run(
    rows: int, epochs: int, values: list[float] | None = None, **settings: int
) -> tuple[Any, ...]:
    model, batches, weights = Point(), [], []

    def loss(batch: Tensor) -> Tensor:
        batches.append(batch.clone())
        return (model.w**2).sum()

    def validate() -> float:
        weights.append(float(model.w.detach()))
        return values[len(weights) - 1] if values else weights[-1] ** 2

    kind = Descent(**settings)
    report = descend(model, rows, loss, validate, epochs=epochs, seed=1, settings=kind)
    return model, report, batches, weights


@pytest.mark.parametrize("rows", [2, 249, 250, 251, 499, 501, 1003])
def test_every_row_is_used_once_per_epoch_in_batches_of_even_size(rows: int) -> None:
    _, report, batches, _ = run(rows, 2, min_steps=1)
    steps = report["steps"] // 2
    first = torch.cat(batches[:steps]).sort().values
    torch.testing.assert_close(first, torch.arange(rows))
    sizes = [len(batch) for batch in batches]
    assert max(sizes) - min(sizes) <= 1


def test_small_histories_make_the_least_number_of_steps() -> None:
    assert run(10, 3, min_steps=50)[1]["steps"] == 50
    assert run(10, 3, [1.0] * 100, min_steps=50, patience=2)[1]["steps"] == 50


def test_it_stops_when_validation_no_longer_improves_and_keeps_the_best_weights() -> None:
    values = [3.0, 2.0, 1.0, *[1.5] * 50]
    model, report, _, weights = run(10, 40, values, min_steps=1, patience=5)
    assert (report["epochs"], report["best_epoch"], report["validation_error"]) == (9, 3, 1.0)
    assert float(model.w.detach()) == weights[2]


def test_without_a_finite_validation_error_it_says_so() -> None:
    with pytest.raises(ModelError, match="diverged"):
        run(10, 2, [float("nan")] * 5, min_steps=1)


def test_the_mean_error_does_not_depend_on_the_pieces() -> None:
    torch.manual_seed(0)
    model, x = Ae(4, 2).eval(), torch.randn(10, 4, 2)
    whole = mean_error(model, x)
    assert mean_error(model, x, rows=3) == pytest.approx(whole, rel=1e-6)
    assert whole == pytest.approx(float(model(x).error.mean().detach()), rel=1e-6)
