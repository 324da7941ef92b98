"""Whoever speaks, a line is one JSON object, bounded, without secrets, and not a flood."""

from __future__ import annotations

import io
import json
import logging
import math
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from stream_ad.config import SecurityConfig
from stream_ad.service import logs

PASSWORD = 'pa"ss\nwörd'


class Lines:
    """What was logged since the last look."""

    def __init__(self, stream: io.StringIO) -> None:
        self.stream = stream

    def __call__(self) -> list[dict[str, Any]]:
        found = [json.loads(line, parse_constant=_no_json) for line in self.text().splitlines()]
        self.stream.seek(0)
        self.stream.truncate()
        return found

    def text(self) -> str:
        return self.stream.getvalue()


def _no_json(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


@pytest.fixture(params=[3])
def lines(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """Configure the log of slot 3; all is as before afterwards."""
    root = logging.getLogger()
    handlers, level, hook = root.handlers[:], root.level, threading.excepthook
    monkeypatch.setattr(logs, "_secrets", set())
    stream = io.StringIO()
    logs.configure(request.param, stream)
    yield Lines(stream)
    logging.captureWarnings(False)
    root.handlers[:], threading.excepthook = handlers, hook
    root.setLevel(level)


def test_our_line_has_time_level_event_slot_and_fields_in_order(lines: Lines) -> None:
    logs.get().info("partitions assigned", partitions=[0, 1], seconds=0.5)
    (line,) = lines()
    assert list(line) == ["timestamp", "level", "event", "partitions", "seconds", "slot"]
    assert line | {"timestamp": ""} == {
        "timestamp": "",
        "level": "info",
        "event": "partitions assigned",
        "partitions": [0, 1],
        "seconds": 0.5,
        "slot": 3,
    }
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("lines", [None], indirect=True)
def test_the_supervisor_has_no_slot(lines: Lines) -> None:
    logs.get().info("worker started")
    assert "slot" not in lines()[0]


def test_a_library_speaks_the_same_way(lines: Lines) -> None:
    logging.getLogger("library.conn").error("node %d\nis gone", 3)
    (line,) = lines()
    assert (line["level"], line["event"], line["logger"], line["slot"]) == (
        "error",
        "node 3\nis gone",
        "library.conn",
        3,
    )


def test_a_traceback_stays_in_its_line(lines: Lines) -> None:
    try:
        raise ValueError("odd")
    except ValueError:
        logging.getLogger("library").exception("it failed")
    (line,) = lines()
    assert line["exception"].splitlines()[-1] == "ValueError: odd"


def test_warnings_and_threads_that_die_speak_the_same_way(
    lines: Lines, recwarn: pytest.WarningsRecorder
) -> None:
    with warnings.catch_warnings():
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.simplefilter("always")
        warnings.warn("old way", stacklevel=1)
    assert "old way" in lines()[0]["event"]

    def die() -> None:
        raise ValueError("of no use")

    thread = threading.Thread(target=die, name="fetcher")
    thread.start()
    thread.join()
    (line,) = lines()
    assert (line["thread"], line["error"]) == ("fetcher", "ValueError: of no use")


def test_a_level_below_info_is_silent(lines: Lines) -> None:
    logs.get().debug("fine")
    logging.getLogger("kafka").debug("password is %s", "hunter2")
    assert lines() == []


def test_fields_named_like_secrets_are_blanked_at_any_depth(lines: Lines) -> None:
    arguments = {"sasl_plain_password": "hunter2", "nested": [{"AUTH_TOKEN": "hunter2"}]}
    logs.get().info("client", arguments=arguments, client_secret="hunter2", password=None)
    assert "hunter2" not in lines.text()
    (line,) = lines()
    assert line["arguments"]["sasl_plain_password"] == line["client_secret"] == "***"
    assert line["password"] is None  # that there is none is no secret


def test_a_hidden_text_reaches_no_line_wherever_it_stands(lines: Lines) -> None:
    logs.hide([PASSWORD, None, ""])
    log = logs.get()
    log.info(f"logging in with {PASSWORD}", reason=[f"<{PASSWORD}>"], **{PASSWORD: PASSWORD})
    log.info("an object", thing=Exception(PASSWORD))
    logging.getLogger("library").error("refused: %s", PASSWORD)
    try:
        raise ValueError(PASSWORD)
    except ValueError:
        log.exception("failed")
    text = lines.text()
    for form in (PASSWORD, json.dumps(PASSWORD)[1:-1], repr(PASSWORD)[1:-1]):
        assert form not in text
    assert text.count("***") >= 6
    assert len(lines()) == 4


def test_the_settings_of_security_show_no_secret(lines: Lines) -> None:
    security = SecurityConfig(protocol="sasl_ssl", username="worker", password=SecretStr("hunter2"))
    logs.get().info("settings", security=security, dump=security.model_dump())
    assert "hunter2" not in lines.text()
    assert "worker" in lines.text()


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.characters(categories=["Cs"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=10,
)


@given(VALUES)
@example([math.nan, -math.inf])
@settings(
    max_examples=40,
    # the first text loads the tables of Unicode, which takes seconds on a busy machine
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
def test_anything_can_be_logged_and_parsed(lines: Lines, value: object) -> None:
    logging.getLogger().handlers[0].filters.clear()  # the same event again and again
    logs.get().info("thing", value=value)
    (line,) = lines()
    assert line["event"] == "thing"


def test_a_hostile_value_cannot_make_a_long_line(lines: Lines) -> None:
    logs.get().info("x" * 10**6, value="begin" + "y" * 10**6 + "end", many=list(range(10**5)))
    assert len(lines.text()) < 10_000
    (line,) = lines()
    assert line["value"].startswith("begin")
    assert line["value"].endswith("end")


def record(name: str, message: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "", 0, message, (), None)


def test_a_flood_is_cut_and_its_size_told_by_the_next_line() -> None:
    now = [0.0]
    repeats = logs.Repeats(clock=lambda: now[0])
    passed = [repeats.filter(record("kafka", "node %d is gone")) for _ in range(100)]
    assert passed == [True] * logs.FOREIGN_BURST + [False] * (100 - logs.FOREIGN_BURST)
    assert repeats.filter(record("kafka", "another thing"))  # each kind for itself
    now[0] += logs.PERIOD_S
    later = record("kafka", "node %d is gone")
    assert repeats.filter(later)
    assert vars(later)["repeats"] == 100 - logs.FOREIGN_BURST
    again = record("kafka", "node %d is gone")
    assert repeats.filter(again)
    assert vars(again)["repeats"] == 0


def test_lines_of_a_trace_all_pass(lines: Lines) -> None:
    many = 3 * logs.OWN_BURST
    for _ in range(many):
        logs.get().info("commit", trace=True)
        logs.get().info("commit")
    assert [line.get("trace") for line in lines()].count(True) == many


def test_a_flood_of_kinds_does_not_grow_the_memory() -> None:
    repeats = logs.Repeats()
    for number in range(logs.MOST_KINDS + 500):
        repeats.filter(record("kafka", f"kind {number}"))
    assert len(repeats._seen) == logs.MOST_KINDS


def test_repeats_show_in_the_line(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "PERIOD_S", 0.2)
    for _ in range(logs.OWN_BURST + 7):
        logs.get().warning("waiting for a broker")
    assert len(lines()) == logs.OWN_BURST
    threading.Event().wait(0.25)
    logs.get().warning("waiting for a broker")
    assert lines()[0]["repeats"] == 7


def test_the_log_is_on_standard_error_by_default(lines: Lines, capsys: Any) -> None:
    logs.configure(0)
    logs.get().info("here")
    assert json.loads(capsys.readouterr().err)["event"] == "here"
    assert sys.stderr is not None
