"""Nothing lands on another device than the model's."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from stream_ad.detector import Detector
from stream_ad.detector.models import MODELS
from stream_ad.detector.models.ae import Ae
from stream_ad.detector.networks import NETWORKS
from stream_ad.detector.settings import torch_device
from stream_ad.detector.views import Views
from stream_ad.errors import ConfigError
from tests.detector.elsewhere import Elsewhere
from tests.detector.streams import few_steps, waves


class Devices(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records on which devices operations put their results."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.seen |= {t.device.type for t in tree_leaves(result) if isinstance(t, torch.Tensor)}
        return result


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", MODELS)
def test_a_forward_and_backward_pass_stay_on_the_models_device(name: str, network: str) -> None:
    model = MODELS[name](16, 3, network=network).to("meta")
    x = torch.zeros(4, 16, 3, device="meta")
    with Devices() as devices:
        out = model(x)
        out.error.mean().backward()
    assert devices.seen == {"meta"}
    assert {part.device.type for part in out} == {"meta"}


LABELS = np.repeat([0, -1], [50, 10])
DEVICES = ["elsewhere", *(["cuda"] if torch.cuda.is_available() else [])]


def walked(device: str, model: str, network: str) -> tuple[Any, ...]:
    """Fit with labels and negatives, score and explain; return what came of it."""
    x = waves(60, 16)
    detector = Detector(model, "joined", network=network, epochs=1, device=device)
    detector.fit(x, LABELS, negatives=waves(40, 16, seed=1) + 2)
    assert {p.device.type for p in detector._fitted().model.parameters()} == {device}
    Detector(model, "ares", network=network, epochs=1, device=device).fit(x)  # nor anything given
    explained = detector.explain(x[:3])
    return detector.score(x).raw, detector.score(x).error, explained.share, explained.expected


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("device", DEVICES)
def test_fit_score_and_explain_mix_no_devices_and_say_the_same_on_each(
    device: str, model: str, network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_steps(monkeypatch)
    wanted = walked("cpu", model, network)
    elsewhere = device == "elsewhere"
    with Elsewhere() if elsewhere else nullcontext():
        came = walked("meta" if elsewhere else device, model, network)
    for mine, theirs in zip(came, wanted, strict=True):
        # few steps leave rounding little time; elsewhere computes on the CPU
        np.testing.assert_allclose(mine, theirs, rtol=1e-5 if elsewhere else 0.05, atol=1e-4)


class Homesick(Ae):
    """Takes what it needs from the CPU."""

    def fit(self, x: Any, validation: Any, **settings: Any) -> dict[str, Any]:
        return super().fit(x * torch.ones(3), validation, **settings)


class Forgetful(Ae):
    """Makes a part when it is first needed, and leaves it where it was made."""

    def decode(self, z: Any) -> Any:
        return super().decode(z) + torch.nn.Linear(z.shape[1], 1)(z)[:, None] * 0


class Picking(Ae):
    """Chooses rows by numbers that lie elsewhere."""

    def fit(self, x: Any, validation: Any, **settings: Any) -> dict[str, Any]:
        return super().fit(x[torch.arange(len(x))], validation, **settings)


@pytest.mark.parametrize("stray", [Homesick, Forgetful, Picking])
def test_a_model_that_leaves_something_behind_fails(
    stray: type[Ae], monkeypatch: pytest.MonkeyPatch
) -> None:
    few_steps(monkeypatch)
    monkeypatch.setitem(MODELS, "ae", stray)
    walked("cpu", "ae", "dense")  # and shows on no other device than another one
    with pytest.raises(AssertionError, match="two devices"), Elsewhere():
        walked("meta", "ae", "dense")


def test_the_second_device_computes_what_the_cpu_does() -> None:
    x = torch.arange(6.0).reshape(2, 3)
    with Elsewhere():
        away = x.to("meta")
        away.add_(1).mul_(torch.full((3,), 2.0, device="meta"))
        assert away.is_meta
        assert float(away.sum()) == 42
        back = away.cpu()
        assert not back.is_meta
        with pytest.raises(AssertionError, match="two devices"):
            away + x
    assert torch.equal(back, (torch.arange(6.0).reshape(2, 3) + 1) * 2)


def test_the_views_stay_on_the_windows_device() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 8, 3)).astype(np.float32)
    views = Views.fit(rows)
    wanted = views.on(torch.device("cpu"))(torch.from_numpy(rows[:4]))
    with Elsewhere():
        came = views.on(torch.device("meta"))(torch.from_numpy(rows[:4]).to("meta"))
        assert all(part.is_meta for part in came)
        home = [part.cpu() for part in came]
    for mine, theirs in zip(home, wanted, strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "", "cpu:x"])
def test_a_device_that_is_not_there_is_a_config_error(name: str) -> None:
    with pytest.raises(ConfigError, match=r"detector\.device"):
        torch_device(name)


def test_auto_takes_what_is_there() -> None:
    assert torch_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_the_dispatch_mode_sees_a_stray_tensor() -> None:
    with Devices() as devices:
        torch.from_numpy(np.zeros(2)) + torch.zeros(2)
        torch.zeros(2, device="meta") + 1
    assert devices.seen == {"cpu", "meta"}
