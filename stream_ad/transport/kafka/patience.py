"""Waiting for brokers that are away: told once, without a busy loop, for as long as wanted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from kafka import KafkaAdminClient, KafkaConsumer
from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError

from stream_ad.config import KafkaConfig
from stream_ad.errors import BrokerError
from stream_ad.transport.kafka.failures import Healing, classify, refusal, sentence
from stream_ad.transport.kafka.reasons import reason

T = TypeVar("T")
Client = TypeVar("Client", KafkaConsumer, KafkaAdminClient)
LONGEST_PAUSE_S = 30.0


def patiently(
    make: Callable[[], T],
    what: str,
    config: KafkaConfig,
    *,
    until: Callable[[], bool] = lambda: False,
    log: Callable[[str], None],
) -> T:
    """Make a client, or anything else that needs brokers, however long they are away.

    Pauses double from ``kafka.retry_backoff_s`` up to 30 s. An outage is told once, and its end.

    Parameters
    ----------
    make : callable
        Tried again after each failure that can heal; closes what it leaves unfinished.
    what : str
        For the log: who cannot do what it wants.
    config : KafkaConfig
        Addresses and first pause.
    until : callable
        Looked at several times a second in the pauses; True gives up, and it may raise.
    log : callable
        Takes the two sentences.

    Returns
    -------
    object
        What ``make`` returned.

    Raises
    ------
    BrokerError
        It would never work (`Healing.FATAL_CONFIG`), or ``until`` said to give up.
    """
    pause, told = config.retry_backoff_s, False
    where = ",".join(config.bootstrap_servers)
    while True:
        began = time.monotonic()
        try:
            made = make()
        except KafkaError as error:
            if classify(error) is Healing.FATAL_CONFIG:
                raise refusal(error) from error
            said = f"{what}: {_trouble(where, began, error)}"
            if until():
                raise BrokerError(said) from error
            if not told:
                log(f"{said}; trying again")
            told = True
        else:
            if told:
                log(f"{what}: {where} answers again")
            return made
        if _paused(pause, until):
            raise BrokerError(said)
        pause = min(2 * pause, LONGEST_PAUSE_S)


@contextmanager
def once(make: Callable[[], Client], what: str, config: KafkaConfig) -> Iterator[Client]:
    """Make a client for a command, which gives up when no broker answers, and close it.

    Raises
    ------
    BrokerError
        No broker answers within some seconds, or the client fails in between.
    """
    client = patiently(make, what, config, until=lambda: True, log=lambda _: None)
    try:
        yield client
    except KafkaError as error:
        raise refusal(error) from error
    finally:
        client.close()


def _trouble(where: str, began: float, error: KafkaError) -> str:
    """Say that brokers cannot be reached, or what they answered."""
    # all that a constructor says in the one case; the cause stands in the library's log at most
    away = isinstance(error, KafkaTimeoutError | KafkaConnectionError)
    why = reason(since=began) if away else None
    if why is None and not _is_bootstrap(error):
        return f"no success with {where}: {sentence(error)}"
    return f"cannot reach {where}: {why or 'unreachable, or it refuses these credentials'}"


def _is_bootstrap(error: KafkaError) -> bool:
    return isinstance(error, KafkaTimeoutError) and "bootstrap" in str(error)


def _paused(seconds: float, until: Callable[[], bool]) -> bool:
    """Pause; return whether to give up."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if until():
            return True
        time.sleep(min(0.2, left))
    return until()
