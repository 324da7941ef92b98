"""Which windows that nobody labelled are not learned as normal, whatever the buffer holds.

After the quarantine silence counts as consent, for what might have been a false alarm. What lies
beyond all that drift may come to is none: it teaches nothing until somebody says what it was. Nor
does a machine that moved alone, nor one of which too little is known to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stream_ad.config import Config
from stream_ad.training.alone import alone
from stream_ad.training.buffer import TrainingSet
from stream_ad.training.injected import finite_scores, usable
from stream_ad.training.moved import Account
from stream_ad.training.reference import FEWEST, GROUP, by_machine
from stream_ad.windows import Windows

if TYPE_CHECKING:
    from stream_ad.detector import Detector

Rows = NDArray[np.int64]


def unvouched(  # noqa: PLR0917 - both what is judged and by what
    reference: Detector,
    found: TrainingSet,
    rest: Windows,
    config: Config,
    account: Account,
    exempt: frozenset[str],
) -> dict[str, Rows]:
    """Return the rows of a training set that teach nothing, by reason; each once.

    Parameters
    ----------
    reference : Detector
    found : TrainingSet
    rest : Windows
        Of incidents that teach nothing yet.
    config : Config
        ``training.alone``, ``drift.max_total``, ``windows.max_missing``.
    account : Account
        Of the reference.
    exempt : frozenset of str
        Machines, ``*`` for all, whose new normal an operator accepted.

    Returns
    -------
    dict of str to int64 array
        ``too_few``: of machines of which there are fewer than 20 windows, and which the
        reference does not know; ``alone``: as of `alone`; ``too_odd``: as of `too_odd`.

    Raises
    ------
    ModelError
        When the reference gives no finite scores.
    """
    free = np.flatnonzero(found.y == 0)
    if GROUP in exempt or not len(free):
        return {}
    asked: dict[str, Any] = {
        "max_missing": config.windows.max_missing,
        "account": account,
        "exempt": exempt,
    }
    machines = by_machine(found.windows.machine[free])
    known = account.normal.zero.keys() | exempt
    unknown = [rows for name, rows in machines.items() if len(rows) < FEWEST and name not in known]
    reasons = {"too_few": free[np.concatenate(unknown)] if unknown else free[:0]}
    if config.training.alone is not None:
        others = Windows.concat([found.windows.take(found.y != 0), rest])
        some = found.windows.take(free)
        apart = alone(reference, some, others, most=config.training.alone, **asked)
        reasons["alone"] = free[apart]
    lapsed = np.flatnonzero(found.lapsed)
    odd = too_odd(reference, found.windows.take(lapsed), most=config.drift.max_total, **asked)
    reasons["too_odd"] = lapsed[odd]
    seen = np.zeros(len(found.y), bool)
    for name, rows in reasons.items():
        reasons[name] = rows[~seen[rows]]
        seen[rows] = True
    return {name: rows for name, rows in reasons.items() if len(rows)}


def too_odd(
    reference: Detector,
    windows: Windows,
    *,
    most: float,
    max_missing: float,
    account: Account,
    exempt: frozenset[str],
) -> NDArray[np.bool_]:
    """Return which windows (n,) lie more than ``most`` beyond where their machine is counted from.

    Parameters
    ----------
    reference : Detector
    windows : Windows
        Of incidents that nobody labelled, in any order.
    most : float
        In static scores: what a machine may have drifted in all.
    max_missing : float
        Windows with a larger share of missing cells cannot be scored, and teach nothing either.
    account : Account
    exempt : frozenset of str
        Machines whose new normal an operator accepted.

    Raises
    ------
    ModelError
        When the reference gives no finite scores.

    Notes
    -----
    Lets pass what a fault shows below that bound: the drift of its machine is bounded by the same.
    """
    scored = usable([reference], windows, max_missing)
    static = np.full(len(windows), np.inf)
    raw = finite_scores(reference, windows.take(scored), "reference")
    static[scored] = reference.line_.static_score(raw)
    found = np.zeros(len(windows), bool)
    for name, rows in by_machine(windows.machine).items():
        if name not in exempt:
            found[rows] = static[rows] - account.zero(name)[0] > most
    return found
