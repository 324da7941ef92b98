"""Clients of the library: names, arguments, patience, and nothing left behind."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib import metadata, reload
from pathlib import Path
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import (
    CoordinatorNotAvailableError,
    InvalidTransactionTimeoutError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NoOffsetForPartitionError,
)
from kafka.net.compat import KafkaNetClient

import stream_ad.transport.kafka as room
from stream_ad.config import KafkaConfig
from stream_ad.errors import BrokerError, ConfigError, MissingDependency
from stream_ad.transport.kafka import clients, patience
from stream_ad.transport.kafka.reasons import quiet, reason
from tests.kafka.fixtures import CreateTopic

ABSENT = "127.0.0.1:1"
Make = Callable[[KafkaConfig], Any]
ALL: dict[str, Make] = {
    "group_consumer": lambda config: clients.group_consumer(config, 0),
    "reader": clients.reader,
    "transactional_producer": lambda config: clients.transactional_producer(config, 0),
    "plain_producer": clients.plain_producer,
    "admin": clients.admin,
}


def absent(**settings: Any) -> KafkaConfig:
    return KafkaConfig(bootstrap_servers=(ABSENT,), **settings)


@pytest.fixture
def short_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "TRY_MS", 200)


@pytest.fixture
def nothing_logged() -> Iterator[None]:
    """Keep pytest from keeping records: they hold exceptions, and those hold sockets."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def test_a_worker_is_named_by_group_instance_and_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    assert clients.identity(KafkaConfig(group_id="g", instance="i"), 3) == "g-i-3"
    monkeypatch.setattr("socket.gethostname", lambda: "host-7")
    assert clients.identity(KafkaConfig(group_id="g"), 0) == "g-host-7-0"


def test_a_client_needs_an_address() -> None:
    with pytest.raises(ConfigError, match=r"kafka\.bootstrap_servers"):
        clients.reader(KafkaConfig())


@pytest.mark.usefixtures("short_tries")
@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
@pytest.mark.usefixtures("nothing_logged")
def test_a_failed_constructor_leaves_neither_thread_nor_socket(make: Make) -> None:
    gc.collect()
    threads, files = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(KafkaTimeoutError):
            make(absent())
    gc.collect()
    assert threading.active_count() == threads
    assert len(list(Path("/proc/self/fd").iterdir())) == files


@pytest.mark.usefixtures("short_tries")
def test_an_outage_is_told_once_and_waited_for_without_a_busy_loop(
    root_records: list[logging.LogRecord],
) -> None:
    said: list[str] = []
    end, cpu = time.monotonic() + 4, time.process_time()
    with pytest.raises(BrokerError, match=f"^worker 0: cannot reach {ABSENT}"):
        clients.patiently(
            lambda: clients.reader(absent()),
            "worker 0",
            absent(),
            until=lambda: time.monotonic() > end,
            log=said.append,
        )
    assert said == [f"worker 0: cannot reach {ABSENT}: nobody listens there; trying again"]
    assert time.process_time() - cpu < 1.0
    assert root_records == []


@pytest.fixture
def root_records() -> Any:
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    keep = Keep()
    logging.getLogger().addHandler(keep)
    yield records
    logging.getLogger().removeHandler(keep)


def failing(times: int, error: Exception) -> Callable[[], str]:
    left = [error] * times

    def make() -> str:
        if left:
            raise left.pop()
        return "made"

    return make


def test_the_end_of_an_outage_is_told() -> None:
    said: list[str] = []
    config = absent(retry_backoff_s=0.01)
    make = failing(3, KafkaTimeoutError())
    assert clients.patiently(make, "worker 1", config, log=said.append) == "made"
    assert len(said) == 2
    assert said[0].endswith("; trying again")
    assert said[1] == f"worker 1: {ABSENT} answers again"


def test_pauses_double_up_to_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    def paused(seconds: float, _: object) -> bool:
        pauses.append(seconds)
        return False

    monkeypatch.setattr(patience, "_paused", paused)
    make = failing(9, KafkaTimeoutError())
    clients.patiently(make, "", absent(retry_backoff_s=0.5), log=lambda _: None)
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_what_would_never_work_is_not_tried_again() -> None:
    make = failing(1, InvalidTransactionTimeoutError())
    with pytest.raises(BrokerError, match=r"kafka\.transaction_timeout_s"):
        clients.patiently(make, "", absent(), log=lambda _: None)
    assert make() == "made"


