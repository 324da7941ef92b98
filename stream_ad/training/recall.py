"""What a challenger hears beside the champion, both at the same alarm rate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stream_ad.config import AlarmConfig, Config
from stream_ad.training.injected import AlarmRate, finite_scores, injected, spreads, usable
from stream_ad.training.verdict import Check, told_apart
from stream_ad.windows import Windows, WindowSpec

if TYPE_CHECKING:
    from stream_ad.detector import Detector

MOST = 500  # windows that get faults: recall is then known to two points
EACH = 200  # of fewer windows each gets several faults, until there are so many
SAID = {
    "spike": "spikes",
    "drift": "drifting sensors",
    "stuck": "stuck sensors",
    "lost_correlation": "lost correlations",
    "delay": "delayed sensors",
    "scale": "sensors that swing too far",
}
ROUNDING = 1e-9

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def raised(line: float, raw: Floats, above: int) -> float:
    """Return the lowest line, not below the given one, that leaves at most so many above it.

    Examples
    --------
    >>> raised(1.0, np.array([0.0, 3.0, 2.0, 5.0]), 1), raised(4.0, np.array([0.0, 3.0]), 1)
    (3.0, 4.0)
    """
    return max(line, float(np.sort(raw)[::-1][above])) if above < len(raw) else line


@dataclass(frozen=True, slots=True)
class Pair:
    """Challenger and champion, each with the line above which a window counts as found.

    Parameters
    ----------
    challenger, champion : Detector
    rate : AlarmRate
        How the champion's own line holds on the held-out windows.
    lines : (float, float)
        The challenger's own, and the champion's, raised where it had more windows above it.
    stands : float
        The champion's line as it stands where that holds, otherwise the raised one.
    """

    challenger: Detector
    champion: Detector
    rate: AlarmRate
    lines: tuple[float, float]
    stands: float

    @classmethod
    def at_same_rate(cls, challenger: Detector, champion: Detector, windows: Windows) -> Pair:
        """Let both score held-out windows that both can score.

        A champion that alarms on everything would find everything, and nobody could follow it.
        So its line is raised until no more windows are above it than above the challenger's:
        what is compared is what they tell apart. Whether either line keeps its budget is judged
        by itself.
        """
        own = challenger.line_.line
        above = int((finite_scores(challenger, windows, "challenger") > own).sum())
        raw = finite_scores(champion, windows, "champion")
        line, rate = raised(champion.line_.line, raw, above), AlarmRate.of(champion, windows, raw)
        stands = champion.line_.line if rate.within else line
        return cls(challenger, champion, rate, (own, line), stands)

    def found(self, windows: Windows) -> tuple[Bools, Bools]:
        """Return which windows (n,) each of the two finds."""
        return self._above(windows, *self.lines)

    def found_so_far(self, windows: Windows) -> tuple[Bools, Bools]:
        """Return which windows (n,) each of the two finds, the champion as it scores now.

        Where it keeps to its rate, what operators were told of counts: were it held to the rate
        of each challenger, it could lose it step by step.
        """
        return self._above(windows, self.lines[0], self.stands)

    def _above(self, windows: Windows, own: float, other: float) -> tuple[Bools, Bools]:
        ours = finite_scores(self.challenger, windows, "challenger") > own
        return ours, finite_scores(self.champion, windows, "champion") > other

    @property
    def worn(self) -> str:
        """Say whether the champion's own line still holds."""
        if self.rate.within:
            return ""
        return (
            f" (the champion's line no longer holds: {self.rate.above:.1%} of these windows are "
            f"above it, it stands for {self.rate.asked:.1%})"
        )


def check_faults(pair: Pair, windows: Windows, config: Config) -> Check:
    """Compare the recall of injected faults: in the mean, and of the kind that lost most.

    Faults are injected into the sensors that both know.
    """
    heard = [*_heard(pair, windows, config.detector.seed)]
    if not heard:
        return Check("faults", True, {}, "no fault could be injected where nothing moves")
    gate = config.training.gate
    kinds = dict.fromkeys(kind for kind, _ in heard)
    each = {own: np.mean([r for kind, r in heard if kind == own], axis=0) for own in kinds}
    ours, theirs = (float(r) for r in np.mean([r for _, r in heard], axis=0))
    worst = max(each, key=lambda kind: each[kind][1] - each[kind][0])
    loss, worst_loss = theirs - ours, float(each[worst][1] - each[worst][0])
    figures = {"recall": ours, "champion": theirs, "loss": loss, "worst_loss": worst_loss}
    figures |= {"champion_above": pair.rate.above, "champion_allowed": pair.rate.allowed}
    figures |= {f"{kind}": float(r[0]) for kind, r in each.items()}
    figures |= {f"champion_{kind}": float(r[1]) for kind, r in each.items()}
    said = [f"recall of injected faults is {ours:.2f}, the champion's {theirs:.2f}"]
    if loss > gate.recall_loss + ROUNDING:
        said = [_fell("injected faults", theirs, ours, gate.recall_loss)]
    if too_much := worst_loss > gate.worst_loss + ROUNDING:
        own = _fell(SAID[worst], each[worst][1], each[worst][0], gate.worst_loss)
        said = [*said, own] if loss > gate.recall_loss + ROUNDING else [own]
    passed = not too_much and loss <= gate.recall_loss + ROUNDING
    return Check("faults", passed, figures, "; ".join(said) + pair.worn)


