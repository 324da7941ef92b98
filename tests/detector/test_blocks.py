"""Blocks have one size, threads are restored."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.detector.blocks import BLOCK, blocks, one_thread


@given(st.integers(0, 3 * BLOCK + 5))
def test_blocks_hold_every_row_once_and_have_one_size(n: int) -> None:
    rows = np.arange(n) + 1
    parts = list(blocks(rows))
    assert all(len(block) == BLOCK for _, block in parts)
    np.testing.assert_array_equal(
        np.concatenate([block[: s.stop - s.start] for s, block in parts] or [rows]), rows
    )


def test_padding_is_zero() -> None:
    ((_, block),) = blocks(np.ones((3, 2)))
    assert block.sum() == 6


def test_threads_are_restored_after_an_error() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyError, match="1"), one_thread():
            {}[torch.get_num_threads()]  # type: ignore[index]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
