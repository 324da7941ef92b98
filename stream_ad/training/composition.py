"""What a buffer is made of, in figures that a person can read."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_ad.training.quarantine import ANOMALY, BESIDE, CLOSED, FREE, NORMAL, OPEN, Words

LEFT_OUT = {OPEN: "open_incident", CLOSED: "unlabelled_incident", BESIDE: "beside_anomaly"}
AGES = {"least": 0.0, "quarter": 0.25, "median": 0.5, "three_quarters": 0.75, "most": 1.0}
MOST_NAMED = 50


def compose(
    machine: NDArray[np.object_],
    age_s: NDArray[np.float64],
    word: Words,
    *,
    apart: NDArray[np.bool_],
    waiting: int,
) -> dict[str, Any]:
    """Return what windows make up, as JSON values.

    Parameters
    ----------
    machine : object array (n,)
    age_s : float array (n,)
        Seconds since the window ended.
    word : int8 array (n,)
        What each counts as, of `stream_ad.training.quarantine`.
    apart : bool array (n,)
        Those that were in an incident.
    waiting : int
        Windows that an incident may still cover.

    Returns
    -------
    dict
        ``windows``: how many teach; of these ``normal`` and ``anomaly`` by label, and ``lapsed``
        from incidents that nobody labelled in time; ``waiting``; ``left_out``: by reason;
        ``age_s``: quantiles over those that teach; ``machines`` and ``left_out_machines``: how
        many of each, of the 50 with the most; ``more_machines``: of how many nothing is said.

    Examples
    --------
    >>> made = compose(np.array(["a", "a", "b"], object), np.array([10.0, 20.0, 30.0]),
    ...                np.array([FREE, NORMAL, OPEN], np.int8),
    ...                apart=np.array([False, True, True]), waiting=4)
    >>> made["windows"], made["normal"], made["left_out"], made["machines"], made["age_s"]["median"]
    (2, 1, {'open_incident': 1}, {'a': 2}, 15.0)
    """
    out = np.isin(word, [*LEFT_OUT])
    counts = Counter(word.tolist())
    teaching, kept_out = Counter(machine[~out].tolist()), Counter(machine[out].tolist())
    age = np.quantile(age_s[~out], [*AGES.values()]).tolist() if len(age_s[~out]) else []
    return {
        "windows": int((~out).sum()),
        "normal": counts[NORMAL],
        "anomaly": counts[ANOMALY],
        "lapsed": int((apart & (word == FREE)).sum()),
        "waiting": waiting,
        "left_out": {why: counts[one] for one, why in LEFT_OUT.items() if counts[one]},
        "age_s": dict(zip(AGES, age, strict=False)),
        "machines": _named(teaching),
        "left_out_machines": _named(kept_out),
        "more_machines": max(0, len(teaching) - MOST_NAMED),
    }


def _named(counts: Counter[str]) -> dict[str, int]:
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return dict(most[:MOST_NAMED])
