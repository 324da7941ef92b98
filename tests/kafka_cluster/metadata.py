"""Asking one broker which brokers serve, by Kafka's protocol.

A client library would ask whichever broker it likes, and keep threads and log lines of its own
while a broker comes up; here one broker answers, or does not.
"""

from __future__ import annotations

import socket
import struct

METADATA, VERSION = 3, 1  # brokers without topics, in a form that all brokers since 0.10 know
CLIENT = b"kafka-cluster"


def serving_brokers(address: str, timeout_s: float = 5.0) -> set[int]:
    """Return the numbers of the brokers that serve, by what the one at an address says.

    Empty if it does not answer. A broker's port is open well before it serves: it serves when
    its own answer contains itself.

    Parameters
    ----------
    address : str
        ``host:port`` of a listener without TLS or passwords.
    timeout_s : float
        Of the connection and of each part of the answer.
    """
    host, _, port = address.rpartition(":")
    header = struct.pack(f">hhih{len(CLIENT)}s", METADATA, VERSION, 1, len(CLIENT), CLIENT)
    request = header + struct.pack(">i", 0)  # no topics
    try:
        with socket.create_connection((host, int(port)), timeout_s) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            size = struct.unpack(">i", _read(connection, 4))[0]
            return _brokers(_read(connection, size))
    except OSError:
        return set()


def _read(connection: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        part = connection.recv(size - len(read))
        if not part:
            raise ConnectionError("the broker closed the connection")
        read += part
    return read


def _brokers(answer: bytes) -> set[int]:
    """Return the node ids of an answer, which begins with a correlation id and their count."""
    (count,), at = struct.unpack_from(">i", answer, 4), 8
    found = set()
    for _ in range(count):
        found.add(struct.unpack_from(">i", answer, at)[0])
        at = _after_text(answer, at + 4) + 4  # host, port
        at = _after_text(answer, at)  # rack
    return found


def _after_text(answer: bytes, at: int) -> int:
    length: int = struct.unpack_from(">h", answer, at)[0]
    return at + 2 + max(length, 0)  # -1 for no text
