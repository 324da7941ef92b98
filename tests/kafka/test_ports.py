"""Ports that stay with their broker, and what is asked there."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kafka_cluster import Cluster, ClusterError, PortTaken, Runtime
from tests.kafka_cluster.metadata import serving_brokers
from tests.kafka_cluster.ports import EPHEMERAL, HOST, reserve


def listening(port: int) -> socket.socket:
    """Listen as Java does."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((HOST, port))
    server.listen()
    return server


def test_a_reserved_port_is_for_its_broker_alone_also_while_that_is_down() -> None:
    with reserve() as held:
        port = held.getsockname()[1]
        for _ in range(2):
            with listening(port) as broker:
                with pytest.raises(PortTaken, match=f"port {port} "):
                    reserve(port)
                socket.create_connection((HOST, port), 1).close()
                broker.accept()[0].close()
            with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
                stranger.bind((HOST, port))


def test_free_ports_are_distinct_and_not_those_of_outgoing_connections() -> None:
    held = [reserve() for _ in range(50)]
    numbers = {each.getsockname()[1] for each in held}
    for each in held:
        each.close()
    assert len(numbers) == 50
    first, last = map(int, EPHEMERAL.read_text().split())
    assert not numbers & set(range(first, last + 1))


def test_a_port_that_cannot_be_is_refused() -> None:
    with pytest.raises(PortTaken, match=r"port 70000 .* choose another"):
        reserve(70_000)


def test_a_folder_of_another_number_of_nodes_is_refused(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (tmp_path / f"node-{number}").mkdir()
    with pytest.raises(ClusterError, match=r"of another size \(3, not 1\): use another"):
        Cluster(Runtime("java", tmp_path), tmp_path)


def test_a_cluster_whose_port_is_taken_holds_no_other(tmp_path: Path) -> None:
    with reserve() as held, listening(held.getsockname()[1]), pytest.raises(PortTaken):
        Cluster(Runtime("java", tmp_path), tmp_path, port=held.getsockname()[1])


@contextmanager
def server(answer: bytes | None) -> Iterator[str]:
    """Read a request and answer it: not at all, with some bytes, or by hanging up."""
    with socket.create_server((HOST, 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                if answer is None:
                    connection.recv(1000)  # until the client gives up
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"{HOST}:{listener.getsockname()[1]}"
        thread.join()


def test_an_answer_of_brokers_with_and_without_rack_is_read() -> None:
    one = b"\0\0\0\1" + b"\0\1a" + b"\0\0\x23\x84" + b"\xff\xff"  # id, host, port, no rack
    seven = b"\0\0\0\7" + b"\0\0" + b"\0\0\0\1" + b"\0\2rr"
    body = b"\0\0\0\1" + b"\0\0\0\2" + one + seven + b"\0\0\0\1" + b"\0\0\0\0"
    with server(len(body).to_bytes(4, "big") + body) as address:
        assert serving_brokers(address) == {1, 7}


@pytest.mark.parametrize("answer", [None, b"", b"\0\0\0\7abc"], ids=["silent", "closed", "cut"])
def test_a_port_that_is_open_is_not_a_broker_that_serves(answer: bytes | None) -> None:
    with server(answer) as address:
        assert serving_brokers(address, timeout_s=0.2) == set()


def test_a_closed_port_is_no_broker() -> None:
    with reserve() as held:
        assert serving_brokers(f"{HOST}:{held.getsockname()[1]}") == set()
