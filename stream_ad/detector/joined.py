"""The scorer that joins several lines of evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from stream_ad.detector.ares import Floats, Scorer
from stream_ad.detector.units import TailUnits
from stream_ad.detector.views import VIEWS

NEARER = 3  # one in so many of the k: ten reach beyond a kind of normal of few windows
FEWEST = 20  # windows that say how usual lines of evidence are for a kind of normal

Units = tuple[TailUnits, ...]
Bools = NDArray[np.bool_]


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

    What operators called normal stays rare, and rare is odd. So a window most of whose
    neighbours they called normal is held against such windows only: its units say how often
    those show as much (Mondrian conformal prediction; Vovk et al. 2003). With fewer than 20
    of them to calibrate with it is held against all.

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
    _units: Units = ()
    _named: Units | None = None  # of windows most like those that were called normal

    def evidence(
        self,
        z: NDArray[np.float32],
        error: Floats,
        views: Floats | None = None,
    ) -> Floats:
        """Return the views, the distance to the neighbours, and which are called normal.

        The last column, no line of evidence, is 1 where most neighbours were called normal,
        else 0; see `Scorer.evidence`.
        """
        assert views is not None, "asked for by `needs_views`"
        distances, numbers = self.index.search(z, max(1, self.k // NEARER))
        left_out = np.sqrt(self.cells * np.asarray(error, np.float64))[:, None]
        whole = np.hypot(distances, left_out).mean(axis=1, keepdims=True)
        named = self.bank.sure[numbers].mean(axis=1, keepdims=True) > 0.5
        return np.concatenate([views, whole, named], axis=1)

    def calibrate(self, evidence: Floats) -> None:
        """Fix the units of each line of evidence."""
        lines, named = self._apart(evidence)
        enough = FEWEST <= named.sum() < len(named)
        self._units = _fit(lines[~named] if enough else lines)
        self._named = _fit(lines[named]) if enough else None

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
        found = dict(self._packed(self._units))
        if self._named is not None:
            found |= {f"named.{name}": unit for name, unit in self._packed(self._named)}
        return found

    def recall(self, arrays: Mapping[str, Floats]) -> None:
        """Take back what `arrays` gave."""
        self._units = self._unpacked(arrays, "")
        if any(name.startswith("named.") for name in arrays):
            self._named = self._unpacked(arrays, "named.")

    def _packed(self, units: Units) -> Iterator[tuple[str, Floats]]:
        for name, unit in zip(self.channels, units, strict=True):
            yield name, np.concatenate([[unit.knee, unit.scale], unit.sample])

    def _unpacked(self, arrays: Mapping[str, Floats], head: str) -> Units:
        lines = [arrays[f"{head}{name}"] for name in self.channels]
        if any(line.ndim != 1 or len(line) < 3 for line in lines):
            raise ValueError("a line of evidence without its units")
        return tuple(TailUnits(line[2:].copy(), float(line[0]), float(line[1])) for line in lines)

    def _apart(self, evidence: Floats) -> tuple[Floats, Bools]:
        """Return the lines (n, E), and which windows (n,) are most like those called normal."""
        lines = len(self.channels)
        return evidence[:, :lines], np.asarray((evidence[:, lines:] > 0).any(axis=1), bool)

    def _in_units(self, evidence: Floats) -> Floats:
        lines, named = self._apart(evidence)
        found = _convert(self._units, lines)
        if self._named is None or not named.any():
            return found
        return np.where(named[:, None], _convert(self._named, lines), found)


def _fit(lines: Floats) -> Units:
    return tuple(TailUnits.fit(line) for line in lines.T)


def _convert(units: Units, lines: Floats) -> Floats:
    return np.stack([unit(line) for unit, line in zip(units, lines.T, strict=True)], axis=1)
