"""The scorer that joins several lines of evidence."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stream_ad.detector.ares import Floats, Scorer
from stream_ad.detector.units import TailUnits
from stream_ad.detector.views import VIEWS

NEARER = 3  # one in so many of the k: ten reach beyond a kind of normal of few windows


class Joined(Scorer):
    """The mean of four lines of evidence, each in the same unit.

    - *level*, *prediction*, *dispersion*: see `Views`;
    - *neighbours*: how far the whole window lies from the most alike of the history: the
      root of the squared distance of its latent to one of the bank and of what the model
      could not rebuild of it, all cells together; the mean over the nearest third of the k.
      For `linear`, whose components are at right angles to what they leave out, that is
      about the distance of the windows themselves.

    Each is turned into `TailUnits`: minus the logarithm of how often normal windows that were
    not learned from show as much. Their mean is the raw score; an ordinary window has about
    0.4. The mean and not the largest: an odd window mostly shows in several ways, a normal one
    seldom does. A window of fewer than four slots has level and neighbours only.

    Works badly where normal windows to calibrate with are few, and where an anomaly shows in
    one line only and weakly.

    Examples
    --------
    >>> from stream_ad.detector.bank import Bank
    >>> from stream_ad.detector.index import ExactIndex
    >>> rng = np.random.default_rng(0)
    >>> z = rng.normal(size=(99, 2)).astype(np.float32)
    >>> bank = Bank.build(z, np.ones(99), np.array(["m"] * 99, object), np.arange(99), most=99)
    >>> joined = Joined(bank, ExactIndex(bank.z), k=3, alpha=0.5)
    >>> joined.calibrate(joined.evidence(z, np.ones(99), rng.random(size=(99, 3))))
    >>> odd = np.array([[9, 9]], np.float32)
    >>> raw = joined.score(odd, np.ones(1), np.array([[0.5, 0.5, 0.5]]))
    >>> bool(raw[0] > 1), joined.channels
    (True, ('level', 'prediction', 'dispersion', 'neighbours'))
    """

    channels: tuple[str, ...] = (*VIEWS, "neighbours")
    needs_views = True
    _units: tuple[TailUnits, ...] = ()

    def evidence(
        self,
        z: NDArray[np.float32],
        error: Floats,
        views: Floats | None = None,
    ) -> Floats:
        """Return the views and the distance to the neighbours; see `Scorer.evidence`."""
        assert views is not None, "asked for by `needs_views`"
        distances, _ = self.index.search(z, max(1, self.k // NEARER))
        left_out = np.sqrt(self.cells * np.asarray(error, np.float64))[:, None]
        whole = np.hypot(distances, left_out).mean(axis=1, keepdims=True)
        return np.concatenate([views, whole], axis=1)

    def calibrate(self, evidence: Floats) -> None:
        """Fix the units of each line of evidence."""
        self._units = tuple(TailUnits.fit(line) for line in evidence.T)

    def join(self, evidence: Floats) -> Floats:
        """Return the mean over the lines, each in its units."""
        raw: Floats = self._in_units(evidence).mean(axis=1)
        return raw

    def contributions(self, evidence: Floats) -> Floats:
        """Return each line's units beyond what half of the normal windows have."""
        above: Floats = np.maximum(self._in_units(evidence) - np.log10(2), 0)
        return above

    def arrays(self) -> dict[str, Floats]:
        """Return sample, knee and scale of each line."""
        return {
            name: np.concatenate([[unit.knee, unit.scale], unit.sample])
            for name, unit in zip(self.channels, self._units, strict=True)
        }

    def recall(self, arrays: Mapping[str, Floats]) -> None:
        """Take back what `arrays` gave."""
        lines = [arrays[name] for name in self.channels]
        if any(line.ndim != 1 or len(line) < 3 for line in lines):
            raise ValueError("a line of evidence without its units")
        self._units = tuple(
            TailUnits(line[2:].copy(), float(line[0]), float(line[1])) for line in lines
        )

    def _in_units(self, evidence: Floats) -> Floats:
        lines = zip(self._units, evidence.T, strict=True)
        return np.stack([unit(line) for unit, line in lines], axis=1)
