"""One JSON object per line on standard error, whoever speaks; no secret, no flood.

Everything goes through the handler of the standard library's root logger, so that what
libraries log, warn of or die from in a thread of theirs takes the same form.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any, TextIO, cast

import structlog
from structlog.stdlib import BoundLogger, ProcessorFormatter

OWN = "stream_ad"
SECRET_WORDS = ("password", "passwd", "secret", "token", "credential", "private_key")
TRACE = "trace"  # the field of lines that are counted by who reads them: all of them pass
LONGEST_TEXT, MOST_ITEMS, DEEPEST = 2_000, 100, 5
PERIOD_S, OWN_BURST, FOREIGN_BURST, MOST_KINDS = 10.0, 50, 3, 1_000

Event = MutableMapping[str, Any]

_secrets: set[str] = set()


def get() -> BoundLogger:
    """Return the program's logger: ``get().info("what happened", field=value)``."""
    order: list[Any] = [structlog.stdlib.add_log_level, ProcessorFormatter.wrap_for_formatter]
    return cast(
        BoundLogger,
        structlog.wrap_logger(logging.getLogger(OWN), order, wrapper_class=BoundLogger),
    )


def hide(secrets: Iterable[str | None]) -> None:
    """Keep these texts out of every line from now on, wherever they stand."""
    for secret in filter(None, secrets):
        # as it is, and as it stands in the text of an exception or in JSON within a text
        _secrets.update({secret, repr(secret)[1:-1], json.dumps(secret)[1:-1]})


def configure(slot: int | str | None, stream: TextIO | None = None) -> None:
    """Send everything that is logged in this process to one stream as JSON lines.

    Parameters
    ----------
    slot : int, str or None
        Worker slot, or ``trainer``, in every line; None for the supervisor.
    stream : text stream, optional
        Standard error by default.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_formatter(slot))
    handler.addFilter(Repeats())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    threading.excepthook = _thread_died


def _formatter(slot: int | str | None) -> ProcessorFormatter:
    def facts(_: object, __: str, event: Event) -> Event:
        record = event.get("_record")
        found: Event = {} if slot is None else {"slot": slot}
        if record is not None and record.name != OWN:
            found["logger"] = record.name
        if repeats := getattr(record, "repeats", 0):
            found["repeats"] = repeats
        return {**event, **found}

    return ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_log_level],
        processors=[
            facts,
            ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _without_secrets,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _in_order,
            structlog.processors.JSONRenderer(serializer=json.dumps),
        ],
    )


class Repeats(logging.Filter):
    """Lets few lines of one kind pass in ten seconds and counts the others.

    A kind is the event of our own lines and the unformatted message of others'. The first
    line that passes again carries ``repeats``, the number of those that did not. Our own with
    the field ``trace`` all pass.

    Parameters
    ----------
    clock : callable, optional
        Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._guard = threading.Lock()
        self._seen: OrderedDict[tuple[str, int, str], list[float]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a line may pass."""
        message: Any = record.msg  # of our own lines, the event with its fields
        own = isinstance(message, dict)
        if own and message.get(TRACE):
            return True
        text = str(message["event"] if own else message)[:LONGEST_TEXT]
        with self._guard:
            passes, repeats = self._count(
                (record.name, record.levelno, text), OWN_BURST if own else FOREIGN_BURST
            )
        record.repeats = repeats
        return passes

    def _count(self, kind: tuple[str, int, str], burst: int) -> tuple[bool, int]:
        now, repeats = self._clock(), 0
        since, passed, held = self._seen.pop(kind, [now, 0, 0])
        if now - since >= PERIOD_S or not passed:
            since, passed, held, repeats = now, 0, 0, int(held)
        passes = passed < burst
        self._seen[kind] = [since, passed + passes, held + (not passes)]
        if len(self._seen) > MOST_KINDS:
            self._seen.popitem(last=False)
        return passes, repeats


def _without_secrets(_: object, __: str, event: Event) -> Event:
    return {_text(str(key)): _clean(value, str(key)) for key, value in event.items()}


def _clean(value: object, key: str = "", depth: int = 0) -> object:
    """Return a value as JSON can hold it, bounded, with nothing secret in it."""
    if any(word in key.lower() for word in SECRET_WORDS) and value is not None:
        return "***"
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping) and depth < DEEPEST:
        parts = list(value.items())[:MOST_ITEMS]
        return {_text(str(k)): _clean(v, str(k), depth + 1) for k, v in parts}
    if isinstance(value, list | tuple | set | frozenset) and depth < DEEPEST:
        return [_clean(part, "", depth + 1) for part in list(value)[:MOST_ITEMS]]
    return _text(value if isinstance(value, str) else repr(value))


def _text(text: str) -> str:
    for secret in sorted(_secrets, key=len, reverse=True):  # one may be part of another
        text = text.replace(secret, "***")
    if len(text) <= LONGEST_TEXT:
        return text
    half = LONGEST_TEXT // 2  # of a traceback, the end says most
    return f"{text[:half]} ... {text[-half:]}"


def _in_order(_: object, __: str, event: Event) -> Event:
    first = {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event}
    return {**first, **event}


def _thread_died(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is not SystemExit:
        name = args.thread.name if args.thread is not None else None
        get().error("thread died", thread=name, error=f"{args.exc_type.__name__}: {args.exc_value}")
