import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators import FAULT_KINDS, Factory
from simulators.stream import joined

DAY_S = 86_400.0


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(0, 20),
    period_s=st.sampled_from([1.0, 7.0, 60.0, 900.0]),
    clean=st.floats(0, 0.7),
)
def test_faults_lie_after_the_clean_part_and_never_overlap(
    seed: int, count: int, period_s: float, clean: float
) -> None:
    length_s = 4000 * period_s
    faults = Factory(period_s=period_s, seed=seed).schedule(count, length_s, clean * length_s)
    assert len(faults) == count
    end = clean * length_s
    for fault in faults:
        assert fault.start_s >= end
        end = fault.start_s + fault.duration_s
    assert end <= length_s


def test_the_first_half_is_clean_unless_said_otherwise() -> None:
    factory = Factory(machines=2)
    faults = factory.schedule(6, 4 * DAY_S)
    chunk = joined(list(factory.readings(duration_s=4 * DAY_S, faults=faults)))
    first = np.flatnonzero(chunk.label)[0]
    assert chunk.time[first] - factory.start_ns >= 2 * DAY_S * 1e9


def test_same_seed_same_schedule_and_another_another() -> None:
    one, again, other = (Factory(seed=seed).schedule(5, 9 * DAY_S) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_every_kind_comes_in_turn() -> None:
    kinds = [fault.kind for fault in Factory().schedule(14, 28 * DAY_S)]
    assert sorted(kinds) == sorted(FAULT_KINDS * 2)
    asked = [fault.kind for fault in Factory().schedule(4, 4 * DAY_S, kinds=["spike", "drift"])]
    assert asked == ["spike", "drift", "spike", "drift"]


def test_every_scheduled_fault_leaves_its_label() -> None:
    factory = Factory(machines=2, seed=11)
    faults = factory.schedule(7, 14 * DAY_S)
    chunk = joined(list(factory.readings(duration_s=14 * DAY_S, faults=faults)))
    for fault in faults:
        at = (chunk.time - factory.start_ns) / 1e9
        rows = (at >= fault.start_s) & (at < fault.start_s + fault.duration_s)
        rows &= chunk.machine_id == fault.machine_id
        assert set(chunk.fault_kind[rows]) - {""} == {fault.kind}


@pytest.mark.parametrize("seed", range(5))
def test_work_at_the_wrong_time_falls_on_rest_and_other_faults_on_work(seed: int) -> None:
    for fault in Factory(seed=seed).schedule(7, 14 * DAY_S):
        middle = fault.start_s + fault.duration_s / 2 - DAY_S / 4
        weekend = middle // DAY_S % 7 >= 5  # days that begin at 06:00, the first a Monday
        assert weekend == (fault.kind == "wrong_regime")


def test_severity_is_a_factor() -> None:
    plain = Factory().schedule(5, 9 * DAY_S)
    doubled = Factory().schedule(5, 9 * DAY_S, severity=2.0)
    for one, two in zip(plain, doubled, strict=True):
        assert two.severity == pytest.approx(2 * one.severity, abs=0.02)
        assert two.start_s == one.start_s


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": -1, "duration_s": DAY_S}, "count: -1"),
        ({"count": 1000, "duration_s": DAY_S}, "count: so many faults have no room"),
        ({"count": 1, "duration_s": DAY_S, "clean_until_s": 2 * DAY_S}, "clean_until_s: 172800 s"),
        ({"count": 1, "duration_s": DAY_S, "kinds": ["rust"]}, "kind: 'rust'"),
        ({"count": 1, "duration_s": DAY_S, "severity": 0.0}, "severity: 0"),
    ],
)
def test_a_wrong_schedule_is_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Factory().schedule(**arguments)  # type: ignore[arg-type]
