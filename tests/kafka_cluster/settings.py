"""The ``server.properties`` of a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.kafka_cluster.ports import HOST


@dataclass(frozen=True)
class NodePorts:
    """Where a node is reached, by clients and brokers and by the controllers' quorum."""

    broker: int
    controller: int


def server_properties(node: int, ports: Sequence[NodePorts], data: Path) -> dict[str, str]:
    """Return the settings of one node of a cluster that can do transactions.

    Topics are not created by themselves, as in production. What a killed worker leaves behind
    is released early: sessions may be as short as 2 s, and transactions that timed out are
    aborted within a second.

    Parameters
    ----------
    node : int
        Its number, from 1.
    ports : sequence of NodePorts
        Of all nodes, in order; with three or more, each record is on three of them.
    data : Path
        Folder for the log.
    """
    mine = ports[node - 1]
    voters = [f"{number}@{HOST}:{p.controller}" for number, p in enumerate(ports, start=1)]
    return {
        "process.roles": "broker,controller",
        "node.id": str(node),
        "controller.quorum.voters": ",".join(voters),
        "listeners": f"PLAINTEXT://{HOST}:{mine.broker},CONTROLLER://{HOST}:{mine.controller}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{mine.broker}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data),
        **_replication(len(ports)),
        "offsets.topic.num.partitions": "5",
        "transaction.state.log.num.partitions": "5",
        "group.initial.rebalance.delay.ms": "0",
        "auto.create.topics.enable": "false",
        "unclean.leader.election.enable": "false",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        "group.min.session.timeout.ms": "2000",
    }


def _replication(nodes: int) -> dict[str, str]:
    copies, in_sync = ("3", "2") if nodes >= 3 else ("1", "1")
    # A killed broker's partitions are led by others, and it is let in again when it is back, only
    # after its session. Alone it may be shorter: there is nobody to move partitions to.
    session_ms, heartbeat_ms = ("6000", "1000") if nodes > 1 else ("3000", "500")
    return {
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        "broker.session.timeout.ms": session_ms,
        "broker.heartbeat.interval.ms": heartbeat_ms,
    }


def as_text(settings: Mapping[str, str]) -> str:
    r"""Write settings as a properties file.

    Examples
    --------
    >>> as_text({"node.id": "1", "log.dirs": "data"})
    'node.id=1\nlog.dirs=data\n'
    """
    return "".join(f"{key}={value}\n" for key, value in settings.items())
