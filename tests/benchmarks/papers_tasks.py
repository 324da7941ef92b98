"""What the benchmark of the papers learns from and is judged on, split by written rules.

Nothing here is chosen by test labels, and no row is ever drawn twice.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_ad.errors import InputError

SEVEN = (
    "arrhythmia",
    "cardio",
    "mammography",
    "satellite",
    "satimage-2",
    "shuttle",
    "thyroid",
)
MORE = (
    "Hepatitis",
    "Lymphography",
    "Pima",
    "Stamps",
    "WDBC",
    "Waveform",
    "annthyroid",
    "fault",
    "landsat",
    "magic.gamma",
    "optdigits",
    "vertebral",
    "wine",
)
CLEAN, AS_IT_COMES = "clean", "as it comes"
TRAINING_SHARE = 0.6
LABELLED_SHARE = 0.01  # of what is learned from: labelled anomalies, for models that use them

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Task:
    """What is learned from and what is judged.

    Parameters
    ----------
    train : float32 array (n, d) or (n, T, C)
        Unlabelled, in random order.
    labelled : float32 array (l, ...)
        Labelled anomalies, not among ``train``.
    test : float32 array (m, ...)
    anomalous : bool array (m,)
        Of the test rows.
    negatives : float32 array (p, ...), optional
        Of another domain, neither normal nor among the anomalies judged.
    """

    train: Floats
    labelled: Floats
    test: Floats
    anomalous: NDArray[np.bool_]
    negatives: Floats | None = None


def table_file(data: Path, name: str) -> Path:
    """Return where a table lies."""
    return data / ("tabular" if name in SEVEN else "tabular_more") / f"{name}.npz"


@lru_cache(maxsize=4)
def read(file: Path) -> dict[str, NDArray[np.generic]]:
    """Read a set.

    Raises
    ------
    InputError
        When it is not there or cannot be read; names the file.
    """
    try:
        with np.load(file) as arrays:
            return {key: arrays[key] for key in arrays}
    except (OSError, ValueError) as cause:
        raise InputError(f"the set {file} cannot be read: {cause}") from cause


@lru_cache
def digest_of(file: Path) -> str:
    """Return the SHA-256 of a set's file.

    Raises
    ------
    InputError
        When it is not there.
    """
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as cause:
        raise InputError(f"the set {file} cannot be read: {cause}") from cause


def table_task(
    file: Path, training: str, seed: int, *, labels: bool = False, most: int | None = None
) -> Task:
    """Split a table 60:40, both classes alike, and contaminate its training part as asked.

    Parameters
    ----------
    file : Path
    training : str
        ``clean``: normal rows only; ``as it comes``: with all anomalies of the training part;
        ``10 %``: with so many of them that they are that share of it.
    seed : int
        Of split, labels and order.
    labels : bool
        Whether 1 % of the rows learned from are labelled anomalies.
    most : int, optional
        Of larger tables so many rows are drawn first.

    Raises
    ------
    InputError
        When the table cannot be read, or holds too few anomalies for the share.
    """
    arrays = read(file)
    rng = np.random.default_rng(seed)
    x, odd = np.asarray(arrays["X"], np.float32), np.asarray(arrays["y"]) == 1
    if most is not None and len(x) > most:
        drawn = rng.permutation(len(x))[:most]
        x, odd = x[drawn], odd[drawn]
    train, test = _split(odd, rng)
    normal, anomalies = x[train[~odd[train]]], x[train[odd[train]]]
    rows, labelled = learned_from(normal, anomalies, training, rng, labels=labels)
    return Task(rows, labelled, x[test], odd[test])


def learned_from(
    normal: Floats, anomalies: Floats, training: str, rng: np.random.Generator, *, labels: bool
) -> tuple[Floats, Floats]:
    """Return the unlabelled rows, in random order, and the labelled anomalies; none is in both.

    Raises
    ------
    InputError
        With fewer anomalies than are asked for.

    Examples
    --------
    >>> rng, rows = np.random.default_rng(0), np.zeros((90, 2), np.float32)
    >>> train, labelled = learned_from(rows, rows[:30] + 1, "10 %", rng, labels=True)
    >>> len(train), int(train[:, 0].sum()), len(labelled)
    (100, 10, 1)
    """
    order = rng.permutation(len(anomalies))
    known = max(1, round(LABELLED_SHARE * len(normal))) if labels else 0
    hidden = _hidden(len(normal), len(anomalies) - known, training)
    rows = np.concatenate([normal, anomalies[order[known : known + hidden]]])
    return rows[rng.permutation(len(rows))], anomalies[order[:known]]


def _hidden(normal: int, anomalies: int, training: str) -> int:
    """Return how many unlabelled anomalies are learned from."""
    if training == CLEAN:
        wanted = 0
    elif training == AS_IT_COMES:
        wanted = anomalies
    else:
        share = float(training.removesuffix(" %")) / 100
        wanted = round(share / (1 - share) * normal)
    if not 0 <= wanted <= anomalies:
        raise InputError(
            f"{training} of {normal} normal rows: {wanted} anomalies needed, {anomalies} there "
            "besides those labelled, and none is drawn twice"
        )
    return wanted


def _split(odd: NDArray[np.bool_], rng: np.random.Generator) -> tuple[Rows, Rows]:
    parts: list[tuple[Rows, Rows]] = []
    for which in (~odd, odd):
        rows = rng.permutation(np.flatnonzero(which))
        cut = round(TRAINING_SHARE * len(rows))
        parts.append((rows[:cut], rows[cut:]))
    (normal, others), (anomalies, rest) = parts
    return np.concatenate([normal, anomalies]), np.concatenate([others, rest])
