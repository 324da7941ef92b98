import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators import Chunk, Factory
from simulators.stream import joined
from simulators.workplan import WorkPlan

DAY_STEPS = 1440
DAY_NS = 86_400 * 10**9


def whole(factory: Factory, n_steps: int, chunk_rows: int = 8192) -> Chunk:
    return joined(list(factory.readings(n_steps, chunk_rows=chunk_rows)))


def same(one: Chunk, other: Chunk) -> bool:
    return (
        np.array_equal(one.machine, other.machine)
        and np.array_equal(one.time, other.time)
        and np.array_equal(one.values, other.values, equal_nan=True)
        and np.array_equal(one.fault, other.fault)
    )


@pytest.fixture(scope="module")
def week() -> Chunk:
    """One machine from Monday to Sunday, nothing lost."""
    return whole(Factory(machines=1, seed=5, losses_per_day=0), 7 * DAY_STEPS)


def in_production(week: Chunk) -> np.ndarray:
    """Tuesday 01:00 to 05:00: one shift, one product, long after its changeover."""
    return week.values[25 * 60 : 29 * 60]


def test_same_seed_same_stream() -> None:
    one, other = (whole(Factory(seed=3, disorder_s=90), 1000) for _ in range(2))
    assert same(one, other)


def test_another_seed_another_stream() -> None:
    one, other = (whole(Factory(seed=seed), 100) for seed in (3, 4))
    assert (one.values == other.values).mean() < 0.01


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4000), st.sampled_from([0.0, 45.0, 400.0]))
def test_stream_does_not_depend_on_chunk_size(chunk_rows: int, disorder_s: float) -> None:
    factory = Factory(machines=2, sensors=3, seed=1, disorder_s=disorder_s)
    faults = factory.schedule(3, 1100 * 60.0)
    reference = joined(list(factory.readings(1100, faults=faults, chunk_rows=10**6)))
    chunks = list(factory.readings(1100, faults=faults, chunk_rows=chunk_rows))
    assert [len(chunk) for chunk in chunks[:-1]] == [chunk_rows] * (len(chunks) - 1)
    assert same(reference, joined(chunks))


def test_a_longer_stream_begins_with_the_shorter() -> None:
    factory = Factory(machines=2)
    assert same(whole(factory, 300), whole(factory, 1500)[:600])


@pytest.mark.parametrize("disorder_s", [0.0, 200.0])
def test_a_machine_does_not_depend_on_the_others(disorder_s: float) -> None:
    alone = whole(Factory(machines=2, seed=9, disorder_s=disorder_s), 700)
    among = whole(Factory(machines=5, seed=9, disorder_s=disorder_s), 700)
    for machine in (0, 1):
        assert same(alone[alone.machine == machine], among[among.machine == machine])


def test_machines_differ() -> None:
    chunk = whole(Factory(machines=2), 100)
    first, second = (chunk.values[chunk.machine == machine] for machine in (0, 1))
    assert (first == second).mean() < 0.01


def test_readings_lie_on_the_period_and_interleave() -> None:
    chunk = whole(Factory(machines=2, period_s=2.5, start="2024-03-01T01:00:00+01:00"), 3)
    start = np.datetime64("2024-03-01T00:00:00", "ns").astype(np.int64)
    assert (chunk.time - start).tolist() == [
        0,
        0,
        2_500_000_000,
        2_500_000_000,
        5 * 10**9,
        5 * 10**9,
    ]
    assert chunk.machine_id.tolist() == ["machine-01", "machine-02"] * 3


def test_duration_counts_every_reading_that_begins_within_it() -> None:
    factory = Factory(machines=1, period_s=0.1)
    assert sum(map(len, factory.readings(duration_s=0.3))) == 3
    assert sum(map(len, factory.readings(duration_s=0.31))) == 4


def test_weekends_are_quiet_and_weekdays_loud(week: Chunk) -> None:
    busy = np.diff(in_production(week), axis=0).std(axis=0)
    quiet = np.diff(week.values[6 * DAY_STEPS :], axis=0).std(axis=0)
    assert (quiet < 0.5 * busy).all()


