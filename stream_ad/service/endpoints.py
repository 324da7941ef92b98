"""``/metrics``, ``/livez`` and ``/readyz`` over HTTP, for whoever watches the process."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from stream_ad.errors import ConfigError
from stream_ad.service.health import Health

PLAIN = "text/plain; charset=utf-8"
PATIENCE_S = 5.0
MOST_CLIENTS = 32


class Endpoints:
    """A server in threads of its own, from construction until `close`.

    Parameters
    ----------
    host : str
    port : int
        0 takes a free one.
    registry : CollectorRegistry
    health : Health

    Attributes
    ----------
    port : int
        The one listened on.

    Raises
    ------
    ConfigError
        Host or port cannot be listened on.
    """

    def __init__(self, host: str, port: int, registry: CollectorRegistry, health: Health) -> None:
        try:
            self._server = _Server(host, port, registry, health)
        except socket.gaierror as error:
            raise ConfigError("metrics.host", host, f"an address of here ({error})") from None
        except OSError as error:
            allowed = f"a port that is free on {host} ({error.strerror})"
            raise ConfigError("metrics.port", port, allowed) from None
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="endpoints", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = PATIENCE_S

    def do_GET(self) -> None:
        code, kind, body = self._answer(self.path.partition("?")[0])
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, path: str) -> tuple[int, str, bytes]:
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest(self.server.registry)
        if path == "/livez":
            return _verdict(self.server.health.stuck())
        if path == "/readyz":
            return _verdict(self.server.health.not_ready())
        return 404, PLAIN, b"/metrics, /livez, /readyz\n"

    def version_string(self) -> str:
        return "stream-ad"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: probes come every few seconds."""


class _Server(ThreadingHTTPServer):
    """Cuts off whoever takes too long as a whole, and the oldest where there are too many."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 2 * MOST_CLIENTS

    def __init__(self, host: str, port: int, registry: CollectorRegistry, health: Health) -> None:
        self.registry, self.health = registry, health
        self._clients: OrderedDict[socket.socket, float] = OrderedDict()
        self._guard = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind without the base class's look-up of the host's name, which may take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "stream-ad", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a client in."""
        with self._guard:
            self._clients[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Let a client go."""
        with self._guard:
            self._clients.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut clients off; called ten times a second and after each new one."""
        latest = time.monotonic() - PATIENCE_S
        with self._guard:
            many = len(self._clients) - MOST_CLIENTS
            for number, (client, since) in enumerate(self._clients.items()):
                if number < many or since < latest:
                    with suppress(OSError):  # gone by itself
                        client.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that go away in the middle of an answer."""


def _verdict(problem: str | None) -> tuple[int, str, bytes]:
    return (200, PLAIN, b"ok\n") if problem is None else (503, PLAIN, f"{problem}\n".encode())
