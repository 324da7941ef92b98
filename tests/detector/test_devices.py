"""Nothing lands on another device than the model's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from stream_ad.detector.models import MODELS
from stream_ad.detector.networks import NETWORKS
from stream_ad.detector.settings import torch_device
from stream_ad.detector.views import Views
from stream_ad.errors import ConfigError


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


def test_the_views_stay_on_the_windows_device() -> None:
    views = Views.fit(np.random.default_rng(0).normal(size=(20, 8, 3)).astype(np.float32))
    viewer, x = views.on(torch.device("meta")), torch.zeros(4, 8, 3, device="meta")
    with Devices() as devices:
        amounts, parts = viewer(x)
    assert devices.seen == {"meta"}
    assert (amounts.shape, parts.shape) == ((4, 3), (4, 3, 3))


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
