"""An input that loses records, is not there yet, or is another one; and no broker at all."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import NewTopic

from stream_ad.errors import BrokerError
from stream_ad.transport.kafka import clients
from tests.cli.recordings import LENGTH, MACHINES, text_of
from tests.kafka_cluster.ports import HOST, reserve
from tests.kafka_cluster.waiting import until
from tests.service.running import PATIENCE_S, ROWS, Replayed, Running, Score, Service, said

Make = Callable[..., Service]
SAVED, GONE, END, LATER = (len(MACHINES) * step for step in (100, 150, 200, 280))


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "stream_ad")


def scored_after(step: int, scores: list[Score]) -> set[Score]:
    """Return the scores of windows that begin with a step or later."""
    return {score for score in scores if score[1] >= text_of(step + LENGTH)}


def a_service_that_lost_records(make: Make, choice: str) -> Service:
    """Return one that was stopped; half of what came since is gone from the input."""
    service = make(kafka={"on_lost_position": choice})
    service.produce(ROWS[:SAVED])
    with service.worker():
        assert until(lambda: len(service.states()) == len(MACHINES), PATIENCE_S)
    assert (service.position() or 0) <= SAVED
    service.produce(ROWS[SAVED:END])
    with KafkaAdminClient(bootstrap_servers=service.bootstrap) as admin:
        admin.delete_records({TopicPartition(service.topics["input"], 0): GONE})
    return service


def test_records_that_are_gone_stop_the_service_unless_it_may_do_without(make: Make) -> None:
    service = a_service_that_lost_records(make, "fail")
    before = service.position()
    error = Running(service.config()).ended()
    assert isinstance(error, BrokerError)
    for word in (service.topics["input"], f"offset {before}", f"{GONE} to {END}", "earliest"):
        assert word in str(error)
    assert service.position() == before


def test_earliest_goes_on_with_the_first_record_that_is_left(
    make: Make, replayed: Replayed, caplog: pytest.LogCaptureFixture
) -> None:
    service = a_service_that_lost_records(make, "earliest")
    before = service.position()
    with service.worker():
        last = text_of(END // len(MACHINES) - LENGTH)
        assert until(lambda: any(end >= last for _, end, _ in service.scores()), PATIENCE_S)
    found = scored_after(GONE // len(MACHINES), service.scores())
    assert found
    assert found <= set(replayed[0])
    assert {end for _, end, _ in found} >= {text_of(GONE // len(MACHINES) + LENGTH + 2)}
    (line,) = said(caplog, "position lost")
    assert (line["position"], line["goes_on"]) == (before, GONE)


def test_latest_goes_on_with_what_comes_from_now_on(
    make: Make, replayed: Replayed, caplog: pytest.LogCaptureFixture
) -> None:
    service = a_service_that_lost_records(make, "latest")
    with service.worker():
        assert until(lambda: bool(said(caplog, "position lost")), PATIENCE_S)
        service.produce(ROWS[END:LATER])
        last = text_of(LATER // len(MACHINES) - LENGTH)
        assert until(lambda: any(end >= last for _, end, _ in service.scores()), PATIENCE_S)
    between = scored_after(GONE // len(MACHINES), service.scores())
    found = scored_after(END // len(MACHINES), service.scores())
    assert found
    assert found <= set(replayed[0])
    assert not {end for _, end, _ in between - found if end <= text_of(END // len(MACHINES))}
    (line,) = said(caplog, "position lost")
    assert line["goes_on"] == END


def create_anew(service: Service) -> None:
    """Delete the input, and create an empty one of the same name."""
    name = service.topics["input"]
    with KafkaAdminClient(bootstrap_servers=service.bootstrap) as admin:
        admin.delete_topics([name])
        assert until(lambda: name not in admin.list_topics(), PATIENCE_S)
        assert until(lambda: service.position() is None, PATIENCE_S)  # it goes with the topic
        admin.create_topics([NewTopic(name, 1)])


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
def test_an_input_that_was_created_anew_is_read_from_its_first_record(
    make: Make, replayed: Replayed, running: bool
) -> None:
    service = make(kafka={"on_lost_position": "earliest"})
    service.produce(ROWS[:END])

    def goes_on() -> bool:
        return bool(scored_after(END // len(MACHINES), service.scores()))

    with service.worker():
        assert until(lambda: len(service.states()) == len(MACHINES), PATIENCE_S)
        if running:
            create_anew(service)
            service.produce(ROWS[END:LATER])
            assert until(goes_on, PATIENCE_S / 2)
    if not running:
        create_anew(service)
        service.produce(ROWS[END:LATER])
        with service.worker():
            assert until(goes_on, PATIENCE_S / 2)
    assert scored_after(END // len(MACHINES), service.scores()) <= set(replayed[0])


def test_topics_that_are_missing_are_named_once_and_waited_for(
    make: Make,
    unique: Callable[[str], str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stream_ad.service.readiness.LOOK_S", 0.3)
    service = make()
    service.topics["input"] = unique("late")
    with KafkaAdminClient(bootstrap_servers=service.bootstrap) as admin:
        try:
            with service.worker(kafka={"topics": service.topics}) as running:
                time.sleep(2)
                assert "no partition" in (running.shell.health.not_ready() or "")
                (line,) = said(caplog, "waiting for topics")
                assert line["topics"] == [service.topics["input"]]
                admin.create_topics([NewTopic(service.topics["input"], 1)])
                service.produce(ROWS[:SAVED])
                assert until(lambda: len(service.states()) == len(MACHINES), PATIENCE_S)
        finally:
            admin.delete_topics([service.topics["input"]])
    assert len(said(caplog, "waiting for topics")) == 1


def test_a_worker_that_waits_for_topics_ends_when_asked(
    make: Make, unique: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    service = make()
    topics = service.topics | {"alerts": unique("never"), "scores": unique("never")}
    with service.worker(kafka={"topics": topics}):
        assert until(lambda: bool(said(caplog, "waiting for topics")), PATIENCE_S)
    (line,) = said(caplog, "waiting for topics")
    assert line["topics"] == sorted([topics["alerts"], topics["scores"]])


def test_a_worker_that_reaches_no_broker_ends_when_asked(
    make: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "TRY_MS", 500)
    service, event = make(), "looking at the topics"
    with reserve() as held:
        nobody = f"{HOST}:{held.getsockname()[1]}"

        def told() -> int:
            lines = [record.msg for record in caplog.records if record.name == "stream_ad"]
            return sum(event in line["event"] for line in lines if isinstance(line, dict))

        with service.worker(kafka={"bootstrap_servers": [nobody], "retry_backoff_s": 0.1}):
            assert until(lambda: told() > 0, PATIENCE_S)
            time.sleep(2)
            assert told() == 1
            began = time.monotonic()
        assert time.monotonic() - began < 5
