"""The gate: what a freshly trained detector, the challenger, shows before it may score.

It is held against the champion, which scores now, and against the reference, the last detector
that an operator accepted as normal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stream_ad.config import Config
from stream_ad.errors import ModelError
from stream_ad.training.held_out import LEAST, split
from stream_ad.training.injected import AlarmRate, finite_scores, usable
from stream_ad.training.moved import Account, Moved, levels
from stream_ad.training.poisoning import check_moved, unjudged
from stream_ad.training.recall import Pair, check_faults, check_labelled
from stream_ad.training.verdict import Check, Verdict
from stream_ad.windows import Windows, WindowSpec

if TYPE_CHECKING:
    from stream_ad.detector import Detector

__all__ = ["Check", "Moved", "Verdict", "judge", "split"]

EXACT = "exact"

Bools = NDArray[np.bool_]


def judge(  # noqa: PLR0917
    challenger: Detector,
    champion: Detector | None,
    reference: Detector | None,
    learned: Windows,
    held_out: Windows,
    anomalies: Windows,
    config: Config,
    spec: WindowSpec,
    *,
    moved: Moved | None,
    accepted: frozenset[str],
    now: int,
) -> Verdict:
    """Decide whether a challenger may follow the champion.

    Parameters
    ----------
    challenger : Detector
        Fitted on ``learned``, its line set to the budget.
    champion : Detector or None
        None at a cold start: then only the alarm rate and the index are judged.
    reference : Detector or None
    learned : Windows
        What the challenger learned as normal without a label, and what it did not, since it is
        too odd: where that is all that a machine shows by now, the machine has moved.
    held_out : Windows
        Normal windows that it did not learn: both from `split`.
    anomalies : Windows
        Labelled ones, may be none.
    config : Config
        ``training.gate``, ``drift``, ``alarm``, ``windows.max_missing``, ``detector.seed``.
    spec : WindowSpec
    moved : Moved or None
        Of the verdict with which the last promotion was made.
    accepted : frozenset of str
        Machines, ``*`` for all, whose new normal an operator accepted since then.
    now : int
        The newest event time in ns.

    Returns
    -------
    Verdict
        Never passed where a score or a line is not a finite number.

    Notes
    -----
    Works badly with few held-out windows: chance explains much then. What a fault in the history
    did to the line of a challenger shows in how far it has moved, not in its recall: held-out
    windows come from the same history, and recall is compared at the same alarm rate.

    Costs a score of every held-out window, 12 of each of up to 500 for the challenger and for
    the champion, and one of up to 512 windows of each machine, of about 20,000 in all, for the
    reference.
    """
    most = config.windows.max_missing
    try:
        own = held_out.take(usable([challenger], held_out, most))
        checks = [_alarm_rate(challenger, own)]
        movement = unjudged(moved, now)
        if champion is not None:
            both = own.take(usable([champion], own, most))
            checks += [
                _sensors(challenger, champion, held_out, spec),
                *_compared(challenger, champion, both, anomalies, (config, spec)),
            ]
        checks.append(_index(challenger))
        if champion is not None:
            if reference is not None:
                account = Account(reference, moved)
                found = levels(reference, learned, most, account, accepted)
                movement = check_moved(found, account, config.drift, accepted, now)
            checks.append(movement.check)
    except ModelError as error:
        return Verdict((Check("scores", False, {}, str(error)),), moved or Moved(now))
    return Verdict(tuple(checks), movement.moved, movement.beyond)


def _alarm_rate(challenger: Detector, windows: Windows) -> Check:
    name = "alarm_rate"
    if len(windows) < LEAST:
        said = f"it can score {len(windows)} of the held-out windows, at least {LEAST} are needed"
        return Check(name, False, {"windows": float(len(windows))}, said)
    rate = AlarmRate.of(challenger, windows, finite_scores(challenger, windows, "challenger"))
    figures = {"windows": float(len(windows)), "above": rate.above, "asked": rate.asked}
    said = f"{rate.above:.1%} of {len(windows):,} held-out windows alarm"
    if not rate.within:
        said += f", its line stands for {rate.asked:.1%} and chance allows {rate.allowed:.1%}"
    return Check(name, rate.within, figures | {"allowed": rate.allowed}, said)


def _sensors(
    challenger: Detector, champion: Detector, held_out: Windows, spec: WindowSpec
) -> Check:
    lost = champion.known & ~challenger.known
    gained = challenger.known & ~champion.known
    alive = lost & ~np.isnan(held_out.values).all(axis=(0, 1))
    figures = {"known": float(challenger.known.sum())}
    figures |= {"lost": float(lost.sum()), "gained": float(gained.sum())}
    if alive.any():
        said = f"it would not watch {_names(alive, spec)}, which has values"
        return Check("sensors", False, figures, said)
    if not (lost | gained).any():
        return Check("sensors", True, {}, "it knows the sensors that the champion knows")
    told = [f"it no longer watches {_names(lost, spec)}, silent of late"] if lost.any() else []
    told += [f"it also watches {_names(gained, spec)}"] if gained.any() else []
    return Check("sensors", True, figures, "; ".join(told), noted=True)


def _names(which: Bools, spec: WindowSpec) -> str:
    return ", ".join(name for name, there in zip(spec.names, which, strict=True) if there)


def _compared(
    challenger: Detector,
    champion: Detector,
    windows: Windows,
    anomalies: Windows,
    settings: tuple[Config, WindowSpec],
) -> list[Check]:
    if len(windows) < LEAST:
        said = "the champion can score too few of the held-out windows to be compared with"
        return [Check("faults", True, {"windows": float(len(windows))}, said)]
    pair = Pair.at_same_rate(challenger, champion, windows)
    labelled = check_labelled(pair, anomalies, *settings)
    return [check_faults(pair, windows, settings[0]), labelled]


def _index(challenger: Detector) -> Check:
    from stream_ad.detector.index_choice import RECALL

    if challenger.card.get("index", EXACT) == EXACT:
        return Check("index", True, {}, "its index is exact")
    found = challenger.card.get("index_check", {}).get("recall")
    recall = float(found) if isinstance(found, int | float) else float("nan")
    said = f"its index finds {recall:.1%} of the neighbours"
    if not recall >= RECALL:  # nor is a NaN
        said += f", less than {RECALL:.0%}"
    return Check("index", bool(recall >= RECALL), {"recall": recall}, said)
