"""Which model and scorer hear more on a history, judged without any label.

The last part of the history is kept apart from learning and from every alarm line. There
each member meets normal windows, and the same windows with synthetic faults in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stream_ad.config import Config
from stream_ad.errors import NotEnoughHistory
from stream_ad.progress import Progress
from stream_ad.training.comparison import Comparison, Heard, Judged
from stream_ad.training.fit import train
from stream_ad.training.history import History
from stream_ad.training.injected import FAULTS, AlarmRate, injected, spreads, usable
from stream_ad.windows import Windows, WindowSpec

if TYPE_CHECKING:
    from stream_ad.detector import Detector

# model, scorer; the default among them is taken unless another is clearly better
MEMBERS = (
    ("linear", "error"),
    ("linear", "ares"),
    ("linear", "joined"),
    ("ae", "error"),
    ("ae", "ares"),
    ("ae", "joined"),
)
HELD_OUT = 0.25  # latest share of the windows of the history
LEAST = 10  # windows to judge by
MOST = 2_000  # windows that get faults, evenly spaced

Floats = NDArray[np.float64]


def compare(
    history: History,
    config: Config,
    spec: WindowSpec,
    progress: Progress,
    members: Sequence[tuple[str, str]] = MEMBERS,
) -> Comparison:
    """Fit every member on the first part of a history and judge it on the last.

    Parameters
    ----------
    history : History
    config : Config
        Everything but ``detector.model`` and ``detector.scorer`` holds for every member.
    spec : WindowSpec
    progress : Progress
    members : sequence of (model, scorer), optional

    Returns
    -------
    Comparison
        The same for the same history, config and device.

    Raises
    ------
    NotEnoughHistory
        When one of the two parts is too short.

    Notes
    -----
    Works badly where the last part holds an anomaly or another kind of normal: then every
    line breaks, and the ranking is by faults between windows that are odd themselves. Costs
    a training per member, and 12 scores for each of up to 2,000 held-out windows.
    """
    learned, held_out = apart(history, spec)
    detectors = []
    for number, (model, scorer) in enumerate(members, 1):
        progress.note(f"member {number} of {len(members)}: {model} + {scorer}")
        detectors.append(train(learned, with_member(config, model, scorer), spec, progress))
    scorable = usable(detectors, held_out, config.windows.max_missing)
    windows = _enough(held_out.take(scorable), len(held_out))
    progress.stage(f"judging {len(members)} members", 1 + len(FAULTS))
    normal = [d.score(windows.values, windows.start, windows.machine).raw for d in detectors]
    progress.at(1)
    heard = _heard(detectors, windows, normal, config.detector.seed, progress)
    judged = (
        _judged(d, windows, raw, tuple(of))
        for d, raw, of in zip(detectors, normal, heard, strict=True)
    )
    return Comparison(tuple(judged), len(windows))


def with_member(config: Config, model: str, scorer: str) -> Config:
    """Return the settings with another model and scorer."""
    detector = config.detector.model_copy(update={"model": model, "scorer": scorer})
    return config.model_copy(update={"detector": detector})


def apart(history: History, spec: WindowSpec) -> tuple[History, Windows]:
    """Cut the latest quarter of the windows off, with a gap of one window before it.

    Raises
    ------
    NotEnoughHistory
        When that leaves fewer than 10 windows to judge by.
    """
    windows = history.windows.take(np.argsort(history.windows.start, kind="stable"))
    count = round(HELD_OUT * len(windows))
    if count < LEAST:
        raise NotEnoughHistory(
            f"--compare holds a quarter of the history's {len(windows)} windows apart, which is "
            f"{count}; at least {LEAST} are needed: give more history"
        )
    cut = int(windows.start[-count])  # windows that start together stay together
    until = cut - spec.window_ns
    learned = windows.take(windows.start + spec.window_ns <= until)
    return History(learned, until), windows.take(windows.start >= cut)


def _enough(windows: Windows, held_out: int) -> Windows:
    """Return the windows that all can score, if these are enough to judge by."""
    if len(windows) < LEAST:
        raise NotEnoughHistory(
            f"of the {held_out} windows that --compare holds apart {len(windows)} are usable "
            f"(windows.max_missing); at least {LEAST} are needed"
        )
    return windows


def _heard(
    detectors: Sequence[Detector],
    windows: Windows,
    normal: Sequence[Floats],
    seed: int,
    progress: Progress,
) -> list[list[Heard]]:
    """Inject every fault and let every member score the windows that it changed."""
    heard: list[list[Heard]] = [[] for _ in detectors]
    spread = spreads(detectors[0])  # the same of all: no model has a say in scaling
    for number, fault in enumerate(injected(windows, spread, seed, most=MOST)):
        if len(fault.windows):
            for detector, ordinary, found in zip(detectors, normal, heard, strict=True):
                odd = fault.windows
                raw = detector.score(odd.values, odd.start, odd.machine).raw
                recall = float((raw > detector.line_.line).mean())
                auc = _auc(np.sort(ordinary), raw)
                found.append(Heard(fault.kind, fault.severity, fault.sensors, recall, auc))
        progress.at(2 + number)
    return heard


def _judged(detector: Detector, windows: Windows, raw: Floats, heard: tuple[Heard, ...]) -> Judged:
    rate = AlarmRate.of(detector, windows, raw)
    return Judged(
        model=detector.model,
        scorer=detector.scorer,
        above=rate.above,
        asked=rate.asked,
        allowed=rate.allowed,
        heard=heard,
    )


def _auc(normal: Floats, odd: Floats) -> float:
    """Return how often an odd score is above a normal one; ``normal`` is sorted."""
    below = np.searchsorted(normal, odd, "left") + np.searchsorted(normal, odd, "right")
    return float(below.mean() / (2 * len(normal)))
