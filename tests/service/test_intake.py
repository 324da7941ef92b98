"""What a trainer takes in: what is scored, no more; incidents and labels before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import orjson
import pytest
from kafka import KafkaProducer

from stream_ad.config import Config
from stream_ad.errors import StateError
from stream_ad.groups import Groups
from stream_ad.records import IncidentEvent, LabelRecord
from stream_ad.service.intake import Intake
from stream_ad.service.shell import Shell
from stream_ad.training.registry import Registry
from stream_ad.transport.kafka.delivery import Undelivered
from stream_ad.transport.kafka.labels import TrainRequest, write_label, write_request
from stream_ad.versions import Version
from stream_ad.windows import Windows, WindowSpec
from tests.cli.recordings import LENGTH, MACHINES, PERIOD, Row
from tests.kafka.test_labels import event, label
from tests.kafka_cluster.waiting import until
from tests.service.running import BEFORE_THE_FAULT, PATIENCE_S, ROWS, Service, home

Make = Callable[..., Service]
NS = 10**9


class Listener:
    """Notes what it is handed, in order."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.windows: list[Windows] = []
        self.events: list[IncidentEvent] = []
        self.labels: list[LabelRecord] = []
        self.asked: list[str] = []

    def take(self, windows: Windows, left_out: Mapping[str, int] | None = None) -> None:
        self.order.append("windows")
        self.windows.append(windows)

    def tell(self, events: Sequence[IncidentEvent]) -> None:
        self.order.append("events")
        self.events += events

    def label(self, labels: Sequence[LabelRecord]) -> None:
        self.order.append("labels")
        self.labels += labels

    def ask(self, who: str) -> None:
        self.asked.append(who)

    def starts(self) -> dict[str, list[int]]:
        """Return the starts of windows by machine, in order of coming."""
        found: dict[str, list[int]] = {}
        for windows in self.windows:
            for name, start in zip(windows.machine, windows.start.tolist(), strict=True):
                found.setdefault(name, []).append(start)
        return found


@contextmanager
def intake(config: Config, state: Any = None) -> Iterator[Intake]:
    spec = WindowSpec.from_config(config.windows)
    one = Intake(config, spec, Groups(config), Shell.silent(), state)
    yield one
    one.close()


def versions_of(config: Config) -> list[Version]:
    assert config.registry.uri is not None
    spec = WindowSpec.from_config(config.windows)
    return Registry(config.registry.uri).load(spec, config)


def processed(service: Service, rows: Sequence[Row]) -> None:
    """Let a worker process rows, and see that it has."""
    service.produce(rows)
    with service.worker():
        assert until(lambda: sum(map(offset, map(service.position, (0, 1)))) >= len(rows), 30)


def offset(position: int | None) -> int:
    return position or 0


# ------------------------------------------------------------ how far


def test_nothing_is_taken_before_the_service_has_scored_it(make: Make) -> None:
    service = make(partitions=2)
    service.produce(ROWS[:BEFORE_THE_FAULT])
    config, heard = service.config(), Listener()
    with intake(config) as one:
        one.follow({"default": heard}, versions_of(config))
    assert heard.order == []
    assert one.newest is None


def test_while_nothing_scores_all_there_is_may_be_taken(make: Make) -> None:
    service = make(partitions=2)
    service.produce(ROWS[:BEFORE_THE_FAULT])
    heard = Listener()
    with intake(service.config()) as one:
        one.follow({"default": heard}, [])
    newest = max(row[1] for row in ROWS[:BEFORE_THE_FAULT]) * 10**6
    assert one.newest == newest
    assert one.lag == 0
    for starts in heard.starts().values():
        assert np.diff(starts).tolist() == [4 * PERIOD * NS] * (len(starts) - 1)
        assert starts[-1] + LENGTH * PERIOD * NS <= newest
        assert starts[-1] + (LENGTH + 4) * PERIOD * NS > newest
    assert sorted(heard.starts()) == sorted(MACHINES)


def test_what_is_scored_is_taken_after_the_incidents_it_may_lie_in(
    make: Make, replayed: tuple[Any, list[dict[str, Any]]]
) -> None:
    service = make(partitions=2)
    processed(service, ROWS)
    config, heard = service.config(), Listener()
    with intake(config) as one:
        ready = until(lambda: taken(one, config, heard) >= len(replayed[0]), PATIENCE_S)
    assert ready
    told = [event.model_dump(mode="json") for event in heard.events]
    key = lambda one: (one["machine_id"], one["incident_id"], one["event"])  # noqa: E731
    assert sorted(told, key=key) == sorted(replayed[1], key=key)
    assert heard.order.index("windows") > max(
        place for place, kind in enumerate(heard.order) if kind == "events"
    )


def taken(one: Intake, config: Config, heard: Listener) -> int:
    one.follow({"default": heard}, versions_of(config))
    return sum(map(len, heard.windows))


# ------------------------------------------------------------ going on


