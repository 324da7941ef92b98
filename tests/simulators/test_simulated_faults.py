import numpy as np
import pytest

from simulators import FAULT_KINDS, Chunk, Factory, Fault
from simulators.effects import SHAPES
from simulators.machine import Machine
from simulators.schedule import USUAL
from simulators.stream import joined

HOUR_S = 3600.0
SENSOR = "pressure"
STEPS = 30 * 60


def stream(faults: list[Fault], seed: int = 0, period_s: float = 60.0) -> Chunk:
    factory = Factory(machines=2, seed=seed, period_s=period_s, losses_per_day=0)
    return joined(list(factory.readings(STEPS, faults=faults)))


def fault(kind: str, sensors: tuple[str, ...] = (SENSOR,), severity: float = 8.0) -> Fault:
    """Six hours on Monday afternoon, over the border of two blocks."""
    return Fault("machine-02", kind, 14 * HOUR_S, 6 * HOUR_S, sensors, severity)


def spread(seed: int = 0) -> np.ndarray:
    factory = Factory(machines=2, seed=seed)
    return Machine(seed, 1, factory.layout.sensors, factory.start_ns, 60.0).spread


@pytest.fixture(scope="module")
def healthy() -> Chunk:
    return stream([])


def rows_of(chunk: Chunk) -> np.ndarray:
    return np.flatnonzero(chunk.machine == 1)[14 * 60 : 20 * 60]


def test_every_kind_has_a_shape_and_a_usual_form() -> None:
    assert tuple(SHAPES) == tuple(USUAL) == FAULT_KINDS


def test_a_healthy_factory_has_no_labels(healthy: Chunk) -> None:
    assert not healthy.label.any()


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_a_fault_changes_exactly_the_rows_it_labels(kind: str, seed: int) -> None:
    before, after = stream([], seed), stream([fault(kind)], seed)
    changed = (before.values != after.values).any(axis=1)
    assert not changed[after.label == 0].any()
    # A value that wanders may pass through its old one, to the last decimal, now and then.
    assert changed[after.label == 1].mean() > 0.99
    assert set(np.flatnonzero(after.label)) <= set(rows_of(after))
    assert np.array_equal(before.time, after.time)
    assert np.array_equal(before.machine, after.machine)


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_a_fault_touches_only_its_sensors(healthy: Chunk, kind: str) -> None:
    touched = ("motor_current", "flow")
    after = stream([fault(kind, touched)])
    changed = (healthy.values != after.values).any(axis=0)
    names = np.array(healthy.layout.sensor_names)
    assert set(names[changed]) == set(touched)


@pytest.mark.parametrize("kind", sorted(set(FAULT_KINDS) - {"intermittent"}))
def test_every_row_of_a_fault_is_labelled(kind: str) -> None:
    after = stream([fault(kind, ())])
    assert after.label[rows_of(after)].all()
    assert set(after.fault_kind[rows_of(after)]) == {kind}


def change(healthy: Chunk, faulty: Chunk) -> np.ndarray:
    """Return what the fault added, in the sensor's normal variations, over its rows."""
    column = healthy.layout.sensor_names.index(SENSOR)
    added = (faulty.values - healthy.values)[rows_of(healthy), column]
    return np.asarray(added / spread()[column])


@pytest.mark.parametrize("severity", [2.0, 8.0])
def test_a_spike_is_as_high_as_its_severity_at_once(healthy: Chunk, severity: float) -> None:
    size = np.abs(change(healthy, stream([fault("spike", severity=severity)])))
    assert size == pytest.approx(np.full(360, severity), abs=0.01)


@pytest.mark.parametrize("severity", [2.0, 8.0])
def test_a_drift_grows_in_a_straight_line_to_its_severity(healthy: Chunk, severity: float) -> None:
    size = np.abs(change(healthy, stream([fault("drift", severity=severity)])))
    assert size[-1] == pytest.approx(severity, abs=0.01)
    assert np.diff(size) == pytest.approx(np.full(359, 0.95 * severity / 359), abs=0.01)


def test_a_stuck_sensor_repeats_its_last_value(healthy: Chunk) -> None:
    column = healthy.layout.sensor_names.index(SENSOR)
    last = healthy.values[rows_of(healthy)[0] - 2, column]
    values = stream([fault("stuck")]).values[rows_of(healthy), column]
    assert (values == last).all()


def test_a_sensor_stuck_from_the_first_reading_repeats_that() -> None:
    stuck = Fault("machine-02", "stuck", 0, HOUR_S, (SENSOR,))
    before, after = stream([]), stream([stuck])
    column = before.layout.sensor_names.index(SENSOR)
    rows = np.flatnonzero(after.machine == 1)[:60]
    assert (after.values[rows, column] == before.values[rows[0], column]).all()
    assert after.label[rows].tolist() == [0] + [1] * 59


