"""What exceeds a bound is refused by name, and the service goes on with the rest."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable

import orjson
import pytest

from stream_ad.errors import BrokerError
from stream_ad.transport.kafka.clients import BATCH_BYTES
from tests.cli.recordings import MACHINES
from tests.kafka_cluster.waiting import until
from tests.service.running import PATIENCE_S, ROWS, Replayed, Running, Service, home, message

Make = Callable[..., Service]
LEAST = str(2 * BATCH_BYTES)  # max.message.bytes below which no worker starts
SOME = len(MACHINES) * 220


def refused(service: Service) -> list[dict[str, bytes]]:
    return [dict(record.headers) for record in service.read("dead_letter")]


@pytest.mark.parametrize("partitions", [1, 2])
def test_no_worker_has_more_machines_than_allowed(
    make: Make, replayed: Replayed, partitions: int
) -> None:
    most = len(MACHINES) - 1
    assert len({home(machine, 2) for machine in MACHINES}) == 2
    service = make(partitions, limits={"machines_per_worker": most})
    service.produce(ROWS[:SOME])

    def all_told() -> bool:
        let_in = {machine for _, machine in service.states()}
        others = [row for row in ROWS[:SOME] if row[0] not in let_in]
        return bool(let_in) and len(refused(service)) >= len(others)

    with service.worker():
        assert until(all_told, PATIENCE_S)
    let_in = {machine for _, machine in service.states()}
    assert len(let_in) == most
    assert {score[0] for score in service.scores()} == let_in
    assert set(service.scores()) <= set(replayed[0])
    letters = service.read("dead_letter")
    values = [message(row)[1] for row in ROWS[:SOME] if row[0] not in let_in]
    assert sorted(letter.value for letter in letters) == sorted(values)
    assert {headers["error_class"] for headers in refused(service)} == {b"TooManyMachines"}


def test_a_dead_letter_larger_than_its_topic_is_cut_and_everything_else_is_told(
    make: Make, replayed: Replayed
) -> None:
    service = make(topic_settings={"dead_letter": {"max_message_bytes": LEAST}})
    large, small = random.Random(1).randbytes(400_000), b"not JSON"
    service.produce([*ROWS[:SOME], large, small])
    service.produce(ROWS[SOME:])
    with service.worker():
        assert until(lambda: len(service.scores()) >= len(replayed[0]), PATIENCE_S)
    assert service.scores() == replayed[0]
    letters = {letter.value: dict(letter.headers) for letter in service.read("dead_letter")}
    assert letters.keys() == {large[:64_000], small}
    headers = letters[large[:64_000]]
    assert headers["length"] == b"400000"
    assert headers["sha256"].decode() == hashlib.sha256(large).hexdigest()
    assert headers["source_offset"] == b"%d" % SOME


@pytest.mark.parametrize("kind", ["alerts", "scores", "dead_letter", "state"])
def test_a_worker_does_not_start_with_a_topic_smaller_than_the_clients_batches(
    make: Make, kind: str
) -> None:
    service = make(topic_settings={kind: {"max_message_bytes": "100000"}})
    error = Running(service.config()).ended()
    assert isinstance(error, BrokerError)
    assert f"topic {service.topics[kind]}: max.message.bytes is 100000" in str(error)
    assert LEAST in str(error)
    assert service.position() is None


def test_a_record_of_nobody_is_told_once_however_often_it_is_read(make: Make) -> None:
    """Readings before it are read again by each successor, and it with them."""
    service = make()
    known = 2 * len(MACHINES)  # first readings, whose machines are saved at once
    service.produce(ROWS[:known])
    with service.worker():
        assert until(lambda: service.position() == known, PATIENCE_S)
    service.produce([*ROWS[known : known + 2], b"not JSON", *ROWS[known + 2 : known + 4]])
    for _ in range(3):
        with service.worker():
            assert until(lambda: bool(refused(service)), PATIENCE_S)
            assert service.position() == known
    assert len(refused(service)) == 1
    assert orjson.loads(refused(service)[0]["source_offset"]) == known + 2
