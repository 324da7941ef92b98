"""The gate's memory: what is learned as normal may move so far, and so fast, by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_ad.alerting.drift import DAY_NS
from stream_ad.config import DriftConfig
from stream_ad.training.moved import NONE, Account, Level, Moved, Pair
from stream_ad.training.reference import GROUP
from stream_ad.training.verdict import Check, told_apart

NAME = "moved"
TOLD = 3  # machines that a sentence names
WHAT = ("half", "a tenth")

Floats = NDArray[np.float64]


class Movement(NamedTuple):
    """What the check of one challenger found."""

    check: Check
    moved: Moved
    beyond: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """How far a machine has moved, and how far it might: arrays (2,) as of `Level`.

    Parameters
    ----------
    at, zero : float64 array
        Where it stands under the reference, and where it is counted from.
    before : float64 array
        How far it had moved at the last promotion.
    most : float64 array
        How far it may have moved now.
    """

    at: Floats
    zero: Floats
    before: Floats
    most: Floats

    @property
    def total(self) -> Floats:
        """Return how far it has moved; quieter than ever is no fault learned."""
        return np.maximum(0.0, self.at - self.zero)

    @property
    def worst(self) -> int:
        """Return which of the two is farthest beyond its bound, or nearest to it."""
        return int(np.argmax(self.total - self.most))

    @property
    def excess(self) -> float:
        """Return how far it is beyond its bound; negative within."""
        return float((self.total - self.most).max())


def unjudged(moved: Moved | None, now: int) -> Movement:
    """Return what is said where there is nothing to hold a challenger against."""
    said = "no reference yet: nothing says how far the machines have moved"
    return Movement(Check(NAME, True, {}, said), moved or Moved(now), ())


def check_moved(
    levels: Mapping[str, Level],
    account: Account,
    drift: DriftConfig,
    accepted: frozenset[str],
    now: int,
) -> Movement:
    """Hold how far machines have moved against ``drift.max_per_day`` and ``drift.max_total``.

    Parameters
    ----------
    levels : mapping of str to Level
        From `stream_ad.training.moved.levels`.
    account : Account
    drift : DriftConfig
    accepted : frozenset of str
        Machines, ``*`` for all, whose new normal an operator accepted: they may be anywhere, and
        count from where they are.
    now : int
        The newest event time in ns.
    """
    steps = _steps(levels, account, drift, now)
    free = {name for name in steps if GROUP in accepted or name in accepted}
    beyond = sorted(
        (name for name, step in steps.items() if step.excess > 0 and name not in free),
        key=lambda name: (name == GROUP, -steps[name].excess, name),
    )
    said = _refusal(beyond, steps, drift) if beyond else _passed(steps, free)
    check = Check(NAME, not beyond, _figures(steps, free, drift), said)
    return Movement(check, _next(steps, account, accepted, now), tuple(beyond))


def _steps(
    levels: Mapping[str, Level], account: Account, drift: DriftConfig, now: int
) -> dict[str, Step]:
    may = drift.max_per_day * max(0, now - account.moved.at) / DAY_NS
    steps = {}
    for name, level in levels.items():
        before, most = account.before(name), np.full(2, drift.max_total)
        if account.paced(name):
            most = np.minimum(most, before + may)
        steps[name] = Step(level.at, account.zero(name), before, most + level.noise)
    return steps


def _next(steps: Mapping[str, Step], account: Account, accepted: frozenset[str], now: int) -> Moved:
    """Return what the next challenger is held against; who was not seen stays where it was."""
    old = account.moved
    total = old.total | {name: _pair(step.total) for name, step in steps.items()}
    zero = old.zero if old.reference == account.key else {}
    zero = zero | {name: _pair(step.zero) for name, step in steps.items() if name != GROUP}
    for name in total.keys() if GROUP in accepted else accepted:
        total[name] = _pair(NONE)
        if name in steps and name != GROUP:
            zero[name] = _pair(steps[name].at)
    return Moved(now, total, zero, account.key)


def _pair(values: Floats) -> Pair:
    return float(values[0]), float(values[1])


def _figures(steps: Mapping[str, Step], free: set[str], drift: DriftConfig) -> dict[str, float]:
    judged = [step for name, step in steps.items() if name not in free]
    if not steps:
        return {}
    figures = {"machines": float(len(steps.keys() - {GROUP}))}
    figures |= {"accepted": float(len(free - {GROUP}))}
    figures |= {"max_per_day": drift.max_per_day, "max_total": drift.max_total}
    if judged:
        worst = max(judged, key=lambda step: step.excess)
        named = {"total": worst.total, "before": worst.before, "most": worst.most}
        figures |= {name: float(values[worst.worst]) for name, values in named.items()}
        figures["farthest"] = max(float(step.total.max()) for step in judged)
    return figures


def _refusal(beyond: list[str], steps: Mapping[str, Step], drift: DriftConfig) -> str:
    name, others = beyond[0], [name for name in beyond[1:] if name != GROUP]
    step = steps[name]
    i = step.worst
    bound = "drift.max_total" if step.total[i] > drift.max_total else "drift.max_per_day"
    total, most = told_apart(float(step.total[i]), float(step.most[i]))
    said = (
        f"{WHAT[i]} of what {_who(name)} showed lately scores at least {total} more "
        f"than an operator last accepted as normal (the alarm line lies 1 from it), "
        f"{step.before[i]:.2f} more at the last promotion; {bound} and noise allow {most}"
    )
    if others:
        said += f"; so it is with {some_of(others)}"
    return f"{said}; if this is the new normal: stream-ad label ID normal --new-normal"


def _passed(steps: Mapping[str, Step], free: set[str]) -> str:
    if not steps:
        return "no machine has enough windows to say how far it has moved"
    said = []
    if judged := [name for name in steps if name not in free]:
        name = max(judged, key=lambda name: float(steps[name].total.max()))
        step = steps[name]
        i = int(step.total.argmax())
        said.append(f"{_who(name)} has moved by {step.total[i]:.2f} of {step.most[i]:.2f}")
    if free:
        said.append(f"an operator accepted the new normal of {some_of(sorted(free - {GROUP}))}")
    return "; ".join(said)


def _who(name: str) -> str:
    return "the group" if name == GROUP else name


def some_of(names: list[str]) -> str:
    """Name a few machines."""
    return ", ".join(names[:TOLD]) + (" and others" if len(names) > TOLD else "")
