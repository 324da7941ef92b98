"""A machine that moves without its group teaches nothing on those days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.alerting.drift import DAY_NS
from stream_ad.training.alone import alone
from stream_ad.training.moved import Account, Moved
from stream_ad.training.reference import GROUP
from stream_ad.windows import Windows
from tests.training.test_moved import HOUR_NS, NOBODY, known, shown

FLEET = "abcde"
NOTHING = shown("a", 0, 0, 0.0)


def gone(
    windows: Windows,
    others: Windows = NOTHING,
    *,
    machines: str = FLEET,
    most: float = 1.0,
    accepted: frozenset[str] = NOBODY,
    moved: Moved | None = None,
) -> Windows:
    """Return the windows that are left out."""
    reference = known(machines)
    account = Account(reference, moved)
    found = alone(
        reference,
        windows,
        others,
        most=most,
        max_missing=0.5,
        account=account,
        exempt=accepted,
    )
    assert found.shape == (len(windows),)
    return windows.take(found)


def left_out(
    windows: Sequence[Windows], others: Windows = NOTHING, **settings: Any
) -> dict[str, set[int]]:
    """Return the days of each machine of which any window is left out."""
    days: dict[str, set[int]] = {}
    out = gone(Windows.concat([*windows]), others, **settings)
    for machine, start in zip(out.machine.tolist(), out.start.tolist(), strict=True):
        days.setdefault(machine, set()).add(start // DAY_NS)
    return days


def fleet(by: float, first: float, last: float, who: str = FLEET) -> list[Windows]:
    """Return machines that stand still until a day and then so much higher."""
    return [
        part
        for name in FLEET
        for part in (
            shown(name, 0, first, 0.0),
            shown(name, first, last, by if name in who else 0.0),
        )
    ]


def test_the_days_on_which_one_moved_beyond_the_line_are_left_out_and_no_others() -> None:
    assert left_out(fleet(1.5, 5, 8, "a")) == {"a": {5, 6, 7}}


@pytest.mark.parametrize("by", [0.0, 0.9, -3.0])
def test_nearer_than_the_line_or_quieter_it_teaches(by: float) -> None:
    assert left_out(fleet(by, 5, 8, "a")) == {}


@pytest.mark.parametrize(("most", "days"), [(0.5, {5, 6, 7}), (1.6, set())])
def test_how_far_is_asked_for(most: float, days: set[int]) -> None:
    assert left_out(fleet(1.5, 5, 8, "a"), most=most).get("a", set()) == days


@pytest.mark.parametrize("by", [1.5, 4.0])
def test_what_came_to_most_machines_is_left_to_the_gate(by: float) -> None:
    assert left_out(fleet(by, 5, 8, "abc")) == {}


def test_who_moves_farther_than_the_group_is_judged_by_the_rest() -> None:
    """The group by 2, one machine by 3.5: one and a half beyond it."""
    windows = [*fleet(2.0, 5, 8, "bcde")]
    windows[1] = shown("a", 5, 8, 3.5)
    assert left_out(windows) == {"a": {5, 6, 7}}


def test_windows_of_incidents_show_that_a_change_came_to_all() -> None:
    """The others alarm on it, so that only their incidents hold it."""
    calm = [shown(name, 0, 5, 0.0) for name in FLEET]
    late = shown("a", 5, 8, 3.0)
    incidents = Windows.concat([shown(name, 5, 8, 3.0) for name in "bcde"])
    assert left_out([*calm, late, shown("b", 8, 9, 0.0)]) == {}, "nobody to compare with"
    quiet = [shown(name, 5, 8, 0.0) for name in "bcde"]
    assert left_out([*calm, late, *quiet]) == {"a": {5, 6, 7}}
    assert left_out([*calm, late], incidents) == {}


def test_windows_of_incidents_are_never_among_the_answer() -> None:
    assert len(gone(Windows.concat(fleet(0.0, 5, 8)), shown("a", 8, 11, 5.0))) == 0


@pytest.mark.parametrize("accepted", ["a", GROUP])
def test_a_new_normal_teaches(accepted: str) -> None:
    assert left_out(fleet(1.5, 5, 8, "a"), accepted=frozenset({accepted})) == {}


def test_where_a_machine_was_accepted_it_is_counted_from_there() -> None:
    moved = Moved(3 * DAY_NS, {}, {"a": (1.5, 1.6)}, "first")
    assert left_out(fleet(1.5, 5, 8, "a"), moved=moved) == {}


def test_machines_that_the_reference_does_not_know_are_not_judged() -> None:
    assert left_out(fleet(5.0, 5, 8, "e"), machines="abcd") == {}


def test_two_machines_have_no_middle() -> None:
    windows = [shown("a", 0, 5, 0.0), shown("a", 5, 8, 3.0), shown("b", 0, 8, 0.0)]
    assert left_out(windows, machines="ab") == {}


def test_of_nothing_nothing_is_left_out() -> None:
    assert left_out([NOTHING]) == {}


@given(st.permutations(range(20)), st.integers(0, 4))
def test_the_order_of_windows_does_not_matter(order: list[int], odd: int) -> None:
    windows = Windows.concat(fleet(2.0, 3, 4, FLEET[odd]))
    parts = np.array_split(np.arange(len(windows)), 20)
    rows = np.concatenate([parts[i] for i in order])

    def counted(out: Windows) -> Counter[tuple[str, int]]:
        return Counter(zip(out.machine.tolist(), out.start.tolist(), strict=True))

    found = counted(gone(windows.take(rows)))
    assert found == counted(gone(windows))
    hours = range(3 * 24, 4 * 24)
    assert found == Counter((FLEET[odd], hour * HOUR_NS) for hour in hours)


def test_two_machines_make_no_middle_where_their_days_touch_two() -> None:
    """A day begins with the machine's first window, not at midnight."""
    parts = [shown(name, 0.5, 8.5, 0.0) for name in "ab"]
    parts[0] = Windows.concat([shown("a", 0.5, 5.5, 0.0), shown("a", 5.5, 8.5, 2.0)])
    assert left_out(parts) == {}
    more = [*parts, shown("c", 0.5, 8.5, 0.0)]
    assert left_out(more).keys() == {"a"}
