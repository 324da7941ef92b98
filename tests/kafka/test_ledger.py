"""What a commit says is owed: the oldest reading that no state record holds, never a later one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_ad.config import KafkaConfig, WindowsConfig
from stream_ad.machines import Machines
from stream_ad.state import MachineState
from stream_ad.transport.base import Touched
from stream_ad.transport.kafka.ledger import Ledger, Mark
from stream_ad.windows import Readings, WindowSpec

CONFIG = KafkaConfig(checkpoint_s=10, checkpoint_records=50)
NAMES = "abcde"
SPEC = WindowSpec.from_config(WindowsConfig(sensors=["s"], period_s=1, length=4))


@dataclass
class Step:
    """A batch: seconds since the last one, and which machine each of its records is of."""

    wait: float
    machines: list[str]
    closed: set[str]


steps = st.builds(
    Step,
    st.sampled_from([0.0, 0.1, 3.0, 11.0]),
    st.lists(st.sampled_from(NAMES), max_size=20),
    st.sets(st.sampled_from(NAMES)),
)


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(steps, max_size=12))
def test_the_offset_is_that_of_the_oldest_reading_in_no_saved_state(life: list[Step]) -> None:
    ledger, unsaved = Ledger(CONFIG), dict[str, tuple[int, float]]()
    position, now = 0, 0.0
    for step in life:
        now += step.wait
        touched: dict[str, Touched] = {}
        for offset, machine in enumerate(step.machines, position):
            touched.setdefault(machine, Touched(offset, machine in step.closed))
            unsaved.setdefault(machine, (offset, now))
        position += len(step.machines)
        assert ledger.is_due(now) == any(now - since >= 10 for _, since in unsaved.values())

        due = ledger.due(touched, position, now)

        overdue = {
            machine
            for machine, (first, since) in unsaved.items()
            if now - since >= 10 or position - first >= 50
        }
        assert len(due) == len(set(due))
        assert set(due) == overdue | (touched.keys() & step.closed)
        unsaved = {machine: owed for machine, owed in unsaved.items() if machine not in due}
        oldest = min((first for first, _ in unsaved.values()), default=position)
        assert ledger.committed(position) == oldest


def readings(machines: list[str]) -> Readings:
    """Return a reading of each of these machines, all within one window."""
    n = len(machines)
    names = np.array([*machines, None], object)[:n]
    return Readings(names, np.zeros(n, np.int64), np.zeros((n, 1), np.float32), np.arange(n))


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=30),
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 30)),
)
def test_readings_that_a_restored_state_skips_hide_none_that_it_does_not(
    machines: list[str], through: dict[str, int]
) -> None:
    states = {}
    for machine, offset in through.items():
        states[machine] = MachineState.fresh(SPEC, "reading")
        states[machine].through = offset
    held, ledger = Machines(SPEC, "reading", states), Ledger(CONFIG)
    held.close(readings(machines))
    ledger.due(held.touched, len(machines), now=0.0)

    # a machine that was unknown is saved at once
    owed = [at for at, name in enumerate(machines) if name in through and at > through[name]]
    assert ledger.committed(len(machines)) == min(owed, default=len(machines))


@settings(deadline=None)  # a busy machine is no failure
@given(st.integers(-1, 2**62), st.integers(0, 10_000))
def test_a_mark_is_read_as_it_was_written_and_fits_a_commit(through: int, partitions: int) -> None:
    mark = Mark(through, partitions)
    assert Mark.read(mark.text()) == mark
    assert len(mark.text()) < 1000


@settings(deadline=None)  # a busy machine is no failure
@given(st.none() | st.text() | st.sampled_from(["[]", "7", '{"through": null}', '{"through": 3}']))
def test_the_metadata_of_another_program_says_nothing(text: str | None) -> None:
    assert Mark.read(text) == Mark()