def test_weekends_are_idle(week: Chunk) -> None:
    load = week.values[:, week.layout.sensor_names.index("power")]
    assert load[6 * DAY_STEPS :].max() < 0.5 * in_production(week)[:, 6].min()


def test_night_shifts_and_products_have_set_points_of_their_own(week: Chunk) -> None:
    speed = week.values[:, week.layout.sensor_names.index("spindle_speed")]
    # Shifts of 12 hours from 06:00 on; the first hour is left to the changeover.
    shifts = [speed[at + 60 : at + 700] for at in range(360, 5 * DAY_STEPS, 720)]
    means = np.array([shift.mean() for shift in shifts])
    spread = max(shift.std() for shift in shifts)
    assert means.max() - means.min() > 5 * spread


def test_sensors_of_a_machine_move_together(week: Chunk) -> None:
    names = week.layout.sensor_names
    correlation = np.corrcoef(in_production(week).T)
    assert correlation[names.index("motor_current"), names.index("power")] > 0.8
    alone = whole(Factory(machines=1, seed=6, losses_per_day=0), 30 * 60).values[25 * 60 : 29 * 60]
    crossed = np.corrcoef(in_production(week)[:, 0], alone[:, 0])[0, 1]
    assert abs(crossed) < 0.6


def test_temperature_lags_behind_power(week: Chunk) -> None:
    names = week.layout.sensor_names
    power = in_production(week)[:, names.index("power")]
    heat = in_production(week)[:, names.index("bearing_temperature")]
    lags = range(60)
    follow = [np.corrcoef(power[: len(power) - lag], heat[lag:])[0, 1] for lag in lags]
    assert int(np.argmax(follow)) >= 3


def test_a_cold_machine_draws_more_current_than_a_warm_one() -> None:
    chunk = whole(Factory(machines=1, seed=2, losses_per_day=0), 18 * 60)
    names = chunk.layout.sensor_names
    current = chunk.values[:, names.index("motor_current")]
    speed = chunk.values[:, names.index("spindle_speed")]
    heat = chunk.values[:, names.index("bearing_temperature")]
    cold, warm = slice(6 * 60 + 16, 6 * 60 + 26), slice(9 * 60, 10 * 60)
    assert abs(speed[cold].mean() / speed[warm].mean() - 1) < 0.05
    assert heat[cold].mean() < heat[warm].mean() - 5
    assert current[cold].mean() > current[warm].mean()


def test_tools_wear_in_production_and_are_changed() -> None:
    factory = Factory(machines=1, seed=8)
    time = factory.start_ns + np.arange(14 * 24, dtype=np.int64) * 3600 * 10**9
    work = WorkPlan(factory.seed, 0).at(time)
    step = np.diff(work.wear)
    weekend = (work.activity[:-1] == 0.1) & (work.activity[1:] == 0.1)
    assert (step[weekend] == 0).all()
    assert (step[~weekend] != 0).mean() > 0.95
    changes = step < -0.5
    # 240 hours of production over tools that last 30 to 50.
    assert 4 <= changes.sum() <= 8
    assert (step[~changes] >= 0).all()


def test_values_are_rounded_to_the_sensors_resolution(week: Chunk) -> None:
    for sensor, values in zip(week.layout.sensors, week.values.T, strict=True):
        assert np.array_equal(values, [float(f"{value:.{sensor.decimals}f}") for value in values])


def test_lost_sensors_are_lost_for_a_span() -> None:
    factory = Factory(machines=1, seed=1, losses_per_day=3)
    lost = np.isnan(whole(factory, 20 * DAY_STEPS).values)
    full = whole(Factory(machines=1, seed=1, losses_per_day=0), 20 * DAY_STEPS)
    begins = (np.diff(lost.astype(int), axis=0, prepend=0) == 1).sum()
    # 60 expected; Poisson, and spans that touch count once.
    assert 30 < begins < 90
    minutes = lost.sum() / begins
    assert 40 < minutes < 90  # uniform from 5 to 120
    kept = ~lost
    assert np.array_equal(whole(factory, 20 * DAY_STEPS).values[kept], full.values[kept])


