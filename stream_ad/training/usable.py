"""Which windows a scoring pipeline scored and did not mute, told without scoring them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from stream_ad.alerting import Mute, QualityCheck
from stream_ad.config import Config
from stream_ad.groups import Groups
from stream_ad.machines import Machines
from stream_ad.versions import Version
from stream_ad.windows import Windows, WindowSpec, missing_share


class Usable:
    """Tells which windows may teach.

    Parameters
    ----------
    config : Config
    spec : WindowSpec
    machines : Machines
        That close the windows.

    Attributes
    ----------
    left_out : Counter of str
        How many were ``muted`` and ``not_scored`` so far.
    """

    def __init__(self, config: Config, spec: WindowSpec, machines: Machines) -> None:
        # changes what is said, not what is masked
        nothing_known = np.zeros(len(spec.sensors), bool)
        self._most = config.windows.max_missing
        self._quality = QualityCheck(spec, nothing_known, self._most)
        self._mute, self._machines = Mute(config, spec), machines
        self._window_ns, self._groups = spec.window_ns, Groups(config)
        self._all_known = np.ones(len(spec.sensors), bool)
        self.left_out: Counter[str] = Counter()

    def __call__(self, windows: Windows, versions: Sequence[Version] = ()) -> Windows:
        """Return those windows, impossible cells masked.

        Parameters
        ----------
        windows : Windows
            Just closed.
        versions : sequence of Version
            Those that scored. A window that ends before any of them takes effect is not usable;
            without any, nothing is known of what will score, and every window may be.
        """
        if not len(windows):
            return windows
        muted = self._mute(windows)
        clean, _ = self._machines.clean(windows, self._quality, muted)
        version = self._groups.active(versions, windows.machine, windows.start + self._window_ns)
        judged = version >= 0 if versions else np.ones(len(windows), bool)
        usable = np.zeros(len(windows), bool)
        for v in np.unique(version):
            known = self._all_known if v < 0 else versions[v].detector.known
            rows = np.flatnonzero(version == v)
            missing = missing_share(clean.values[rows], known)
            usable[rows] = (missing <= self._most) & (missing < 1)
        usable &= judged
        self.left_out.update(
            muted=int((usable & muted).sum()), not_scored=int((judged & ~usable).sum())
        )
        return clean.take(usable & ~muted)
