"""Loopback ports that stay ours from before a broker's first start to after its last stop."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from tests.kafka_cluster.errors import PortTaken

HOST = "127.0.0.1"
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def reserve(port: int = 0) -> socket.socket:
    """Bind a port without listening: nobody else gets it, but a broker may listen on it.

    Both sockets have SO_REUSEADDR, so Linux lets the broker (Java sets it) bind as well as long
    as ours does not listen. Another reservation is refused.

    Parameters
    ----------
    port : int
        The port, or 0 for any that is free.

    Returns
    -------
    socket
        Holds the port until closed; ``getsockname()[1]`` is its number.

    Raises
    ------
    PortTaken
        Another program listens on the port, or it may not be used.
    """
    return _reserve_this(port) if port else _reserve_any()


def _reserve_this(port: int) -> socket.socket:
    # Reuse comes before the bind here: connections of an earlier broker on this port may linger.
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind((HOST, port))
    except (OSError, OverflowError) as error:
        held.close()
        reason = f"port {port} of {HOST} cannot be listened on ({error})"
        raise PortTaken(f"{reason}: choose another one, or 0 for any that is free") from error
    return held


def _reserve_any() -> socket.socket:
    # Not a port that the system gives to outgoing connections: while a broker is down, a client
    # that keeps trying to reach it could be given that very port and so connect to itself.
    for _ in range(1000):
        held = socket.socket()
        try:
            held.bind((HOST, random.randrange(10_240, _first_ephemeral())))
        except OSError:
            held.close()
            continue
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return held
    raise PortTaken(f"no free port of {HOST} was found")


def _first_ephemeral() -> int:
    first = int(EPHEMERAL.read_text().split()[0]) if EPHEMERAL.exists() else 0
    return first if first > 12_000 else 32_768
