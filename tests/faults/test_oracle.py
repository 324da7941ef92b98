"""The oracle of the fault tests finds whatever can be wrong with a list of outputs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.faults.oracle import Output, Verdict, compare

OUTPUTS = [Output(f"{lane}/{n}", lane, f"{lane}{n}".encode()) for n in range(5) for lane in "ab"]
PLACES = st.integers(0, len(OUTPUTS) - 1)


def wrong(**counts: int) -> Verdict:
    nothing = {"lost": 0, "duplicated": 0, "altered": 0, "reordered": 0}
    return Verdict(len(OUTPUTS), **(nothing | counts))


def test_the_same_outputs_are_all_there() -> None:
    assert compare(OUTPUTS, OUTPUTS) == wrong()
    assert compare(OUTPUTS, OUTPUTS).wrong == 0


@given(st.permutations("ab"))
def test_lanes_may_interleave_as_they_like(lanes: list[str]) -> None:
    one_by_one = sorted(OUTPUTS, key=lambda output: lanes.index(output.lane))
    assert compare(OUTPUTS, one_by_one) == wrong()


@given(st.sets(PLACES))
def test_every_lost_output_is_counted(places: set[int]) -> None:
    left = [output for i, output in enumerate(OUTPUTS) if i not in places]
    assert compare(OUTPUTS, left) == wrong(lost=len(places))


@given(st.lists(PLACES))
def test_every_copy_too_many_is_counted(places: list[int]) -> None:
    more = OUTPUTS + [OUTPUTS[i] for i in places]
    assert compare(OUTPUTS, more) == wrong(duplicated=len(places))


@given(st.sets(PLACES))
def test_every_altered_output_is_counted(places: set[int]) -> None:
    changed = [
        Output(output.id, output.lane, output.content + b"!") if i in places else output
        for i, output in enumerate(OUTPUTS)
    ]
    assert compare(OUTPUTS, changed) == wrong(altered=len(places))


def test_an_output_that_should_not_exist_is_altered() -> None:
    assert compare(OUTPUTS, [*OUTPUTS, Output("a/9", "a", b"")]) == wrong(altered=1)


def test_a_copy_of_other_content_is_a_copy() -> None:
    other = Output(OUTPUTS[0].id, OUTPUTS[0].lane, b"other")
    assert compare(OUTPUTS, [*OUTPUTS, other]) == wrong(duplicated=1)


def test_two_outputs_of_a_lane_in_the_wrong_order_are_found() -> None:
    swapped = [OUTPUTS[2], OUTPUTS[1], OUTPUTS[0], *OUTPUTS[3:]]
    assert compare(OUTPUTS, swapped) == wrong(reordered=1)


def test_what_is_lost_is_not_out_of_order() -> None:
    assert compare(OUTPUTS, OUTPUTS[3:]) == wrong(lost=3)


def test_only_wrong_outputs_miss_the_targets() -> None:
    assert all(figure.held for figure in compare(OUTPUTS, OUTPUTS).figures("scores"))
    missed = [f.name for f in compare(OUTPUTS, OUTPUTS[1:]).figures("scores") if not f.held]
    assert missed == ["scores lost"]


def test_no_output_at_all_is_no_success() -> None:
    assert [f.name for f in compare([], []).figures("scores") if not f.held] == ["scores"]
