"""Networks: shapes for any window, sizes by the rule, gradients everywhere, any device."""

from __future__ import annotations

import pytest
import torch

from stream_ad.detector.networks import NETWORKS, widths

SHAPES = [(1, 1), (1, 6), (1, 36), (2, 3), (7, 2), (8, 2), (9, 2), (20, 5), (64, 8), (32, 38)]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("length", "sensors"), SHAPES)
def test_any_window_goes_through_and_comes_back(name: str, length: int, sensors: int) -> None:
    net = NETWORKS[name](length, sensors)
    x = torch.zeros(3, length, sensors)
    z = net.latent(net.body(x))
    assert z.shape == (3, net.latent_dim)
    assert net.decode(z).shape == x.shape


@pytest.mark.parametrize("name", NETWORKS)
def test_the_latent_can_be_given(name: str) -> None:
    net = NETWORKS[name](16, 2, 5)
    assert net.latent(net.body(torch.zeros(2, 16, 2))).shape == (2, 5)


def test_the_latent_is_a_bottleneck() -> None:
    for cells in range(1, 600):
        first, second, latent = widths(cells)
        assert first > second > latent >= 1
        assert cells == 1 or latent < cells


@pytest.mark.parametrize("name", NETWORKS)
def test_every_slot_and_sensor_reaches_the_latent(name: str) -> None:
    torch.manual_seed(0)
    net = NETWORKS[name](21, 3).eval()
    x = torch.zeros(1, 21, 3, requires_grad=True)
    net.latent(net.body(x)).square().sum().backward()
    assert x.grad is not None
    assert (x.grad != 0).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_slot_of_the_output_depends_on_the_latent(name: str) -> None:
    torch.manual_seed(0)
    net = NETWORKS[name](21, 3).eval()
    with torch.no_grad():
        apart = net.decode(torch.ones(1, net.latent_dim)) - net.decode(
            torch.zeros(1, net.latent_dim)
        )
    assert (apart != 0).all()
