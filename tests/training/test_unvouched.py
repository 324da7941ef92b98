"""Silence is consent only for what drift may come to, and only of machines that are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from stream_ad.config import Config
from stream_ad.training.buffer import TrainingSet
from stream_ad.training.moved import Account, Moved
from stream_ad.training.reference import FEWEST, GROUP
from stream_ad.training.unvouched import unvouched
from stream_ad.windows import Windows
from tests.training.test_moved import NOBODY, known, shown

MAX_TOTAL = Config().drift.max_total
NOTHING = shown("a", 0, 0, 0.0)


def left_out(
    parts: Sequence[tuple[Windows, int, bool]],
    accepted: frozenset[str] = NOBODY,
    *,
    machines: str = "ab",
    moved: Moved | None = None,
    **training: Any,
) -> dict[str, set[float]]:
    """Return the values that teach nothing, by reason; parts are windows, label, lapsed."""
    windows = Windows.concat([part for part, _, _ in parts])
    y = np.concatenate([np.full(len(part), label, np.int8) for part, label, _ in parts])
    lapsed = np.concatenate([np.full(len(part), over) for part, _, over in parts])
    config = Config()
    own = config.training.model_copy(update={"alone": None} | training)
    config = config.model_copy(update={"training": own})
    reference, found = known(machines), TrainingSet(windows, y, lapsed)
    reasons = unvouched(reference, found, NOTHING, config, Account(reference, moved), accepted)
    rows = [row for own in reasons.values() for row in own.tolist()]
    assert len(rows) == len(set(rows))  # each once
    return {
        name: set(np.round(windows.values[own, 0, 0].astype(float)).tolist())
        for name, own in reasons.items()
    }


def usual(name: str = "a") -> tuple[Windows, int, bool]:
    return shown(name, 0, 10, 0.0), 0, False


def test_a_fault_that_nobody_labelled_is_not_learned_when_the_quarantine_is_over() -> None:
    fault = shown("a", 5, 5.4, 60.0)
    assert left_out([usual(), (fault, 0, True)]) == {"too_odd": {60.0}}
    assert left_out([usual(), (fault, 1, False)]) == {}  # somebody said that it is normal
    assert left_out([usual(), (fault, 0, True)], frozenset("a")) == {}
    assert left_out([usual(), (fault, 0, True)], frozenset({GROUP})) == {}


@pytest.mark.parametrize(("static", "gone"), [(MAX_TOTAL - 0.5, False), (MAX_TOTAL + 0.5, True)])
def test_what_drift_could_explain_is_learned(static: float, gone: bool) -> None:
    found = left_out([usual(), (shown("a", 5, 6, static), 0, True)])
    assert bool(found) is gone


def test_a_machine_is_counted_from_where_it_stood_when_it_was_accepted() -> None:
    """Under a reference that took over at +3, 3 is where it stands."""
    moved = Moved(0, {"a": (0.0, 0.0)}, {"a": (3.0, 3.0)}, "first")
    parts = [usual(), (shown("a", 5, 6, MAX_TOTAL + 1.0), 0, True)]
    assert left_out(parts, moved=moved) == {}
    assert left_out(parts) == {"too_odd": {MAX_TOTAL + 1.0}}


def test_what_the_reference_cannot_score_is_not_learned() -> None:
    assert left_out([usual(), (shown("a", 5, 6, np.nan), 0, True)])["too_odd"]


def test_a_new_name_teaches_nothing_before_it_can_be_judged() -> None:
    few, enough = (shown("x", 0, n / 24, 25.0) for n in (FEWEST - 1, FEWEST))
    assert left_out([usual(), (few, 0, False)]) == {"too_few": {25.0}}
    assert left_out([usual(), (enough, 0, False)]) == {}  # the gate judges it
    assert left_out([usual(), (few, 0, False)], frozenset("x")) == {}
    assert left_out([usual(), (few, 1, False)]) == {}
    known_one = shown("a", 0, (FEWEST - 1) / 24, 0.0)
    assert left_out([(known_one, 0, False)]) == {}


def test_one_that_moved_alone_and_lapsed_is_named_once() -> None:
    others = [(shown(name, 0, 10, 0.0), 0, False) for name in "bc"]
    parts = [(shown("a", 0, 5, 0.0), 0, False), (shown("a", 5, 10, 60.0), 0, True), *others]
    assert left_out(parts, machines="abc") == {"too_odd": {60.0}}
    assert left_out(parts, machines="abc", alone=1.0) == {"alone": {60.0}}
