"""What a worker waits for before it begins: topics, and a detector to score with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from stream_ad.config import Config
from stream_ad.errors import ArtifactNotFound, BrokerError
from stream_ad.service.shell import Shell
from stream_ad.training.registry import Registry
from stream_ad.transport.kafka.clients import admin
from stream_ad.transport.kafka.patience import patiently
from stream_ad.transport.kafka.topic_admin import check, describe
from stream_ad.versions import Version
from stream_ad.windows import WindowSpec

if TYPE_CHECKING:
    from kafka import KafkaAdminClient

T = TypeVar("T")
LOOK_S = 2.0


def await_versions(config: Config, spec: WindowSpec, shell: Shell) -> Sequence[Version]:
    """Return the registry's versions, waiting for the first one.

    Raises
    ------
    ArtifactError
        One of them cannot be trusted.
    Stopped
        The worker shall end.
    """
    assert config.registry.uri is not None
    registry, told = Registry(config.registry.uri), False
    while True:
        shell.go_on()
        try:
            return registry.load(spec, config)
        except ArtifactNotFound as error:
            if not told:
                shell.log.warning("waiting for a detector", reason=str(error))
            told = True
            shell.health.ready(0, model=False, stable=False)
            shell.wait(LOOK_S)


def await_topics(config: Config, shell: Shell) -> None:
    """Wait until every topic is there.

    Raises
    ------
    BrokerError
        One of them may not be seen, and the consumer would wait for its records for ever; or
        `stream-ad topics check` finds an error in one.
    Stopped
        The worker shall end.
    """
    names = config.kafka.topics
    topics = (names.input, names.alerts, names.scores, names.dead_letter, names.state)
    needed = {name for name in topics if name is not None}
    told: set[str] = set()
    shell.health.ready(0, model=True, stable=False)
    while missing := needed - _seen(config, needed, shell):
        if missing != told:
            advice = "`stream-ad topics create` makes them, the input's producer the input"
            shell.log.warning("waiting for topics", topics=sorted(missing), advice=advice)
            told = missing
        shell.wait(LOOK_S)
        shell.go_on()
    _judge(config, shell)


def _seen(config: Config, needed: set[str], shell: Shell) -> set[str]:
    return _asked(config, shell, lambda client: set(describe(client, sorted(needed))))


def _judge(config: Config, shell: Shell) -> None:
    findings = _asked(config, shell, lambda client: check(client, config))
    for finding in findings:
        if finding.level == "warning" or finding.heals:
            shell.log.warning("a topic is not as it should be", finding=str(finding))
    errors = [
        str(finding) for finding in findings if finding.level == "error" and not finding.heals
    ]
    if errors:
        raise BrokerError("; ".join(errors))


def _asked(config: Config, shell: Shell, question: Callable[[KafkaAdminClient], T]) -> T:
    def ask() -> T:
        client = admin(config.kafka)
        try:
            return question(client)
        finally:
            client.close()

    return insistently(ask, "looking at the topics", config, shell)


def insistently(make: Callable[[], T], what: str, config: Config, shell: Shell) -> T:
    """Do what needs brokers, however long they are away; `Stopped` when the worker shall end."""

    def until() -> bool:
        shell.go_on()
        return False

    return patiently(make, what, config.kafka, until=until, log=shell.log.warning)
