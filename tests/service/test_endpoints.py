"""Probes get their answer, whatever other clients do."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from prometheus_client import CollectorRegistry

from stream_ad.errors import ConfigError
from stream_ad.service import endpoints as module
from stream_ad.service.endpoints import MOST_CLIENTS, Endpoints
from stream_ad.service.health import Health
from stream_ad.service.metrics import Metrics
from tests.service.clock import Clock

HOST = "127.0.0.1"


@pytest.fixture
def served(health: Health, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoints]:
    monkeypatch.setattr(module, "PATIENCE_S", 0.5)
    metrics = Metrics()
    metrics.polled(0, 41, 1)
    endpoints = Endpoints(HOST, 0, metrics.registry, health)
    yield endpoints
    endpoints.close()


def ask(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def hung_up(client: socket.socket) -> bool:
    """Whether the other side has ended the connection."""
    try:
        return client.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_metrics_are_served(served: Endpoints) -> None:
    code, body = ask(served.port, "/metrics")
    assert code == 200
    assert 'stream_ad_records_total{partition="0"} 41.0' in body.splitlines()


def test_livez_says_why_not(served: Endpoints, clock: Clock, health: Health) -> None:
    assert ask(served.port, "/livez") == (200, "ok\n")
    clock.now += 41
    assert ask(served.port, "/livez") == (503, "no turn of the loop for 41 s\n")
    health.turn()
    assert ask(served.port, "/livez?verbose=1") == (200, "ok\n")


def test_readyz_says_what_is_missing(served: Endpoints, health: Health) -> None:
    assert ask(served.port, "/readyz") == (503, "no model is loaded\n")
    health.ready(2, model=True)
    assert ask(served.port, "/readyz") == (200, "ok\n")


def test_nothing_else_is_served(served: Endpoints) -> None:
    assert ask(served.port, "/etc/passwd")[0] == 404
    assert ask(served.port, "/livez", "HEAD") == (200, "")
    assert ask(served.port, "/livez", "POST")[0] == 501


def test_a_port_in_use_names_its_key(served: Endpoints, health: Health) -> None:
    with pytest.raises(ConfigError, match=f"metrics.port = {served.port}: .*free"):
        Endpoints(HOST, served.port, CollectorRegistry(), health)


def test_a_host_of_somewhere_else_names_its_key(health: Health) -> None:
    with pytest.raises(ConfigError, match=r"metrics\.host"):
        Endpoints("no.such.host.invalid", 0, CollectorRegistry(), health)


def test_after_close_the_port_is_free_again(health: Health) -> None:
    first = Endpoints(HOST, 0, CollectorRegistry(), health)
    first.close()
    second = Endpoints(HOST, first.port, CollectorRegistry(), health)
    assert ask(second.port, "/livez")[0] == 200
    second.close()


def test_clients_that_say_nothing_neither_disturb_nor_stay(served: Endpoints) -> None:
    silent = [socket.create_connection((HOST, served.port)) for _ in range(MOST_CLIENTS)]
    begin = time.monotonic()
    assert ask(served.port, "/livez")[0] == 200
    assert time.monotonic() - begin < 0.45  # before patience with the others ended
    for client in silent:
        client.settimeout(5)
        assert hung_up(client)
        client.close()


def test_too_many_clients_cost_the_oldest_its_place(
    served: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 60.0)
    clients = [socket.create_connection((HOST, served.port)) for _ in range(MOST_CLIENTS + 3)]
    clients[0].settimeout(5)
    assert hung_up(clients[0])
    clients[-1].settimeout(0.2)
    assert not hung_up(clients[-1])
    for client in clients:
        client.close()


def test_a_client_that_dribbles_is_cut_off_as_a_whole(served: Endpoints) -> None:
    client = socket.create_connection((HOST, served.port))
    begin = time.monotonic()
    with pytest.raises(ConnectionError):
        dribble(client)
    assert time.monotonic() - begin < 4
    client.close()


def dribble(client: socket.socket) -> None:
    """Send a byte every now and then, each well within the patience, and never a request."""
    for _ in range(100):
        client.sendall(b"G")
        time.sleep(0.05)


@pytest.mark.parametrize("noise", [b"\x00\xff" * 500, b"GET " + b"/" * 100_000, b"\r\n" * 50, b""])
def test_noise_gets_no_hearing_and_does_no_harm(served: Endpoints, noise: bytes) -> None:
    # it may be cut off before it has said all
    with socket.create_connection((HOST, served.port)) as client, suppress(OSError):
        client.sendall(noise)
        client.shutdown(socket.SHUT_WR)
    assert ask(served.port, "/livez")[0] == 200


def test_a_client_that_reads_nothing_does_no_harm(served: Endpoints) -> None:
    clients = [socket.create_connection((HOST, served.port)) for _ in range(8)]
    for client in clients:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        client.close()
    assert ask(served.port, "/metrics")[0] == 200