def test_a_lost_correlation_is_lost_and_its_variance_kept() -> None:
    """The sensor that followed the load follows nothing; severity 1 leaves it as restless."""
    kept, lost, ratio = [], [], []
    for seed in range(6):
        chunks = stream([], seed), stream([fault("lost_correlation", ("power",), 1.0)], seed)
        (before, current), (after, _) = (
            chunk.values[rows_of(chunk)][:230, [6, 0]].T for chunk in chunks
        )
        kept.append(np.corrcoef(before, current)[0, 1])
        lost.append(abs(np.corrcoef(after, current)[0, 1]))
        ratio.append(after.std() / before.std())
    assert min(kept) > 0.7
    assert np.median(lost) < 0.5
    assert 0.5 < np.median(ratio) < 2


def test_work_at_the_wrong_time_moves_all_sensors_as_work_does() -> None:
    factory = Factory(machines=1, losses_per_day=0)
    saturday = 5 * 24 * HOUR_S + 12 * HOUR_S
    works = Fault("machine-01", "wrong_regime", saturday, 5 * HOUR_S, severity=12.0)
    values = joined(list(factory.readings(6 * 1440, faults=[works]))).values
    names = factory.layout.sensor_names
    start = round(saturday / 60)
    quiet, working = values[start - 120 : start], values[start + 120 : start + 215]
    assert (working.mean(axis=0) > quiet.mean(axis=0) + 10 * quiet.std(axis=0)).all()
    assert (np.diff(working, axis=0).std(axis=0) > 2 * np.diff(quiet, axis=0).std(axis=0)).all()
    # 12 deviations of 0.06 of the span each: spindle speed spans 2600 rpm give or take 5 % or so.
    gained = working.mean(axis=0) - quiet.mean(axis=0)
    assert gained[names.index("spindle_speed")] == pytest.approx(0.72 * 2600, rel=0.25)
    heat = values[:, names.index("bearing_temperature")]
    assert heat[start + 5] < heat[start + 120] > heat[start + 260] > heat[start + 299]
    assert abs(np.diff(heat)[start + 299]) < 1.0


def test_degradation_grows_ever_faster(healthy: Chunk) -> None:
    size = change(healthy, stream([fault("degradation")]))
    first, second, third = (part.mean() for part in np.split(size, 3))
    assert 0 < first < second < third
    assert third - second > 1.5 * (second - first)
    assert size[-60:].std() > 3 * size[:60].std()


def test_an_intermittent_fault_comes_and_goes(healthy: Chunk) -> None:
    size = np.abs(change(healthy, stream([fault("intermittent")])))
    there = size > 0
    assert there[0]
    assert 0.15 < there.mean() < 0.6
    assert np.diff(there.astype(int)).clip(0).sum() >= 5
    assert size[there].min() > 0.69 * 8
    assert size[there].max() < 1.31 * 8


def test_a_fault_does_not_depend_on_other_machines_or_faults() -> None:
    other = Fault("machine-01", "spike", 10 * HOUR_S, HOUR_S)
    alone, among = stream([fault("intermittent")]), stream([other, fault("intermittent")])
    rows = alone.machine == 1
    assert np.array_equal(alone.values[rows], among.values[rows])


def test_faults_may_overlap_and_the_later_names_the_row(healthy: Chunk) -> None:
    early = Fault("machine-02", "drift", 13 * HOUR_S, 3 * HOUR_S, (SENSOR,))
    late = Fault("machine-02", "spike", 14 * HOUR_S, HOUR_S, ("flow",))
    kinds = stream([late, early]).fault_kind[healthy.machine == 1]
    hours = [kinds[hour * 60 : hour * 60 + 60] for hour in (13, 14, 15)]
    assert [set(kind) for kind in hours] == [{"drift"}, {"spike"}, {"drift"}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("machine-01", "melted", 0, 1), "kind: 'melted' is not one of spike"),
        (("machine-01", "spike", -1, 1), "start_s: -1 is not allowed"),
        (("machine-01", "spike", 0, 0), "duration_s: 0 is not allowed"),
        (("machine-01", "spike", 0, 1, (), float("nan")), "severity: nan is not allowed"),
    ],
)
def test_a_wrong_fault_is_named(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fault(*arguments)  # type: ignore[arg-type]


def test_a_fault_of_what_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="machine 'machine-09' does not exist"):
        Factory().readings(5, faults=[Fault("machine-09", "spike", 0, 60)])
    with pytest.raises(ValueError, match="sensor 'smell' does not exist; there are motor_current"):
        Factory().readings(5, faults=[Fault("machine-01", "spike", 0, 60, ("smell",))])