def test_another_goes_on_as_if_there_had_been_no_end(make: Make) -> None:
    service = make(partitions=2)
    whole, parts = Listener(), Listener()
    first, rest = ROWS[: BEFORE_THE_FAULT + 7], ROWS[BEFORE_THE_FAULT + 7 :]
    service.produce(first)
    config = service.config()
    with intake(config) as one, intake(config) as before:
        one.follow({"default": whole}, [])
        before.follow({"default": parts}, [])
        state = orjson.loads(orjson.dumps(before.state()))
        service.produce(rest)
        one.follow({"default": whole}, [])
        with intake(config, state) as after:
            assert after.newest == before.newest
            after.follow({"default": parts}, [])
            assert after.state()["machines"] == one.state()["machines"]
    assert parts.starts() == whole.starts()
    values = [np.concatenate([w.values for w in heard.windows]) for heard in (whole, parts)]
    order = [
        np.lexsort((w.start, w.machine.astype(str)))
        for w in (Windows.concat(whole.windows), Windows.concat(parts.windows))
    ]
    np.testing.assert_array_equal(values[0][order[0]], values[1][order[1]])


def test_a_state_of_other_windows_or_a_damaged_one_is_refused(make: Make) -> None:
    service = make()
    config = service.config()
    with intake(config) as one:
        state = one.state()
    for broken in (
        state | {"windows": "others"},
        state | {"machines": {"0": {"m1": "{"}}},
        {key: value for key, value in state.items() if key != "positions"},
    ):
        with pytest.raises(StateError), intake(config, broken):
            pass


def test_records_that_are_gone_do_not_stop_it(make: Make) -> None:
    service = make()
    service.produce(ROWS[:30])
    config, heard = service.config(), Listener()
    with intake(config) as one:
        state = one.state()
    state["positions"][service.topics["input"]] = {"0": 9_999}
    with intake(config, state) as one:
        one.follow({"default": heard}, [])
        assert one.newest is not None


# ------------------------------------------------------------ who is told what


def test_labels_come_each_time_and_requests_once(make: Make) -> None:
    service = make()
    config = service.config()
    mine = label(event("m1"))
    write_label(config.kafka, mine)
    write_request(config.kafka, TrainRequest(machine_group="default", who="anna"))
    write_request(config.kafka, TrainRequest(machine_group="elsewhere", who="bob"))
    first, second = Listener(), Listener()
    with intake(config) as one:
        one.follow({"default": first}, [])
        one.follow({"default": first}, [])
        state = one.state()
    with intake(config, state) as one:
        one.follow({"default": second}, [])
        write_request(config.kafka, TrainRequest(machine_group="default", who="cleo"))
        one.follow({"default": second}, [])
    assert (first.labels, first.asked) == ([mine], ["anna"])
    assert (second.labels, second.asked) == ([mine], ["cleo"])


def test_each_group_hears_of_its_own_machines(make: Make) -> None:
    service = make(groups={"ms": {"match": ["m1", "m3"]}})
    config = service.config()
    service.produce(ROWS[:BEFORE_THE_FAULT])
    for machine in MACHINES:
        write_label(config.kafka, label(event(machine)))
    pupils = {"default": Listener(), "ms": Listener()}
    with intake(config) as one:
        one.follow(pupils, [])
    assert sorted(pupils["ms"].starts()) == ["m1", "m3"]
    assert sorted(pupils["default"].starts()) == ["m2"]
    assert sorted(said.machine_id for said in pupils["ms"].labels) == ["m1", "m3"]


def test_machines_beyond_the_limit_of_a_partition_are_left_out(make: Make) -> None:
    service = make(partitions=2, limits={"machines_per_worker": 1})
    rows = [[f"m{n}", *ROWS[0][1:]] for n in range(40)]
    service.produce(rows)
    with intake(service.config()) as one:
        one.follow({"default": Listener()}, [])
        known = one.state()["machines"]
    homes = {p: [row[0] for row in rows if home(row[0], 2) == p] for p in (0, 1)}
    assert {int(p): [*names] for p, names in known.items()} == {p: homes[p][:1] for p in (0, 1)}


def test_without_its_topic_another_time_may_do(
    make: Make, unique: Callable[[str], str], kafka: str
) -> None:
    service = make()
    topics = service.topics | {"labels": unique("absent")}
    config = service.config(kafka={"topics": topics})
    with intake(config) as one, pytest.raises(Undelivered, match="absent"):
        one.follow({"default": Listener()}, [])


def test_what_is_no_event_or_label_is_passed_over(make: Make, kafka: str) -> None:
    service = make()
    with KafkaProducer(bootstrap_servers=kafka) as producer:
        for kind in ("alerts", "labels", "input"):
            producer.send(service.topics[kind], b"{", key=b"k").get(timeout=10)
    service.produce(ROWS[:60])
    heard = Listener()
    with intake(service.config()) as one:
        one.follow({"default": heard}, [])
    assert not heard.events
    assert not heard.labels
    assert heard.windows
