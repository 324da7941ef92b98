"""A second device for machines that have none: it computes on the CPU and mixes with nothing.

Tensors there say that they are on ``meta`` but hold numbers, so a whole fit runs on them. An
operation that meets tensors of both devices fails, as between a GPU and the CPU, and scalars
and indices too, which torch would let pass there. Only copies cross over.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")
CROSSING = torch.ops.aten.copy_.default


class Away(Tensor):
    """A tensor on the second device; ``held`` is where its numbers are."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Self:
        away: Self = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        away.held = held
        return away

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["held"], None  # with this, a module's parameters may become such tensors

    @staticmethod
    def __tensor_unflatten__(
        parts: dict[str, Tensor], context: Any, size: Any, stride: Any
    ) -> Away:
        return Away(parts["held"])

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _apply(func, args, kwargs or {})


class Elsewhere(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Inside it, ``meta`` is the second device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _apply(func, args, kwargs or {})


def _apply(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
    away = [t for t in given if isinstance(t, Away)]
    if 0 < len(away) < len(given) and func is not CROSSING:
        raise AssertionError(f"{func} meets tensors of two devices")
    leaves = tree_leaves((args, kwargs))
    device = next((leaf for leaf in leaves if isinstance(leaf, torch.device)), None)
    plain, named = tree_map(_at_home, (args, kwargs))
    out = func(*plain, **named)
    if func is CROSSING:
        return args[0]
    if not (away if device is None else device.type == DEVICE.type):
        return out
    same = {id(t.held): t for t in away}  # what was changed in place is still the same tensor

    def put(t: Any) -> Any:
        if not isinstance(t, Tensor):
            return t
        return same[id(t)] if id(t) in same else Away(t)

    return tree_map(put, out)


def _at_home(leaf: Any) -> Any:
    """Return an argument as the CPU gets it."""
    if isinstance(leaf, torch.device):
        return torch.device("cpu")
    return leaf.held if isinstance(leaf, Away) else leaf
