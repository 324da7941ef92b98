"""Principal components as a model: scikit-learn's numbers, any shape of history, loadable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from torch import Tensor

from stream_ad.detector import Detector
from stream_ad.detector.artifact import sealed
from stream_ad.detector.models import linear
from stream_ad.detector.models.linear import Linear, chosen
from stream_ad.errors import ArtifactCorrupt
from tests.detector.streams import waves

SHAPES = [(200, 4, 3), (30, 16, 5), (12, 4, 3), (60, 1, 7)]  # n > d, n < d, n = d, a table


def mixed(n: int, length: int, sensors: int, seed: int = 0) -> Tensor:
    """Return windows whose cells have different variances and correlate."""
    rng = np.random.default_rng(seed)
    d = length * sensors
    spread = rng.normal(size=(n, d)) * 0.8 ** np.arange(d)
    rows = spread @ np.linalg.qr(rng.normal(size=(d, d)))[0] + rng.normal(size=d)
    return torch.from_numpy(rows.reshape(n, length, sensors)).float()


def fitted(
    x: Tensor, latent_dim: int | None = None, **others: Any
) -> tuple[Linear, dict[str, Any]]:
    model = Linear(x.shape[1], x.shape[2], latent_dim=latent_dim)
    return model, model.fit(x, x[:3], epochs=1, seed=0, **others)


def cells(x: Tensor) -> NDArray[np.float64]:
    return x.flatten(1).double().numpy()


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_pca_of_scikit_learn(shape: tuple[int, int, int]) -> None:
    x = mixed(*shape)
    model, report = fitted(x, latent_dim=4)
    wanted = PCA(4, svd_solver="full").fit(cells(x))
    z = wanted.transform(cells(x))
    rebuilt = wanted.inverse_transform(z)
    with torch.no_grad():
        out = model(x)
    np.testing.assert_allclose(out.z.abs(), abs(z), atol=2e-4)
    np.testing.assert_allclose(out.x_hat.flatten(1), rebuilt, atol=2e-4)
    np.testing.assert_allclose(out.error, ((cells(x) - rebuilt) ** 2).mean(axis=1), rtol=1e-3)
    assert report["explained"] == pytest.approx(wanted.explained_variance_ratio_.sum(), abs=1e-5)


@pytest.mark.parametrize("shape", [(120, 8, 10), (90, 16, 8)])
def test_the_way_of_very_large_histories_finds_the_same(
    shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = mixed(*shape)
    exact, report = fitted(x)
    monkeypatch.setattr(linear, "EXACT", 20)
    monkeypatch.setattr(linear, "ROWS", 32)
    again, the_same = fitted(x)
    assert the_same["components"] == report["components"]
    assert the_same["explained"] == pytest.approx(report["explained"], abs=1e-4)
    torch.testing.assert_close(again(x).error, exact(x).error, rtol=1e-2, atol=1e-5)


def test_the_pieces_of_the_history_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    for shape in SHAPES:
        x = mixed(*shape)
        whole = fitted(x, 3)[0](x)
        with monkeypatch.context() as patch:
            patch.setattr(linear, "ROWS", 7)
            patch.setattr(linear, "COLUMNS", 11)
            torch.testing.assert_close(fitted(x, 3)[0](x), whole, rtol=1e-4, atol=1e-5)


def test_as_many_components_as_explain_the_share_asked_for() -> None:
    assert chosen(torch.tensor([5.0, 3.0, 1.0, 1.0]), 10.0, 0.9) == (3, 0.9)
    assert chosen(torch.tensor([95.0, 5.0]), 100.0, 0.9) == (1, 0.95)
    assert chosen(torch.tensor([5.0, 1.0]), 10.0, 0.9) == (2, 0.6)  # the cap comes first
    assert chosen(torch.tensor([8.0, 2.0, 1e-12]), 10.0, 1.0) == (2, 1.0)  # the rest is rounding


def test_no_more_components_than_the_cap_and_the_cells_allow() -> None:
    noise = torch.randn(300, 4, 20, generator=torch.Generator().manual_seed(0))
    assert fitted(noise)[1]["components"] == linear.MOST
    assert fitted(noise[:, :1, :2])[0].network.latent_dim == 1
    assert fitted(noise[:, :1, :1])[0].network.latent_dim == 1


def test_asked_for_more_than_there_is_it_keeps_what_there_is() -> None:
    line = torch.linspace(-1, 1, 20).reshape(20, 1, 1) * torch.tensor([1.0, 2, 3])
    model, report = fitted(line, latent_dim=3)
    assert model.network.latent_dim == 1
    assert report["explained"] == pytest.approx(1)


def test_a_history_that_stands_still_leaves_the_distance_to_it() -> None:
    model, report = fitted(torch.full((9, 2, 2), 3.0))
    assert (report["components"], report["explained"]) == (1, 0.0)
    odd = model(torch.full((1, 2, 2), 5.0))
    assert odd.error.tolist() == [4.0]
    assert odd.z.tolist() == [[0.0]]


def test_a_sensor_without_any_value_takes_part_in_nothing() -> None:
    x = mixed(80, 4, 3)
    without = fitted(x[:, :, :2], 3)[0](x[:, :, :2])
    x[:, :, 2] = torch.nan
    out = fitted(x, 3)[0](x)
    torch.testing.assert_close(out.z.abs(), without.z.abs(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(out.error, without.error, rtol=1e-4, atol=1e-6)
    assert (out.sensor_error[:, 2] == 0).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_largest_cell_of_every_component_is_positive(shape: tuple[int, int, int]) -> None:
    x = mixed(*shape)
    found = fitted(x, 5)[0].network.components.detach()
    assert (found.gather(1, found.abs().argmax(1, keepdim=True)) > 0).all()
    mirrored = fitted(-x, 5)[0].network.components.detach()
    torch.testing.assert_close(mirrored, found, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found @ found.T, torch.eye(5), rtol=1e-5, atol=1e-5)


def test_labelled_anomalies_do_not_teach_it() -> None:
    """The detector leaves them out before the model sees anything."""
    x, y = waves(90), np.zeros(90, int)
    y[::3] = -1
    spoiled = x.copy()
    spoiled[::3] += 50
    assert not Linear.learns_anomalies
    taught, plain = Detector("linear").fit(spoiled, y), Detector("linear").fit(x[y >= 0])
    a, b = (d._fitted().model.state_dict() for d in (taught, plain))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_the_size_that_the_fit_found_comes_back_from_disk(tmp_path: Path) -> None:
    x = waves(120)
    d = Detector("linear").fit(x)
    d.save(tmp_path / "m")
    again = Detector.load(tmp_path / "m")
    assert again.latent_dim is None
    assert d.card["latent_dim"] == d.report_["components"] < 24
    assert again.decision_function(x).tobytes() == d.decision_function(x).tobytes()


@pytest.mark.parametrize("size", [0, 7, "3", None])
def test_another_size_in_the_card_is_refused(tmp_path: Path, size: object) -> None:
    Detector("linear").fit(waves(120)).save(tmp_path)
    file = tmp_path / "card.json"
    card = orjson.loads(file.read_bytes())
    del card["sha256"]
    file.write_bytes(sealed(card | {"latent_dim": size}))
    with pytest.raises(ArtifactCorrupt):
        Detector.load(tmp_path)
