"""The law of state: batches, workers, order between machines and restarts change no byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import astuple

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators import Factory
from stream_ad.config import Config, WindowsConfig, parse_config
from stream_ad.detector import Detector
from stream_ad.machines import Machines
from stream_ad.pipeline import Pipeline
from stream_ad.state import MachineState
from stream_ad.transport.base import Batch, ScoreRow
from stream_ad.versions import Version
from stream_ad.windows import Readings, WindowSpec

SENSORS, MACHINES, STEPS, LEARNED = 3, 4, 1_600, 900
SCORE, STATIC = (ScoreRow.__slots__.index(name) for name in ("score", "static_score"))
Bytes = dict[str, list[bytes]]


@pytest.fixture(scope="module")
def config() -> Config:
    return parse_config(
        {
            "windows": {
                "sensors": [
                    {"name": f"s{i}", "stuck_s": 7200.0, "min": -1e6} for i in range(SENSORS)
                ],
                "period_s": 60,
                "length": 12,
                "hop": 2,
                "disorder_s": 200,
                "max_gap_s": 240,
            },
            "alarm": {"budget_per_machine_day": 20, "m": 1, "n": 2, "close_after": 2},
            "drift": {"max_per_day": 3, "max_total": 0.1, "report": 0.02},
        }
    )


@pytest.fixture(scope="module")
def spec(config: Config) -> WindowSpec:
    return WindowSpec.from_config(config.windows)


@pytest.fixture(scope="module")
def readings() -> Readings:
    factory = Factory(MACHINES, SENSORS, 60.0, seed=3, disorder_s=300.0, losses_per_day=4.0)
    faults = factory.schedule(12, STEPS * 60.0, LEARNED * 60.0, severity=3.0)
    chunks = list(factory.readings(STEPS, faults=faults))
    count = sum(map(len, chunks))
    return Readings(
        np.concatenate([c.machine_id for c in chunks]).astype(object),
        np.concatenate([c.time for c in chunks]),
        np.concatenate([c.values for c in chunks]).astype(np.float32),
        np.arange(count),
    )


@pytest.fixture(scope="module")
def version(config: Config, spec: WindowSpec, readings: Readings) -> Version:
    past = readings.take(slice(0, LEARNED * MACHINES))
    windows = Machines(spec, "reading").close(past)
    detector = Detector("ae", "ares", epochs=3, bank_windows=200).fit_windows(windows, spec)
    detector.set_budget(config.alarm)
    return Version(detector, 1, int(readings.time[LEARNED * MACHINES]))


def told(pipeline: Pipeline, readings: Readings, into: Bytes) -> None:
    """Process one batch and note what is said of each machine, in bytes."""
    outputs = pipeline.process([Batch(readings, (), 0)])
    for row in outputs.scores:
        into.setdefault(row.machine_id, []).append(orjson.dumps(astuple(row)))
    for event in (told.event for told in outputs.incidents):
        into.setdefault(event.machine_id, []).append(event.model_dump_json().encode())


def by_kind(lines: Bytes) -> dict[str, tuple[list[bytes], list[bytes]]]:
    # within a batch scores come before incidents, so the two are compared apart
    return {
        machine: ([x for x in said if x[:1] == b"["], [x for x in said if x[:1] == b"{"])
        for machine, said in lines.items()
    }


@pytest.fixture(scope="module")
def whole(
    config: Config, spec: WindowSpec, version: Version, readings: Readings
) -> dict[str, tuple[list[bytes], list[bytes]]]:
    said: Bytes = {}
    told(Pipeline(config, spec, [version]), readings, said)
    return by_kind(said)


def test_the_stream_says_something(whole: dict[str, tuple[list[bytes], list[bytes]]]) -> None:
    """Without scores, opened and closed incidents the law below would compare nothing."""
    assert len(whole) == MACHINES
    assert sum(len(scores) for scores, _ in whole.values()) > 300
    rows = [orjson.loads(line) for scores, _ in whole.values() for line in scores]
    assert len({round(row[STATIC] - row[SCORE], 6) for row in rows}) > 10  # lines move
    events = [orjson.loads(line) for _, lines in whole.values() for line in lines]
    assert {(e["kind"], e["event"]) for e in events} >= {
        ("process", "opened"),
        ("process", "closed"),
        ("data_quality", "opened"),
        ("drift", "opened"),
        ("drift", "closed"),
    }


def shuffled_between_machines(rng: np.random.Generator, readings: Readings) -> Readings:
    """Return the same readings, each machine's in order, the machines mixed anew."""
    keys = rng.random(len(readings))
    for machine in set(readings.machine):
        mine = np.flatnonzero(readings.machine == machine)
        keys[mine] = np.sort(keys[mine])
    return readings.take(np.argsort(keys, kind="stable"))