def _heard(pair: Pair, windows: Windows, seed: int) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield the kind of each fault, and the recall of both."""
    common = pair.champion.known & pair.challenger.known
    # in the champion's units: what it learned last is no reason for larger faults
    spread = np.where(common, spreads(pair.champion), np.nan)
    for fault in injected(windows, spread, seed, most=MOST, least=EACH):
        if len(fault.windows):
            ours, theirs = pair.found(fault.windows)
            yield fault.kind, (float(ours.mean()), float(theirs.mean()))


def _fell(what: str, before: float, after: float, most: float) -> str:
    was, came = told_apart(before, after)
    return f"recall of {what} fell from {was} to {came}, by more than {most:g}"


def check_labelled(pair: Pair, anomalies: Windows, config: Config, spec: WindowSpec) -> Check:
    """Compare how many labelled anomalies would open an incident again, and how much of them.

    An incident that opens now and would not count at once; windows that are lost at the same
    alarm rate, less those gained, count beyond two standard errors of that difference.
    """
    both = [pair.challenger, pair.champion]
    windows = anomalies.take(usable(both, anomalies, 1.0))
    if not len(windows):
        return Check("labelled", True, {}, "no anomaly is labelled yet")
    ours, theirs = pair.found(windows)
    incidents = [*runs(windows, spec)]
    n, most = len(incidents), config.training.gate.labelled_loss
    now, before = (
        sum(opens(windows.start[r[a[r]]], len(r), config.alarm, spec.hop_ns) for r in incidents)
        for a in pair.found_so_far(windows)
    )
    lost, gained = int((theirs & ~ours).sum()), int((ours & ~theirs).sum())
    chance = 2 * math.sqrt(lost + gained)
    fewer = before - now > most * n + ROUNDING
    weaker = lost - gained > most * len(windows) + chance + ROUNDING
    figures = {"anomalies": float(n), "recall": now / n, "champion": before / n}
    figures |= {"windows": float(len(windows)), "window_recall": float(ours.mean())}
    figures |= {"champion_window_recall": float(theirs.mean())}
    said = f"of {n} labelled anomalies it finds {now}, the champion {before}"
    if weaker:
        said += f"; of their windows {ours.mean():.0%}, the champion {theirs.mean():.0%}"
    return Check("labelled", not (fewer or weaker), figures, said)


def runs(windows: Windows, spec: WindowSpec) -> Iterator[Ints]:
    """Yield the rows of each anomaly: windows of a machine that touch one another, in order.

    Examples
    --------
    >>> from stream_ad.config import WindowsConfig
    >>> spec = WindowSpec.from_config(WindowsConfig(sensors=["a"], period_s=1, length=4))
    >>> machine, start = np.array(["a", "b", "a", "a"], object), np.array([4, 0, 0, 20]) * 10**9
    >>> w = Windows(machine, start, np.zeros((4, 4, 1), np.float32), np.arange(4))
    >>> [rows.tolist() for rows in runs(w, spec)]
    [[2, 0], [3], [1]]
    """
    if not len(windows):
        return
    code = np.unique(windows.machine.astype(str), return_inverse=True)[1]
    order = np.lexsort((windows.start, code))
    apart = np.diff(windows.start[order]) > max(spec.window_ns, spec.hop_ns)
    cuts = np.flatnonzero(apart | (np.diff(code[order]) != 0)) + 1
    yield from np.split(order, cuts)


def opens(alarms: Ints, windows: int, alarm: AlarmConfig, hop_ns: int) -> bool:
    """Say whether alarms at these starts, ascending, open an incident.

    Of an anomaly with fewer than m windows all have to alarm.

    Examples
    --------
    >>> opens(np.array([0, 20]), 5, AlarmConfig(m=2, n=3), hop_ns=10)
    True
    >>> opens(np.array([0, 30]), 5, AlarmConfig(m=2, n=3), hop_ns=10)
    False
    """
    m = min(alarm.m, windows)
    return bool((alarms[m - 1 :] - alarms[: len(alarms) - m + 1] <= (alarm.n - 1) * hop_ns).any())
