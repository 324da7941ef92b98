"""The load of the fault tests has what it promises, and only that."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict

import numpy as np
import orjson
import pytest

from stream_ad.config import parse_config
from stream_ad.machines import Machines
from stream_ad.transport.decode import Decoder
from stream_ad.windows import WindowSpec
from tests.faults import hostile, load
from tests.faults.load import Load
from tests.faults.plant import HOP, LENGTH, PERIOD_S, SILENT_MACHINES, Plant

PLANT = Plant(steps=400, seed=3)
CONFIG = parse_config(PLANT.settings())
SPEC = WindowSpec.from_config(CONFIG.windows)


@pytest.fixture(scope="module")
def mixed() -> Load:
    return load.make(PLANT, hostile.ALL, share=0.1, jump_share=0.01)


def test_the_same_seed_gives_the_same_load(mixed: Load) -> None:
    assert load.make(PLANT, hostile.ALL, share=0.1, jump_share=0.01) == mixed


def test_every_bad_record_is_refused_for_its_cause_and_no_other(mixed: Load) -> None:
    decoder = Decoder(CONFIG.input, CONFIG.limits, SPEC)
    batch = decoder.decode((i, record.value) for i, record in enumerate(mixed.records))
    refused = {letter.offset: letter.error_class for letter in batch.dead}
    causes = {i: record.cause for i, record in enumerate(mixed.records) if record.cause}
    assert refused == causes
    assert len(batch.records) == len(mixed.good) + mixed.jumps
    assert {kind.cause for kind in hostile.ALL} == set(causes.values())


def test_shares_are_those_asked_for(mixed: Load) -> None:
    assert mixed.bad / len(mixed.records) == pytest.approx(0.1, abs=0.01)
    assert mixed.jumps / len(mixed.good) == pytest.approx(0.01, abs=0.003)


def test_machines_count_each_jump_and_some_late_readings(mixed: Load) -> None:
    decoder, machines = Decoder(CONFIG.input, CONFIG.limits, SPEC), Machines(SPEC, "reading")
    values = [record.value for record in mixed.records if record.cause is None]
    machines.close(decoder.decode(enumerate(values)).records)
    counts: Counter[str] = Counter()
    for state in machines.states.values():
        counts.update(state.counts)
    assert counts["jump"] == mixed.jumps > 0
    assert counts["late"] > 0


def test_three_machines_fall_silent_within_a_window_and_resume() -> None:
    times = defaultdict(list)
    for machine, value in PLANT.readings():
        times[machine].append(np.datetime64(orjson.loads(value)["time"][:-1], "s").astype(int))
    assert len(times) == 40
    silent = {}
    for machine, seconds in times.items():
        gaps = [(after - before, after) for before, after in itertools.pairwise(sorted(seconds))]
        longest, resumed = max(gaps)
        if longest > LENGTH * PERIOD_S:
            silent[machine] = resumed
            last = resumed - longest
            assert (last // PERIOD_S + 1) % HOP != 0, "it stopped at the end of a window"
            assert resumed < max(seconds)
    names = PLANT.factory.layout.machine_ids
    assert set(silent) == {names[machine] for machine in SILENT_MACHINES}
