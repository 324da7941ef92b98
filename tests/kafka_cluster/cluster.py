"""One node, or three, that form a cluster of their own."""

from __future__ import annotations

import base64
import socket
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.kafka_cluster.errors import ClusterError
from tests.kafka_cluster.lifetime import Lifetime
from tests.kafka_cluster.node import Node
from tests.kafka_cluster.ports import HOST, reserve
from tests.kafka_cluster.runtime import Runtime
from tests.kafka_cluster.settings import NodePorts, server_properties


class Cluster(Lifetime):
    """Brokers on loopback ports of their own; as a context, started at once and killed at the end.

    Killed, since a test has no use for the data and a person who has calls `stop` before. Kafka
    recovers from it as from a power cut.

    Parameters
    ----------
    runtime : Runtime
        Java and jars.
    folder : Path
        For all nodes; what an earlier cluster of as many nodes left there is served again.
    nodes : int
        1, or 3 for replication and for killing one under load.
    port : int
        Of the first node, the next ones for the others; 0 for any that are free.
    settings : mapping, optional
        Added to each node's server.properties, or in place of its own.

    Raises
    ------
    PortTaken
        A port that was asked for cannot be had.
    ClusterError
        The folder holds a cluster of another number of nodes.

    Attributes
    ----------
    bootstrap : str
        Addresses of all nodes, with commas between, as clients take them.
    nodes : list of Node
        To be killed and started one by one.
    """

    def __init__(
        self,
        runtime: Runtime,
        folder: Path,
        nodes: int = 1,
        *,
        port: int = 0,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_other_size(folder, nodes)
        cluster_id = _cluster_id(folder / "cluster.id")
        self._held: list[socket.socket] = []
        ports = self._reserve(nodes, port)
        self.nodes = []
        for number, mine in enumerate(ports, start=1):
            place = (folder / f"node-{number}").resolve()
            own = server_properties(number, ports, place / "data") | dict(settings or {})
            address = f"{HOST}:{mine.broker}"
            self.nodes.append(Node(runtime, place, own, address=address, cluster_id=cluster_id))
        self.bootstrap = ",".join(node.address for node in self.nodes)

    def _reserve(self, nodes: int, port: int) -> list[NodePorts]:
        try:
            for index in range(nodes):
                self._held += [reserve(port + index if port else 0)]
            self._held += [reserve() for _ in range(nodes)]
        except BaseException:
            self._release()
            raise
        numbers = [held.getsockname()[1] for held in self._held]
        return [NodePorts(*pair) for pair in zip(numbers[:nodes], numbers[nodes:], strict=True)]

    def start(self) -> None:
        """Start all nodes and wait until each knows that all serve.

        Raises
        ------
        BrokerFailed
            A node ended, or did not answer in time.
        """
        with ThreadPoolExecutor() as pool:
            list(pool.map(Node.format, self.nodes))
        for node in self.nodes:
            node.launch()
        everyone = {node.number for node in self.nodes}
        for node in self.nodes:
            node.wait_until_serving(others=everyone)

    def stop(self) -> None:
        """End all nodes in order (SIGTERM), at the same time."""
        for node in self.nodes:
            node.terminate()
        for node in self.nodes:
            node.wait_until_ended()

    def kill(self) -> None:
        """End all nodes at once (SIGKILL)."""
        for node in self.nodes:
            node.kill()


def _refuse_other_size(folder: Path, nodes: int) -> None:
    there = len(list(folder.glob("node-*")))
    if there not in {0, nodes}:
        held = f"{folder} holds a cluster of another size ({there}, not {nodes})"
        raise ClusterError(f"{held}: use another folder")


def _cluster_id(file: Path) -> str:
    if not file.exists():
        file.write_text(base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))
    return file.read_text()
