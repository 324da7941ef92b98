"""Settings -> clients of the Kafka library, each with the arguments its part was measured with."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any, TypeVar

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaConnectionError
from kafka.net.compat import KafkaNetClient

from stream_ad.config import KafkaConfig
from stream_ad.errors import ConfigError
from stream_ad.transport.kafka.patience import once, patiently
from stream_ad.transport.kafka.reasons import quiet
from stream_ad.transport.kafka.security import client_arguments
from stream_ad.transport.kafka.topics import LARGEST
from stream_ad.transport.kafka.waits import BLOCK_MS, GIVEN_UP_S, RECONNECT_MS, TRY_MS

__all__ = [
    "SafeClient",
    "admin",
    "announcer",
    "candidate",
    "group_consumer",
    "identity",
    "observer",
    "once",
    "patiently",
    "plain_producer",
    "quiet",
    "reader",
    "trainers",
    "transactional_producer",
]

T = TypeVar("T")
BATCH_BYTES = 128 << 10


class SafeClient(KafkaNetClient):  # type: ignore[misc]  # the library has no types
    """A connection whose loss in a transaction is tried again.

    The library's sender drops a transactional request when its broker is gone before the
    request is sent, and whoever waits for the answer then waits for ever.
    """

    def await_ready(self, node_id: int, timeout_ms: int = 30_000) -> bool:
        """Wait for a connection; False, on which the sender asks again, where there is none."""
        try:
            return bool(super().await_ready(node_id, timeout_ms))
        except KafkaConnectionError:
            time.sleep(0.05)
            return False


def identity(config: KafkaConfig, slot: int) -> str:
    """Name a worker, the same after each restart: transactional id and static group member.

    Examples
    --------
    >>> identity(KafkaConfig(instance="press-hall"), 1)
    'stream-ad-press-hall-1'
    """
    return f"{config.group_id}-{config.instance or socket.gethostname()}-{slot}"


def group_consumer(
    config: KafkaConfig, slot: int, most_records: int | None = None
) -> KafkaConsumer:
    """Return a member of the service's group, not subscribed yet.

    Positions are never committed or reset by themselves: a partition without a position raises
    from ``poll``.

    Raises
    ------
    KafkaTimeoutError
        No broker answers; see `patiently`.
    """
    session_ms = round(config.session_timeout_s * 1000)
    return _consumer(
        config,
        group_id=config.group_id,
        group_instance_id=identity(config, slot),
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=session_ms // 3,
        # the watchdog ends a worker that takes longer than this before the group gives it up
        max_poll_interval_ms=round((config.transaction_timeout_s + GIVEN_UP_S) * 1000),
        max_poll_records=min(config.batch_records, most_records or config.batch_records),
        partition_assignment_strategy=[CooperativeStickyAssignor],
    )


def candidate(config: KafkaConfig) -> KafkaConsumer:
    """Return a member of the trainers' group, not subscribed yet: who holds its partition leads.

    Raises
    ------
    KafkaTimeoutError
        No broker answers; see `patiently`.
    """
    session_ms = round(config.session_timeout_s * 1000)
    return _consumer(
        config,
        group_id=trainers(config),
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=session_ms // 3,
        # whoever leads goes on leading when others come
        partition_assignment_strategy=[CooperativeStickyAssignor],
    )


def trainers(config: KafkaConfig) -> str:
    """Name the trainers' group; the one that leads has it as transactional id.

    Examples
    --------
    >>> trainers(KafkaConfig(group_id="line-4"))
    'line-4-trainer'
    """
    return f"{config.group_id}-trainer"


def observer(config: KafkaConfig) -> KafkaConsumer:
    """Return a consumer that may ask what the service's group committed, without joining it.

    It sees what open transactions wrote as well.

    Raises
    ------
    KafkaTimeoutError
        No broker answers; see `patiently`.
    """
    return _consumer(config, group_id=config.group_id, isolation_level="read_uncommitted")


def reader(config: KafkaConfig, *, uncommitted: bool = False) -> KafkaConsumer:
    """Return a consumer without a group, for ``assign`` and ``seek``.

    Parameters
    ----------
    config : KafkaConfig
        Brokers and credentials.
    uncommitted : bool
        Also what open and aborted transactions wrote.

    Raises
    ------
    KafkaTimeoutError
        No broker answers; see `patiently`.
    """
    return _consumer(config, isolation_level="read_uncommitted" if uncommitted else _COMMITTED)


_COMMITTED = "read_committed"


def _consumer(config: KafkaConfig, **own: Any) -> KafkaConsumer:
    client = config.client
    arguments = {
        "isolation_level": _COMMITTED,
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "max_poll_records": config.batch_records,
        "fetch_max_wait_ms": client.fetch_max_wait_ms,
        "fetch_min_bytes": client.fetch_min_bytes,
        "max_partition_fetch_bytes": client.max_partition_fetch_bytes,
        "request_timeout_ms": client.request_timeout_ms,
        "allow_auto_create_topics": False,
    }
    return _made(KafkaConsumer, KafkaNetClient, _common(config) | arguments | own)


def transactional_producer(config: KafkaConfig, slot: int) -> KafkaProducer:
    """Return a worker's producer; `init_transactions` is left to the caller.

    Raises
    ------
    KafkaTimeoutError
        No broker answers; see `patiently`.
    """
    return _transactional(config, identity(config, slot))


def _transactional(config: KafkaConfig, name: str) -> KafkaProducer:
    own = {
        "transactional_id": name,
        "transaction_timeout_ms": round(config.transaction_timeout_s * 1000),
    }
    # A batch has to fail before the broker gives up its transaction.
    return _producer(config, round(config.transaction_timeout_s * 900), own)


def announcer(config: KafkaConfig) -> KafkaProducer:
    """Return the producer of the trainer that leads; `init_transactions` fences those before.

    Raises
    ------
    KafkaTimeoutError
        No broker answers; see `patiently`.
    """
    return _transactional(config, trainers(config))


def plain_producer(config: KafkaConfig) -> KafkaProducer:
    """Return a producer without transactions: acknowledged by all replicas, none twice or swapped.

    Raises
    ------
    KafkaTimeoutError
        No broker answers; see `patiently`.
    """
    return _producer(config, 120_000, {"enable_idempotence": True})


def _producer(config: KafkaConfig, delivery_ms: int, own: dict[str, Any]) -> KafkaProducer:
    compression = config.client.compression_type
    arguments = {
        "acks": "all",
        "delivery_timeout_ms": delivery_ms,
        "request_timeout_ms": min(config.client.request_timeout_ms, delivery_ms),
        "max_block_ms": min(BLOCK_MS, delivery_ms),
        "retry_backoff_ms": 10,
        "linger_ms": 0,
        "batch_size": BATCH_BYTES,
        "max_request_size": LARGEST,  # the topics decide (max.message.bytes), not the client
        "compression_type": None if compression == "none" else compression,
        "allow_auto_create_topics": False,
    }
    return _made(KafkaProducer, SafeClient, _common(config) | arguments | own)


def admin(config: KafkaConfig) -> KafkaAdminClient:
    """Return a client that describes and creates topics.

    Raises
    ------
    KafkaTimeoutError
        No broker answers; see `patiently`.
    """
    timeout = {"request_timeout_ms": config.client.request_timeout_ms}
    return _made(KafkaAdminClient, KafkaNetClient, _common(config) | timeout)


def _common(config: KafkaConfig) -> dict[str, Any]:
    if not config.bootstrap_servers:
        raise ConfigError("kafka.bootstrap_servers", [], "addresses of brokers, host:port")
    return {
        "bootstrap_servers": list(config.bootstrap_servers),
        "client_id": config.client.client_id,
        "metadata_max_age_ms": config.client.metadata_max_age_ms,
        "bootstrap_timeout_ms": TRY_MS,
        "reconnect_backoff_max_ms": RECONNECT_MS,
        **client_arguments(config.security),
    }


def _made(kind: Callable[..., T], network: type, arguments: dict[str, Any]) -> T:
    """Call a constructor; where it fails, end the thread and the sockets that it leaves behind."""
    quiet()
    opened = []

    def open_network(**settings: Any) -> Any:
        opened.append(network(**settings))
        return opened[-1]

    try:
        return kind(kafka_client=open_network, **arguments)
    except BaseException:
        for left in opened:
            left.close()
        raise