def cuts(rng: np.random.Generator, total: int) -> Iterator[slice]:
    at = 0
    while at < total:
        size = int(rng.choice([1, 2, 3, 7, 40, 400, 2000]))
        yield slice(at, at + size)
        at += size


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_handing_machines_over_at_random_points_changes_no_byte(
    config: Config,
    spec: WindowSpec,
    version: Version,
    readings: Readings,
    whole: dict[str, tuple[list[bytes], list[bytes]]],
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    mixed = shuffled_between_machines(rng, readings)
    workers = [Pipeline(config, spec, [version], {}) for _ in range(2)]
    owner = {machine: int(rng.integers(2)) for machine in set(readings.machine)}
    said: Bytes = {}
    for cut in cuts(rng, len(mixed)):
        part = mixed.take(cut)
        theirs = np.array([owner[machine] for machine in part.machine])
        for number, worker in enumerate(workers):
            if (theirs == number).any():
                told(worker, part.take(theirs == number), said)
        for machine in sorted(set(part.machine)):
            if rng.random() < 0.2:  # handed over: saved by one worker, loaded by another
                record = workers[owner[machine]].partitions[0].states.pop(machine).to_bytes(spec)
                owner[machine] = int(rng.integers(2))
                restored = MachineState.from_bytes(record, spec, "reading")
                assert restored.to_bytes(spec) == record
                workers[owner[machine]].partitions[0].states[machine] = restored
    assert by_kind(said) == whole


def forgets_its_alarms(state: MachineState) -> None:
    state.alerts = type(state.alerts)()


def forgets_its_last_block_of_scores(state: MachineState) -> None:
    state.alerts.line.block.clear()


@pytest.mark.parametrize(
    ("forget", "records"),
    [(forgets_its_alarms, 50), (forgets_its_last_block_of_scores, 500)],
)
def test_a_state_that_forgets_a_part_breaks_the_law(
    config: Config,
    spec: WindowSpec,
    version: Version,
    readings: Readings,
    whole: dict[str, tuple[list[bytes], list[bytes]]],
    forget: Callable[[MachineState], None],
    records: int,
) -> None:
    """The law has teeth: a handover that loses part of the state is seen."""
    pipeline = Pipeline(config, spec, [version])
    said: Bytes = {}
    for at in range(0, len(readings), records):
        told(pipeline, readings.take(slice(at, at + records)), said)
        for state in pipeline.states():
            forget(state)
    assert by_kind(said) != whole


def test_a_state_record_is_small(
    config: Config, spec: WindowSpec, version: Version, readings: Readings
) -> None:
    pipeline = Pipeline(config, spec, [version])
    for at in range(0, len(readings), 500):
        pipeline.process([Batch(readings.take(slice(at, at + 500)), (), 0)])
        for state in pipeline.states():
            open_slots = 4 * len(spec.sensors) * spec.length * 4 // 3
            assert len(state.to_bytes(spec)) - open_slots < 8_000


def test_a_record_of_other_window_settings_is_refused(spec: WindowSpec) -> None:
    from stream_ad.errors import StateError

    other = WindowSpec.from_config(WindowsConfig(sensors=("s0",), period_s=60, length=12))
    record = MachineState.fresh(spec, "reading").to_bytes(spec)
    with pytest.raises(StateError, match="other window settings"):
        MachineState.from_bytes(record, other, "reading")


@pytest.mark.parametrize("cut", [0, 1, 10, 100])
def test_a_damaged_record_is_refused(spec: WindowSpec, cut: int) -> None:
    from stream_ad.errors import StateError

    record = MachineState.fresh(spec, "reading").to_bytes(spec)
    with pytest.raises(StateError, match="damaged"):
        MachineState.from_bytes(record[:cut], spec, "reading")
