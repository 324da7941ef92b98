"""The fitted parts of a detector, and windows on their way through them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from stream_ad.config import DetectorConfig
from stream_ad.detector.ares import Scorer
from stream_ad.detector.bank import Bank
from stream_ad.detector.forward import Passed, forward
from stream_ad.detector.index_choice import make_index
from stream_ad.detector.models import WindowModel
from stream_ad.detector.scaling import Scaler
from stream_ad.detector.scorers import scorer_for
from stream_ad.detector.small_banks import SmallBanks
from stream_ad.detector.views import Views


@dataclass(frozen=True, slots=True)
class Parts:
    """Scaler, model and scorer, and the views where the scorer needs them.

    ``checked`` says what was measured of the index.
    """

    scaler: Scaler
    model: WindowModel
    scorer: Scorer
    views: Views | SmallBanks | None
    checked: dict[str, Any]

    @classmethod
    def assemble(  # noqa: PLR0917 - the parts in the order in which windows meet them
        cls,
        config: DetectorConfig,
        scaler: Scaler,
        model: WindowModel,
        bank: Bank,
        views: Views | SmallBanks | None,
        device: torch.device,
    ) -> Self:
        """Build the index over a bank and put the parts together."""
        index, checked = make_index(config.index, bank.z, device, k=config.k, seed=config.seed)
        cells = model.length * model.sensors
        kind = scorer_for(config.scorer, model.length)
        scorer = kind(bank, index, k=config.k, alpha=config.alpha, cells=cells)
        return cls(scaler, model.eval(), scorer, views, checked)

    def passed(self, values: NDArray[np.float32], start: NDArray[np.int64] | None) -> Passed:
        """Pass windows (n, T, C) through scaler, model and views."""
        return forward(self.model, self.scaler, values, start, views=self.views)

    def evidence(
        self, values: NDArray[np.float32], start: NDArray[np.int64] | None
    ) -> NDArray[np.float64]:
        """Return the lines of evidence of windows, (n, E)."""
        passed = self.passed(values, start)
        return self.scorer.evidence(passed.z, passed.error, passed.views)
