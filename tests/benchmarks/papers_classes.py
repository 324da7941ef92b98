"""Sets of several classes as tasks: handwritten digits and motors, some classes normal.

Digits are windows of 784 slots and one sensor: the pixels of a picture share one unit, and one
that is hardly ever inked may not weigh more than the others. Motors are rows of a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.benchmarks.papers_tasks import TRAINING_SHARE, Floats, Task, learned_from, read

DIGITS = tuple(range(10))
MOTORS = tuple(range(1, 12))


def one_digit(data: Path, digit: int, training: str, seed: int, *, labels: bool) -> Task:
    """Learn one digit, judge it against the nine others."""
    return _digits(data, [digit], training, seed, labels=labels)


def all_digits_but(data: Path, digit: int, training: str, seed: int, *, labels: bool) -> Task:
    """Learn nine digits, judge them against the tenth."""
    return _digits(data, [d for d in DIGITS if d != digit], training, seed, labels=labels)


def half_of_the_digits(data: Path, digit: int, training: str, seed: int, *, labels: bool) -> Task:
    """Learn one digit with the other five as negatives, judge it against the four of its half.

    The halves are 0 to 4 and 5 to 9; negatives are all pictures of the other half.
    """
    half = DIGITS[:5] if digit < 5 else DIGITS[5:]
    return _digits(data, [digit], training, seed, labels=labels, within=half)


def _digits(
    data: Path,
    normal: Sequence[int],
    training: str,
    seed: int,
    *,
    labels: bool,
    within: Sequence[int] = DIGITS,
) -> Task:
    arrays, rng = read(data / "mnist" / "mnist.npz"), np.random.default_rng(seed)
    x, y = _pictures(arrays["x_train"]), np.asarray(arrays["y_train"], np.int64)
    test, of = _pictures(arrays["x_test"]), np.asarray(arrays["y_test"], np.int64)
    mine, judged = np.isin(y, normal), np.isin(of, within)
    others = x[np.isin(y, within) & ~mine]
    rows, labelled = learned_from(x[mine], others, training, rng, labels=labels)
    negatives = None
    if len(within) < len(DIGITS):
        negatives = x[~np.isin(y, within)]
    return Task(rows, labelled, test[judged], ~np.isin(of[judged], normal), negatives)


def _pictures(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Floats:
    return (np.asarray(values, np.float32) / np.float32(255)).reshape(len(values), -1, 1)


def one_motor(data: Path, motor: int, training: str, seed: int, *, labels: bool) -> Task:
    """Learn 60 % of one class of motors, judge the rest of it against the ten others."""
    return _motors(data, [motor], training, seed, labels=labels)


def all_motors_but(data: Path, motor: int, training: str, seed: int, *, labels: bool) -> Task:
    """Learn 60 % of ten classes of motors, judge the rest of them against the eleventh."""
    return _motors(data, [m for m in MOTORS if m != motor], training, seed, labels=labels)


def _motors(data: Path, normal: Sequence[int], training: str, seed: int, *, labels: bool) -> Task:
    arrays = read(data / "sensorless" / "sensorless_subset.npz")
    rng = np.random.default_rng(seed)
    x, mine = np.asarray(arrays["X"], np.float32), np.isin(arrays["y_class"], normal)
    order = rng.permutation(np.flatnonzero(mine))
    cut = round(TRAINING_SHARE * len(order))
    others = x[rng.permutation(np.flatnonzero(~mine))]
    known = others[: len(others) // 2] if labels else others[:0]  # those are not judged
    rows, labelled = learned_from(x[order[:cut]], known, training, rng, labels=labels)
    test = np.concatenate([x[order[cut:]], others[len(known) :]])
    return Task(rows, labelled, test, np.arange(len(test)) >= len(order) - cut)
