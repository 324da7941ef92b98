"""The normality-calibrated autoencoder: its game, its calibration, and what it is for."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor

from stream_ad.detector import Detector, learning
from stream_ad.detector.blocks import one_thread
from stream_ad.detector.models import descent
from stream_ad.detector.models.ncae import Game, Ncae, least_similar, still
from stream_ad.detector.networks import NETWORKS
from tests.detector.streams import few_steps


def table(
    n: int, share: float, seed: int = 0, far: float = 5
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return correlated rows, of which a share lies off the plane, all of one kind."""
    rng = np.random.default_rng(seed)
    along = rng.normal(size=(n, 3)) @ np.random.default_rng(9).normal(size=(3, 8))
    rows = along + 0.2 * rng.normal(size=(n, 8))
    odd = rng.random(n) < share
    rows[odd, :4] += np.array([far, -far, far, -far]) + rng.normal(size=(int(odd.sum()), 4)) / 3
    return rows.astype(np.float32), odd


def made(seed: int = 0, **settings: Any) -> Ncae:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return Ncae(1, 8, **settings)


def rows_of(n: int = 60) -> Tensor:
    return torch.from_numpy(table(n, 0.0)[0])[:, None]


def game_of(model: Ncae, x: Tensor, mined: Tensor | None = None) -> Game:
    mined = torch.zeros(len(x), dtype=torch.bool) if mined is None else mined
    trust = (~mined).float()
    generator = torch.Generator().manual_seed(0)
    return Game(model, x, mined, trust, generator=generator, seed=0)


def test_eq_7_takes_the_tenth_that_points_away_from_the_generated() -> None:
    angle = torch.linspace(0, 3, 20)
    z = torch.stack([angle.cos(), angle.sin()], 1) * torch.arange(1, 21)[:, None]
    lowest = least_similar(z, torch.tensor([[2.0, 0], [9, 0]]))
    assert lowest.nonzero().flatten().tolist() == [18, 19]


def test_generated_windows_leave_the_normalisation_as_it_is() -> None:
    model = made().train()
    before = {name: value.clone() for name, value in model.named_buffers()}
    with still(model):
        model.decode(torch.full((30, model.network.latent_dim), 9.0))
    assert all(torch.equal(before[name], value) for name, value in model.named_buffers())
    assert all(part.training for part in model.modules())


def test_both_adversarial_terms_reach_the_network_and_mu_z_does_not() -> None:
    x = rows_of()
    model = made().train()
    game = game_of(model, x)
    game.trust = torch.zeros(len(x))  # without the error, eq. 4 alone moves the encoder
    game.loss(torch.arange(30)).backward()  # type: ignore[no-untyped-call]
    for name, weight in model.network.named_parameters():  # type: ignore[attr-defined]
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name
    assert not game.centre.requires_grad


def test_mu_z_is_the_moving_mean_of_the_latents() -> None:
    x = rows_of()
    model = made().train()
    game = game_of(model, x)
    start = game.centre.clone()
    with torch.no_grad():
        z = made().train().encode(x[:30])
    game.loss(torch.arange(30))
    torch.testing.assert_close(game.centre, 0.9 * start + 0.1 * z.mean(0), rtol=1e-4, atol=1e-5)


def test_what_is_mined_and_not_calibrated_teaches_nothing() -> None:
    x = rows_of(50)
    mined = torch.arange(50) >= 25
    changed = []
    for factor in (1.0, 7.0):
        model = made().eval()  # so that one row does not move another's normalisation
        game = game_of(model, torch.where(mined[:, None, None], factor * x, x), mined)
        game.centre.zero_()
        game.loss(torch.arange(25))
        changed.append(game.report()["calibrated_error"])
    assert changed[0] == changed[1]


def fitted(x: Tensor, steps: int, seed: int = 0, **settings: Any) -> tuple[Ncae, dict[str, Any]]:
    model = made(**settings)
    with pytest.MonkeyPatch.context() as patch, one_thread():
        patch.setattr(descent, "Descent", partial(descent.Descent, min_steps=steps))
        return model, model.fit(x, x[:40], epochs=1, seed=seed)


