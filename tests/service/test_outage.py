"""A broker that is killed: transactions end, and so does a worker that is asked to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.net.compat import KafkaNetClient

from stream_ad.transport.kafka import clients
from tests.cli.recordings import MACHINES
from tests.kafka.place import Place, placed
from tests.kafka_cluster import Cluster, Runtime
from tests.kafka_cluster.waiting import until
from tests.service.running import PATIENCE_S, ROWS, Running, Service

LONGER_S = 3.0  # that the stock client is watched for beyond ours


@pytest.fixture(scope="module")
def cluster(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start a broker that these tests may kill."""
    with Cluster(runtime, tmp_path_factory.mktemp("outage")) as cluster:
        yield cluster


@pytest.fixture
def kafka(cluster: Cluster) -> str:
    """Bootstrap address of the broker to kill."""
    if not cluster.nodes[0].running:
        cluster.nodes[0].start()
    return cluster.bootstrap


@pytest.fixture
def create_topic(kafka: str, unique: Callable[[str], str]) -> Callable[..., str]:
    """Create topics, which go with the broker."""

    def create(name: str, partitions: int = 1, **settings: str) -> str:
        topic = unique(name)
        configs = {key.replace("_", "."): value for key, value in settings.items()}
        with KafkaAdminClient(bootstrap_servers=kafka) as admin:
            admin.create_topics([NewTopic(topic, partitions, topic_configs=configs)])
        return topic

    return create


class Transaction:
    """A delivery in a thread of its own that stops before its commit until it may go on."""

    def __init__(self, place: Place, slot: int, member: Any, offset: int) -> None:
        self._place, self._offset, self._member = place, offset, member
        self.ready, self.go_on = threading.Event(), threading.Event()
        self.result: object = None
        self._once = place.exactly_once(slot)
        producer = place.producers[-1]
        self._commit = producer.commit_transaction
        producer.commit_transaction = self._later
        self.thread = threading.Thread(target=self._deliver, args=(slot,), daemon=True)
        self.thread.start()

    def _later(self) -> None:
        self.ready.set()
        self.go_on.wait()
        self._commit()

    def _deliver(self, slot: int) -> None:
        try:
            offsets = self._place.offsets(self._offset)
            self._once.deliver(self._place.messages(b"%d" % slot), [], offsets, self._member)
        except BaseException as error:
            self.result = error


def test_a_transaction_outlives_its_broker_and_with_the_stock_client_it_hangs(
    cluster: Cluster, kafka: str, create_topic: Any, unique: Callable[[str], str]
) -> None:
    node = cluster.nodes[0]
    with placed(kafka, create_topic, unique("group"), transaction_s=60) as place:
        member = place.member().group_metadata()
        ours = Transaction(place, 1, member, 5)
        assert ours.ready.wait(PATIENCE_S)
        with mock.patch.object(clients, "SafeClient", KafkaNetClient):
            stock = Transaction(place, 2, member, 5)
        assert stock.ready.wait(PATIENCE_S)
        node.kill()
        ours.go_on.set()
        stock.go_on.set()
        time.sleep(1)
        node.start()
        ours.thread.join(PATIENCE_S)
        assert not ours.thread.is_alive()
        assert ours.result is None
        stock.thread.join(LONGER_S)
        assert stock.thread.is_alive()
        assert place.told() == [b"1"]


def test_a_worker_whose_brokers_are_away_is_not_ready_and_goes_on_by_itself(
    cluster: Cluster, make: Callable[..., Service]
) -> None:
    service = make()
    service.produce(ROWS[: len(MACHINES) * 100])
    with service.worker() as running:
        health = running.shell.health
        assert until(lambda: len(service.states()) == len(MACHINES), PATIENCE_S)
        assert until(lambda: health.not_ready() is None, PATIENCE_S)
        cluster.nodes[0].kill()
        assert until(lambda: health.not_ready() is not None, PATIENCE_S)
        cluster.nodes[0].start()
        assert until(lambda: health.not_ready() is None, 2 * PATIENCE_S)
        known = service.position()
        service.produce(ROWS[len(MACHINES) * 100 : len(MACHINES) * 200])
        assert until(lambda: service.position() != known, PATIENCE_S)


def test_a_worker_whose_brokers_are_away_ends_when_asked(
    cluster: Cluster, make: Callable[..., Service]
) -> None:
    service = make()
    service.produce(ROWS[: len(MACHINES) * 100])
    running = Running(service.config())
    assert until(lambda: len(service.states()) == len(MACHINES), PATIENCE_S)
    cluster.nodes[0].kill()
    time.sleep(1)
    began = time.monotonic()
    running.stop()
    assert time.monotonic() - began < 15