def test_a_pause_ends_when_asked_to() -> None:
    end = time.monotonic() + 0.3
    config = absent(retry_backoff_s=60)
    with pytest.raises(BrokerError):
        clients.patiently(
            failing(9, KafkaTimeoutError()),
            "",
            config,
            until=lambda: time.monotonic() > end,
            log=lambda _: None,
        )
    assert time.monotonic() - end < 1


def test_errors_that_are_none_of_the_client_pass() -> None:
    with pytest.raises(ZeroDivisionError):
        clients.patiently(lambda: 1 // 0, "", absent(), log=lambda _: None)


def configured(kafka: str, **settings: Any) -> KafkaConfig:
    return KafkaConfig(bootstrap_servers=tuple(kafka.split(",")), instance="here", **settings)


def test_a_group_consumer_keeps_the_rules(kafka: str) -> None:
    config = configured(kafka, session_timeout_s=9, batch_records=123)
    with_settings = clients.group_consumer(config, 2)
    found = with_settings.config
    with_settings.close()
    assert found["group_id"] == "stream-ad"
    assert found["group_instance_id"] == "stream-ad-here-2"
    assert found["enable_auto_commit"] is False
    assert found["auto_offset_reset"] == "none"
    assert found["isolation_level"] == "read_committed"
    assert found["allow_auto_create_topics"] is False
    assert (found["session_timeout_ms"], found["heartbeat_interval_ms"]) == (9_000, 3_000)
    assert found["max_poll_records"] == 123
    assert found["partition_assignment_strategy"] == [CooperativeStickyAssignor]


def test_a_group_consumer_never_invents_a_position(
    kafka: str, create_topic: CreateTopic, unique: Callable[[str], str]
) -> None:
    consumer = clients.group_consumer(configured(kafka, group_id=unique("group")), 0)
    consumer.subscribe([create_topic("input")])
    try:
        with pytest.raises(NoOffsetForPartitionError):
            _ = [consumer.poll(500) for _ in range(40)]
    finally:
        consumer.close()


@pytest.mark.parametrize("timeout_s", [1.0, 30.0, 900.0])
def test_a_batch_fails_before_its_transaction_times_out(kafka: str, timeout_s: float) -> None:
    config = configured(kafka, transaction_timeout_s=timeout_s)
    producer = clients.transactional_producer(config, 0)
    found = producer.config
    producer.close(timeout=5)
    assert found["transactional_id"] == "stream-ad-here-0"
    assert found["transaction_timeout_ms"] == timeout_s * 1000
    assert found["request_timeout_ms"] <= found["delivery_timeout_ms"] < timeout_s * 1000
    assert found["retry_backoff_ms"] == 10
    assert found["linger_ms"] == 0
    assert found["compression_type"] == "lz4"
    assert found["allow_auto_create_topics"] is False


def test_a_reader_sees_what_is_committed_or_everything(
    kafka: str, create_topic: CreateTopic, unique: Callable[[str], str]
) -> None:
    topic = create_topic("output")
    config = configured(kafka, group_id=unique("group"))
    producer = clients.transactional_producer(config, 0)
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(topic, b"open").get(timeout=20)
    place = TopicPartition(topic, 0)
    ends = []
    for uncommitted in (False, True):
        consumer = clients.reader(config, uncommitted=uncommitted)
        ends.append(consumer.end_offsets([place])[place])
        consumer.close()
    producer.abort_transaction()
    producer.close(timeout=5)
    assert ends == [0, 1]


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_plain_producer_leaves_sizes_to_the_topic(
    kafka: str, create_topic: CreateTopic, size: int
) -> None:
    topic = create_topic("output", max_message_bytes="4000000")
    producer = clients.plain_producer(configured(kafka))
    sent = producer.send(topic, os.urandom(size))
    assert sent.get(timeout=20).offset == 0
    assert producer.config["acks"] == -1
    assert producer.config["enable_idempotence"] is True
    producer.close(timeout=5)


def test_a_lost_connection_in_a_transaction_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stock client raises here, and its sender then forgets the request for ever."""

    def gone(*_: object) -> bool:
        raise KafkaConnectionError("gone")

    monkeypatch.setattr(KafkaNetClient, "await_ready", gone)
    safe = clients.SafeClient.__new__(clients.SafeClient)
    began = time.monotonic()
    assert safe.await_ready(1) is False
    assert time.monotonic() - began >= 0.05  # or the sender would spin


def test_producers_use_the_safe_client(kafka: str) -> None:
    for make in (ALL["transactional_producer"], ALL["plain_producer"]):
        producer = make(configured(kafka))
        assert isinstance(producer._sender._client, clients.SafeClient)
        producer.close(timeout=5)


def test_once_closes_its_client_and_translates_its_errors(kafka: str) -> None:
    config = configured(kafka)
    with (
        pytest.raises(BrokerError, match="KafkaTimeoutError: late"),
        clients.once(lambda: clients.reader(config), "test", config) as consumer,
    ):
        raise KafkaTimeoutError("late")
    assert consumer._closed


@pytest.mark.parametrize("found", ["3.0.8", "3.1.0.dev0", "3.1.0", "2.3.2", "4.0"])
def test_an_untested_version_of_the_client_is_refused(
    monkeypatch: pytest.MonkeyPatch, found: str
) -> None:
    monkeypatch.setattr(metadata, "version", lambda _: found)
    with pytest.raises(MissingDependency, match=rf"kafka-python {found} .*>=3\.0\.9,<3\.1"):
        reload(room)


@pytest.mark.parametrize("found", ["3.0.9", "3.0.12"])
def test_a_tested_version_is_taken(monkeypatch: pytest.MonkeyPatch, found: str) -> None:
    monkeypatch.setattr(metadata, "version", lambda _: found)
    reload(room)


@pytest.mark.parametrize("library", ["crc32c", "lz4", "zstandard"])
def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == library else name)
    with pytest.raises(MissingDependency, match=f"package {library}: pip install"):
        reload(room)


def test_no_command_imports_the_client_before_it_is_needed() -> None:
    script = "import sys, stream_ad.cli.app; sys.exit('kafka' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_reason_is_one_of_our_phrases_and_the_one_that_says_most() -> None:
    quiet()
    began = time.monotonic()
    log = logging.getLogger("kafka.net.manager")
    log.error("Connection failed: %s", "[SSL: CERTIFICATE_VERIFY_FAILED] s3cret")
    log.error("Bootstrap failed: timeout")
    assert reason(began) == "kafka.security.ca_file did not sign its certificate"
    assert reason(time.monotonic()) is None


def test_the_library_logs_nothing_of_a_request() -> None:
    """At DEBUG it would log passwords."""
    logging.getLogger("kafka").setLevel(logging.DEBUG)
    quiet()
    assert not logging.getLogger("kafka.net.connection").isEnabledFor(logging.INFO)


def test_a_slow_step_of_this_process_is_no_sign_of_a_broker() -> None:
    quiet()
    began = time.monotonic()
    logging.getLogger("kafka.net.selector").warning(
        "Task x ran for 0.326s (>0.100s threshold). It is blocking the event loop -- likely a "
        "tight sync loop inside a coroutine. Other pollers will time out."
    )
    assert reason(began) is None
    logging.getLogger("kafka.net.connection").warning("x: Request timed out after 9 ms.")
    assert reason(began) == "it does not answer"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KafkaTimeoutError("Unable to bootstrap from x"), f"cannot reach {ABSENT}: unreachable"),
        (CoordinatorNotAvailableError(), f"no success with {ABSENT}: CoordinatorNotAvailableError"),
        (KafkaTimeoutError("no leader"), f"no success with {ABSENT}: KafkaTimeoutError: no leader"),
    ],
)
def test_brokers_that_answered_are_not_called_unreachable(error: KafkaError, words: str) -> None:
    said: list[str] = []
    config = absent(retry_backoff_s=0.01)
    clients.patiently(failing(1, error), "worker 1", config, log=said.append)
    assert said[0].startswith(f"worker 1: {words}")
