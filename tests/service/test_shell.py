"""What a worker has of its process."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
import urllib.request

import pytest

from stream_ad.config import Config, KafkaConfig, MetricsConfig, parse_config
from stream_ad.errors import ConfigError
from stream_ad.service.shell import Shell


def free_ports() -> int:
    """Return a port that is free together with the next one."""
    for _ in range(50):
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            if port > 60_000:
                continue
            try:
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    pytest.fail("no two free ports in a row")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_to_stop_and_ends_a_wait(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Shell.open(Config(), 0) as shell:
        assert not shell.wait(0.01)
        assert not shell.stopping
        threading.Timer(0.1, os.kill, (os.getpid(), number)).start()
        begin = time.monotonic()
        assert shell.wait(30)
        assert time.monotonic() - begin < 5
        assert shell.stopping
        os.kill(os.getpid(), number)  # once more changes nothing
        assert shell.wait(30)
    assert signal.getsignal(number) is before


def test_a_slot_serves_on_its_own_port() -> None:
    port = free_ports()
    config = parse_config({"metrics": {"port": port}})
    with Shell.open(config, 1) as shell:
        shell.metrics.machines(12)
        with urllib.request.urlopen(f"http://127.0.0.1:{port + 1}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        assert "stream_ad_machines 12.0" in text.splitlines()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port + 1), timeout=5)


def test_a_port_in_use_stops_the_start() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        config = Config(metrics=MetricsConfig(port=holder.getsockname()[1]))
        with pytest.raises(ConfigError, match=r"metrics\.port"), Shell.open(config, 0):
            pass
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_turn_tells_both_watchdog_and_liveness(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell.silent()
    told: list[str] = []
    monkeypatch.setattr(shell.watchdog, "progress", lambda: told.append("watchdog"))
    monkeypatch.setattr(shell.health, "turn", lambda: told.append("health"))
    shell.turn()
    assert sorted(told) == ["health", "watchdog"]


def test_liveness_speaks_before_the_watchdog_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    now, ended = [0.0], list[int]()
    config = Config(kafka=KafkaConfig(transaction_timeout_s=20))
    with monkeypatch.context() as patch:
        patch.setattr("stream_ad.service.shell.Watchdog.start", lambda _: None)
        with Shell.open(config, 0) as shell:
            shell.watchdog._clock = shell.health._clock = lambda: now[0]
            shell.watchdog._exit = ended.append
            shell.turn()
            now[0] += 20 + 9
            assert shell.health.stuck() is None
            now[0] += 2
            assert shell.health.stuck() is not None
            shell.watchdog.look()
            assert ended == []
            now[0] += 20
            shell.watchdog.look()
            assert ended == [70]


def test_a_silent_shell_leaves_the_process_as_it_is() -> None:
    before, threads = signal.getsignal(signal.SIGTERM), threading.active_count()
    shell = Shell.silent()
    shell.log.info("nothing to see")
    shell.metrics.machines(1)
    shell.turn()
    assert signal.getsignal(signal.SIGTERM) is before
    assert threading.active_count() == threads
    assert not shell.stopping
