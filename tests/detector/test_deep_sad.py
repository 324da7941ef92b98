"""Deep SAD: equation 7, what labels may touch, and what they are worth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor

from stream_ad.detector import Detector
from stream_ad.detector.models.deep_sad import EPS, ETA, DeepSad, deep_sad_loss
from stream_ad.detector.models.deep_svdd import DeepSvdd
from stream_ad.detector.models.hypersphere import Hypersphere
from tests.detector.streams import few_steps


def noise(n: int = 60, seed: int = 0) -> Tensor:
    return torch.randn(n, 4, 3, generator=torch.Generator().manual_seed(seed))


def labels(n: int = 60, every: int = 10) -> Tensor:
    y = torch.zeros(n, dtype=torch.int64)
    y[::every] = -1
    return y


def fitted(
    x: Tensor, y: Tensor | None, kind: type[Hypersphere] = DeepSad, **others: Any
) -> Hypersphere:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        model = kind(4, 3)
    model.fit(x, noise(20, seed=1), epochs=1, seed=0, y=y, **others)
    return model


@pytest.fixture
def _few_steps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        few_steps(patch, 20)
        yield


# --- equation 7

SQUARES = st.floats(0, 1e6, width=32)


@given(st.lists(st.tuples(SQUARES, st.sampled_from([-1, 0, 1])), min_size=1, max_size=9))
def test_the_loss_is_equation_7(pairs: list[tuple[float, int]]) -> None:
    squared, y = (torch.tensor(part) for part in zip(*pairs, strict=True))
    wanted = [d if y == 0 else ETA * (d + EPS) if y > 0 else ETA / (d + EPS) for d, y in pairs]
    np.testing.assert_allclose(deep_sad_loss(squared, y), wanted, rtol=1e-5)


def test_an_anomaly_at_the_very_centre_still_has_a_way_out() -> None:
    squared = torch.zeros(1, requires_grad=True)
    deep_sad_loss(squared, torch.tensor([-1])).backward()  # type: ignore[no-untyped-call]
    assert squared.grad is not None
    assert -torch.inf < squared.grad.item() < 0


@pytest.mark.parametrize("every", [10, 4])
def test_a_batch_of_normal_windows_and_some_anomalies_stands_for_all(
    every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six anomalies are all in every batch; of fifteen it is right on average."""
    taken: list[Any] = []
    monkeypatch.setattr(Hypersphere, "draw", lambda self, *args, **_: taken.extend(args))
    x, y = noise(), labels(every=every)
    model = fitted(x, y).eval()
    normal, _, objective = taken
    assert torch.equal(normal, x[y >= 0])
    wanted = deep_sad_loss(model.squared_distance(x), y).mean()
    rows = torch.arange(len(normal))
    drawn = torch.stack([objective(rows) for _ in range(1 if every == 10 else 200)])
    torch.testing.assert_close(drawn.mean(), wanted, rtol=1e-5 if every == 10 else 0.05, atol=0)


@pytest.mark.parametrize(("y", "falls"), [(0, True), (1, True), (-1, False)])
def test_normal_windows_are_drawn_in_and_anomalies_pushed_out(y: int, falls: bool) -> None:
    squared = torch.tensor([2.0], requires_grad=True)
    deep_sad_loss(squared, torch.tensor([y])).backward()  # type: ignore[no-untyped-call]
    assert squared.grad is not None
    assert (squared.grad.item() > 0) == falls


# --- what labels touch


@pytest.mark.usefixtures("_few_steps")
@pytest.mark.parametrize("y", [None, torch.zeros(60, dtype=torch.int64)])
def test_without_labels_it_is_deep_svdd(y: Tensor | None) -> None:
    a, b = fitted(noise(), y).state_dict(), fitted(noise(), None, DeepSvdd).state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.usefixtures("_few_steps")
def test_labelled_anomalies_move_the_encoder_but_not_the_centre() -> None:
    x, y = noise(), labels()
    other = x.clone()
    other[y < 0] += 5
    a, b = fitted(x, y), fitted(other, y)
    torch.testing.assert_close(a.c / a.c[0], b.c / b.c[0])
    assert torch.equal(a.home, b.home)
    assert torch.equal(a.width, b.width)
    assert not torch.equal(a.encode(x), b.encode(x))


@pytest.mark.usefixtures("_few_steps")
def test_labelled_normal_windows_take_part_in_the_centre() -> None:
    x, y = noise(), -labels()
    other = x.clone()
    other[y > 0] += 5
    assert not torch.equal(fitted(x, y).c, fitted(other, y).c)


@pytest.mark.usefixtures("_few_steps")
def test_the_order_of_the_labels_is_that_of_the_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, seen = noise(), labels(), []
    x[y < 0] = 7

    def watched(squared: Tensor, given_y: Tensor) -> Tensor:
        seen.append((squared.detach(), given_y))
        return deep_sad_loss(squared, given_y)

    def marked(self: DeepSad, windows: Tensor) -> Tensor:
        return self.encode(windows).square().sum(1) * 0 + windows[:, 0, 0]

    monkeypatch.setattr("stream_ad.detector.models.deep_sad.deep_sad_loss", watched)
    monkeypatch.setattr(DeepSad, "squared_distance", marked)
    fitted(x, y)
    assert seen
    assert all(torch.equal(first == 7, label < 0) for first, label in seen)


# --- what they are worth


def table(n: int, odd: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return rows of which the odd ones lie between two clusters of ordinary ones."""
    rng = np.random.default_rng(seed)
    x = rng.normal(scale=0.3, size=(n, 4))
    y = np.zeros(n, np.int64)
    y[rng.permutation(n)[:odd]] = -1
    side = rng.choice([-1.5, 1.5], size=n) * (y == 0)
    x[:, :2] += side[:, None]
    return x, y


def test_few_labels_show_what_distance_alone_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    few_steps(monkeypatch, 300)
    (x, y), (later, truth) = table(600, 12, 0), table(300, 60, 1)

    def auc(model: str) -> float:
        d = Detector(model, "error", epochs=40, calibration_share=0.1).fit(x, y)
        assert d.report_["learned_anomalies"] == (12 if model == "deep_sad" else 0)
        return float(roc_auc_score(truth < 0, d.decision_function(later)))

    learned, alone = auc("deep_sad"), auc("deep_svdd")
    assert learned > 0.95
    assert learned > alone + 0.1


@pytest.mark.usefixtures("_few_steps")
def test_labelled_anomalies_stay_out_of_the_bank() -> None:
    x, y = table(300, 20, 0)
    detector = Detector("deep_sad", "ares", epochs=1).fit(x, y)
    times = detector._fitted().scorer.bank.start
    assert not np.isin(times // 10**9, np.flatnonzero(y < 0)).any()