@pytest.mark.parametrize("network", NETWORKS)
def test_contamination_keeps_a_large_error_and_the_report_says_what_was_found(
    network: str,
) -> None:
    rows, odd = table(500, 0.08, far=12)
    model, report = fitted(torch.from_numpy(rows)[:, None] / 2, 60, network=network)
    assert model.mined is not None
    assert model.mined[torch.from_numpy(odd)].float().mean() > 0.95
    assert report["mined_share"] == pytest.approx(float(model.mined.double().mean()))
    assert report["contaminated"] is True
    assert report["tail_excess"] > 2
    assert report["guards"] == []
    assert all(np.isfinite(report[name]) for name in ("sample_loss", "latent_loss"))
    assert orjson.loads(orjson.dumps(report)) == report


def test_of_a_clean_history_it_senses_no_contamination_and_says_so() -> None:
    model, report = fitted(torch.randn(600, 1, 8, generator=torch.Generator().manual_seed(3)), 5)
    assert model.mined is not None
    assert report["mined_share"] < 0.045
    assert report["contaminated"] is False
    assert len(report["guards"]) == 1


def test_the_ordinary_window_has_an_error_of_about_one() -> None:
    x = rows_of(400)
    model, _ = fitted(x, 60)
    assert float(model.eval()(x).error.median().detach()) == pytest.approx(1, abs=0.1)


def test_the_seed_decides_all_and_the_generator_of_torch_is_left_alone() -> None:
    before = torch.default_generator.get_state()
    x = rows_of(80)
    states = [fitted(x, 10, seed)[0].state_dict() for seed in (1, 1, 2)]
    assert torch.equal(before, torch.default_generator.get_state())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["dictionary.entries"], states[2]["dictionary.entries"])


def test_missing_cells_are_survived_in_training() -> None:
    x = rows_of(80)
    x[::3, :, 2] = torch.nan
    x[:, :, 5] = torch.nan
    model, report = fitted(x, 10)
    assert np.isfinite(report["calibrated_error"])
    assert torch.isfinite(model.eval()(x).error).all()


def auc_of(model: str, history: NDArray[np.float32]) -> float:
    rows, odd = table(600, 0.15, seed=5)
    detector = Detector(model, "ares", epochs=1, calibration_share=0.05).fit(history)
    return float(roc_auc_score(odd, detector.decision_function(rows)))


def test_it_stands_contamination_that_spoils_the_plain_autoencoder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few_steps(monkeypatch, 150)
    history, _ = table(700, 0.1)
    ncae = auc_of("ncae", history)
    assert ncae > 0.97
    assert ncae > auc_of("ae", history) + 0.05


def test_what_was_mined_is_not_in_the_bank_and_k_grows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    few_steps(monkeypatch, 20)
    history, _ = table(700, 0.1)
    detector = Detector("ncae", "ares", epochs=1).fit(history)
    report = detector.report_
    assert report["bank"] == round(report["training"] * (1 - report["mined_share"]))
    assert report["k"] == 100
    detector.save(tmp_path / "d")
    again = Detector.load(tmp_path / "d").decision_function(history)
    assert again.tobytes() == detector.decision_function(history).tobytes()


@pytest.mark.parametrize(("bounds", "wanted"), [((10, 1000), 0.2), ((10, 40), 40)])
def test_k_is_a_fifth_of_the_bank_within_bounds(
    bounds: tuple[int, int], wanted: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_steps(monkeypatch, 5)
    monkeypatch.setattr(learning, "CONTAMINATED_K", bounds)
    report = Detector("ncae", "ares", epochs=1).fit(table(700, 0.1)[0]).report_
    assert report["k"] == (int(wanted * report["bank"]) if wanted < 1 else wanted)


def test_the_sensor_that_is_off_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    few_steps(monkeypatch, 150)
    history, _ = table(700, 0.05)
    detector = Detector("ncae", "ares", epochs=1).fit(history)
    rows = table(40, 0.0, seed=6)[0]
    rows[:, 6] += 20
    assert (detector.explain(rows).share.argmax(axis=1) == 6).mean() > 0.9
