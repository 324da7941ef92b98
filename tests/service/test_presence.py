"""Who is silent and who moved, as a clock sees it; the brokers are not needed for that."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from stream_ad.alerting import Rules
from stream_ad.config import AlarmConfig, WindowsConfig
from stream_ad.machines import Machines
from stream_ad.records import incident_id
from stream_ad.service.presence import Presence
from stream_ad.state import MachineState
from stream_ad.transport.base import Told, Touched
from stream_ad.windows import Readings, WindowSpec
from stream_ad.windows.spec import NS, rfc3339

SPEC = WindowSpec.from_config(WindowsConfig(sensors=["s"], period_s=1, length=4))
RULES = Rules.of(AlarmConfig(), SPEC)
IDLE_S = 60.0


class Plant:
    """A partition whose clock and records are in the test's hands."""

    def __init__(self, machines: Machines | None = None, now: float = 0.0, offset: int = 0) -> None:
        self.machines = machines or Machines(SPEC, "reading")
        self.presence = Presence(self.machines, lambda _: RULES, IDLE_S, now)
        self._offset = offset

    def look(self, now: float, *heard: tuple[str, int], at_end: bool = True) -> list[Told]:
        """Take readings (machine, event time in s) in, as the worker does; then look."""
        n = len(heard)
        names: np.ndarray = np.empty(n, object)
        names[:] = [name for name, _ in heard]
        time = np.array([time * NS for _, time in heard], np.int64)
        offset = np.arange(self._offset, self._offset + n)
        self._offset += n
        self.machines.touched = {}
        self.machines.close(Readings(names, time, np.zeros((n, 1), np.float32), offset))
        return self.presence.look(now, at_end=at_end)

    def restarted(self, now: float) -> Plant:
        """Return the partition as a successor takes it over from its state records."""
        states = {
            name: MachineState.from_bytes(record, SPEC, "reading")
            for name, record in self.machines.records.items()
        }
        return Plant(Machines(SPEC, "reading", states), now, self._offset)


def events(told: Sequence[Told]) -> list[tuple[str, int, str, str | None]]:
    return [(t.event.machine_id, t.number, t.event.event, t.event.closed_reason) for t in told]


def test_a_machine_is_silent_after_the_time_and_told_once() -> None:
    plant = Plant()
    assert plant.look(0.0, ("a", 5), ("b", 5)) == []
    assert plant.look(30.0, ("b", 35)) == []
    assert plant.look(59.0) == []
    (told,) = plant.look(60.0)
    assert events([told]) == [("a", 1, "opened", None)]
    assert told.event.incident_id == incident_id("a", "silent", rfc3339(5 * NS))
    assert plant.look(61.0) == plant.look(80.0) == []
    assert events(plant.look(90.0)) == [("b", 1, "opened", None)]


def test_the_state_is_saved_with_the_event() -> None:
    plant = Plant()
    plant.look(0.0, ("a", 5))
    plant.look(60.0)
    assert plant.machines.touched == {"a": Touched(-1, closed=True)}
    plant.look(70.0, ("a", 6))
    assert plant.machines.touched["a"].closed


def test_a_reading_ends_the_silence_and_the_next_has_another_id() -> None:
    plant = Plant()
    plant.look(0.0, ("a", 5))
    (opened,) = plant.look(60.0)
    (closed,) = plant.look(70.0, ("a", 75))
    assert events([closed]) == [("a", 2, "closed", "recovered")]
    assert closed.event.incident_id == opened.event.incident_id
    assert plant.look(129.0) == []
    (again,) = plant.look(130.0)
    assert again.event.incident_id != opened.event.incident_id


def test_a_successor_tells_no_silence_again_and_ends_it_under_its_id() -> None:
    plant = Plant()
    plant.look(0.0, ("a", 5))
    (opened,) = plant.look(60.0)
    plant = plant.restarted(1000.0)
    assert plant.look(1000.0) == plant.look(1100.0) == plant.look(1200.0) == []
    (closed,) = plant.look(1201.0, ("a", 75))
    assert (closed.number, closed.event.incident_id) == (2, opened.event.incident_id)


def test_a_silence_noticed_by_a_successor_has_the_id_that_the_predecessor_would_have_given() -> (
    None
):
    first, second = Plant(), Plant()
    first.look(0.0, ("a", 5))
    second.look(0.0, ("a", 5))
    (opened,) = first.look(60.0)
    second = second.restarted(40.0)
    assert second.look(40.0) == second.look(99.0) == []  # heard nothing itself for 59 s
    (later,) = second.look(100.0)
    assert later == opened


def test_nobody_is_silent_while_a_backlog_is_read() -> None:
    plant = Plant()
    plant.look(0.0, ("a", 5), ("b", 5), at_end=False)
    assert plant.look(500.0, ("b", 6), at_end=False) == []
    # at the end since 500.5: who is to be heard now has its time from there
    assert plant.look(500.5, ("b", 7)) == []
    assert plant.look(560.0) == []
    assert sorted(events(plant.look(561.0))) == [("a", 1, "opened", None), ("b", 1, "opened", None)]


def test_without_the_setting_nobody_is_silent() -> None:
    machines = Machines(SPEC, "reading")
    presence = Presence(machines, lambda _: RULES, None, 0.0)
    machines.states["a"] = MachineState.fresh(SPEC, "reading")
    assert [presence.look(now, at_end=True) for now in (0.0, 1e6, 2e6)] == [[], [], []]


def test_a_machine_that_was_never_accepted_is_not_silent() -> None:
    machines = Machines(SPEC, "reading", {"a": MachineState.fresh(SPEC, "reading")})
    plant = Plant(machines)
    assert plant.look(0.0) == plant.look(60.0) == plant.look(120.0) == []


@pytest.mark.parametrize("silent", [False, True])
def test_a_machine_that_moved_is_forgotten_and_its_incidents_closed(silent: bool) -> None:
    plant = Plant()
    plant.look(0.0, ("a", 5), ("b", 5))
    opened = plant.look(60.0) if silent else []
    told = [*plant.presence.moved(lambda machine: machine == "a")]
    expected = [("a", 2, "closed", "moved")] if silent else []
    assert events(told) == expected
    assert {t.event.incident_id for t in told} <= {t.event.incident_id for t in opened}
    assert plant.machines.touched["a"].closed
    assert "a" not in plant.machines.records
    assert "b" in plant.machines.records
    assert {machine for machine, *_ in events(plant.look(200.0))} <= {"b"}
