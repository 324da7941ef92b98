"""Two processes of one name: neither doubles anything, and the one that loses says why."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from stream_ad.transport.kafka.delivery import TRACED
from stream_ad.transport.kafka.failures import Displaced
from tests.cli.recordings import MACHINES
from tests.kafka_cluster.waiting import until
from tests.service.running import BEFORE_THE_FAULT, PATIENCE_S, ROWS, Running, Service


def test_who_is_displaced_ends_with_the_key_to_change(make: Callable[..., Service]) -> None:
    service = make(kafka={"instance": "here"})
    first = Running(service.config())
    service.produce(ROWS[: BEFORE_THE_FAULT // 2])
    assert until(lambda: len(service.states()) == len(MACHINES), PATIENCE_S)
    with service.worker():
        known = service.position()
        service.produce(ROWS[BEFORE_THE_FAULT // 2 : BEFORE_THE_FAULT])
        error = first.ended()
        assert isinstance(error, Displaced)
        for words in ("another process", "-here-0", "kafka.instance"):
            assert words in str(error)
        assert until(lambda: service.position() != known, PATIENCE_S)


def test_a_trace_tells_begin_and_end_of_every_transaction(
    make: Callable[..., Service], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(TRACED, "1")
    caplog.set_level(logging.INFO, "stream_ad")
    service = make()
    service.produce(ROWS[: len(MACHINES) * 2])
    with service.worker():
        assert until(lambda: len(service.states()) == len(MACHINES), PATIENCE_S)
    lines = [r.msg for r in caplog.records if isinstance(r.msg, dict) and r.msg.get("trace")]
    told = [line["event"] for line in lines]
    assert told
    assert told == ["begin", "commit"] * (len(told) // 2)
