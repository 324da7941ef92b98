"""The cluster that tests start: it serves, keeps data over a kill, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import KafkaTimeoutError

from tests.kafka.clients import committed, write
from tests.kafka.fixtures import CreateTopic
from tests.kafka_cluster import BrokerFailed, Cluster, Runtime
from tests.kafka_cluster.metadata import serving_brokers
from tests.kafka_cluster.waiting import until

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def own(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start a node that tests may kill; they leave it running."""
    with Cluster(runtime, tmp_path_factory.mktemp("own")) as cluster:
        yield cluster


def processes_with(word: str) -> list[int]:
    """Return the live processes with a word in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_a_transaction_is_read_when_committed_and_never_when_aborted(
    kafka: str, create_topic: CreateTopic, unique: Callable[[str], str]
) -> None:
    topic = create_topic("round-trip", partitions=2)
    with KafkaProducer(bootstrap_servers=kafka, transactional_id=unique("id")) as producer:
        producer.init_transactions()
        for value, kept in ((b"kept", True), (b"dropped", False), (b"kept too", True)):
            producer.begin_transaction()
            futures = [producer.send(topic, value, partition=p) for p in (0, 1)]
            producer.flush()
            for future in futures:
                future.get(timeout=10)
            producer.commit_transaction() if kept else producer.abort_transaction()
    assert committed(kafka, topic) == [b"kept", b"kept too"] * 2


def test_settings_of_a_topic_are_its_own(kafka: str, create_topic: CreateTopic) -> None:
    topic = create_topic("settings", partitions=3, max_message_bytes="1000")
    with KafkaAdminClient(bootstrap_servers=kafka) as admin:
        (description,) = admin.describe_topics([topic])
    assert len(description["partitions"]) == 3
    with pytest.raises(Exception, match="MessageSizeTooLarge"):
        write(kafka, topic, [b"x" * 2000])


def test_topics_do_not_create_themselves(own: Cluster, unique: Callable[[str], str]) -> None:
    with (
        KafkaProducer(bootstrap_servers=own.bootstrap, max_block_ms=1000) as producer,
        pytest.raises(KafkaTimeoutError),
    ):
        producer.send(unique("nowhere"), b"")


def test_a_killed_broker_comes_back_at_its_address_with_its_data(
    own: Cluster, unique: Callable[[str], str]
) -> None:
    (node,), topic = own.nodes, unique("kept")
    with KafkaAdminClient(bootstrap_servers=own.bootstrap) as admin:
        admin.create_topics([NewTopic(topic, 1, 1)])
    values = [b"%d" % n for n in range(100)]
    write(own.bootstrap, topic, values)

    node.kill()
    assert not node.running
    assert serving_brokers(node.address) == set()
    assert processes_with(str(node.folder)) == []

    node.start()
    assert committed(own.bootstrap, topic) == values


def test_two_clusters_at_once_share_no_port_and_no_record(
    own: Cluster, kafka: str, unique: Callable[[str], str]
) -> None:
    assert not set(own.bootstrap.split(",")) & set(kafka.split(","))
    topic = unique("mine")
    with KafkaAdminClient(bootstrap_servers=own.bootstrap) as admin:
        admin.create_topics([NewTopic(topic, 1, 1)])
    with KafkaAdminClient(bootstrap_servers=kafka) as admin:
        assert topic not in admin.list_topics()


def test_a_broker_that_cannot_start_says_why(runtime: Runtime, tmp_path: Path) -> None:
    wrong = {"group.min.session.timeout.ms": "soon"}
    with pytest.raises(BrokerFailed, match=r"(?s)node 1.*group.min.session.timeout.ms"):
        Cluster(runtime, tmp_path, settings=wrong).__enter__()


def test_three_nodes_serve_on_when_one_is_killed(
    runtime: Runtime, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    with Cluster(runtime, tmp_path, nodes=3) as cluster:
        topic = unique("replicated")
        with KafkaAdminClient(bootstrap_servers=cluster.bootstrap) as admin:
            admin.create_topics([NewTopic(topic, 3)])
            (description,) = admin.describe_topics([topic])
        for partition in description["partitions"]:
            assert sorted(partition["replica_nodes"]) == [1, 2, 3]
        write(cluster.bootstrap, topic, [b"before"])
        cluster.nodes[0].kill()
        write(cluster.bootstrap, topic, [b"after"])
        assert sorted(committed(cluster.bootstrap, topic)) == [b"after", b"before"]


@contextmanager
def command(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command with temporary files in a folder; give its process and the address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.kafka_cluster", "--port", "0"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.usefixtures("runtime")
def test_the_command_serves_until_ctrl_c_and_leaves_nothing(tmp_path: Path) -> None:
    with command(tmp_path) as (process, address):
        assert serving_brokers(address) == {1}
        assert processes_with(str(tmp_path))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "")
    assert "Traceback" not in err
    assert processes_with(str(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("runtime")
def test_no_broker_outlives_the_process_that_started_it(tmp_path: Path) -> None:
    with command(tmp_path) as (process, address):
        assert serving_brokers(address) == {1}
        process.kill()
        process.wait()
        assert until(lambda: not processes_with(str(tmp_path)), 10)
    assert serving_brokers(address) == set()