@settings(max_examples=10, deadline=None)
@given(st.floats(1, 5000), st.integers(0, 1000))
def test_disorder_is_bounded_and_loses_nothing(disorder_s: float, seed: int) -> None:
    mixed = whole(Factory(machines=2, sensors=2, seed=seed, disorder_s=disorder_s), 800)
    ordered = whole(Factory(machines=2, sensors=2, seed=seed), 800)
    for machine in (0, 1):
        rows, straight = mixed[mixed.machine == machine], ordered[ordered.machine == machine]
        newest = np.maximum.accumulate(rows.time)
        assert (newest - rows.time).max() <= disorder_s * 1e9
        assert same(rows[np.argsort(rows.time)], straight)


def test_disorder_does_happen() -> None:
    chunk = whole(Factory(machines=1, disorder_s=600), 500)
    assert (np.diff(chunk.time) < 0).sum() > 100


def test_sensors_on_change_report_only_when_they_moved() -> None:
    names = ("spindle_speed", "power")
    spoken = whole(Factory(machines=1, seed=4, losses_per_day=0, on_change=names), DAY_STEPS)
    full = whole(Factory(machines=1, seed=4, losses_per_day=0), DAY_STEPS)
    for column, name in enumerate(full.layout.sensor_names):
        said = ~np.isnan(spoken.values[:, column])
        assert np.array_equal(spoken.values[said, column], full.values[said, column])
        assert said[0]
        assert (0.01 < said.mean() < 0.6) if name in names else said.all()


def test_a_long_stream_is_never_held_in_memory() -> None:
    factory = Factory(machines=2, disorder_s=300)
    faults = factory.schedule(6, 100_000 * 60.0)
    rows = 0
    tracemalloc.start()
    try:
        for chunk in factory.readings(100_000, faults=faults, chunk_rows=2000):
            rows += len(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rows == 200_000
    # The values alone would be 12.8 MB.
    assert peak < 4e6


def test_many_sensors_get_names_of_their_own() -> None:
    layout = Factory(machines=1, sensors=38).layout
    assert len(set(layout.sensor_names)) == 38
    assert next(Factory(machines=1, sensors=38).readings(10)).values.shape == (10, 38)


def test_chunk_tells_label_and_kind_of_every_row() -> None:
    factory = Factory(machines=1)
    fault = factory.schedule(1, 3600.0 * 6, 0, kinds=["drift"])
    chunk = joined(list(factory.readings(360, faults=fault)))
    assert set(chunk.fault_kind.tolist()) == {"", "drift"}
    assert np.array_equal(chunk.label == 1, chunk.fault_kind == "drift")
    assert chunk.time.dtype == np.int64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"machines": 0}, "machines: 0 is not allowed; give 1 to 100000"),
        ({"sensors": 0}, "sensors: 0 is not allowed; give 1 to 512"),
        ({"period_s": 0.0}, "period_s: 0.0"),
        ({"period_s": float("nan")}, "period_s: nan"),
        ({"seed": -1}, "seed: -1"),
        ({"disorder_s": -1.0}, "disorder_s: -1.0"),
        ({"losses_per_day": -1.0}, "losses_per_day: -1.0"),
        ({"start": "yesterday"}, "start: 'yesterday' is not a time"),
        ({"start": "2024-01-01T00:00:00"}, "no offset from UTC"),
        ({"on_change": ["power", "nonsense"]}, "sensor 'nonsense' does not exist"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Factory(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "exactly one"),
        ({"n_steps": 5, "duration_s": 5.0}, "exactly one"),
        ({"n_steps": 0}, "n_steps: 0"),
        ({"duration_s": -1.0}, "duration_s: -1.0"),
        ({"n_steps": 5, "chunk_rows": 0}, "chunk_rows: 0"),
    ],
)
def test_wrong_lengths_are_named_at_once(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Factory().readings(**arguments)  # type: ignore[arg-type]
