"""What a worker waits for before it begins: topics, and a detector to score with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from stream_ad.config import Config
from stream_ad.errors import (
    ArtifactError,
    ArtifactNotFound,
    BrokerError,
    RegistryError,
)
from stream_ad.service.shell import Shell
from stream_ad.training.promotions import Promotion, loadable
from stream_ad.training.registry import DEFAULT_GROUP, Registry
from stream_ad.transport.kafka.clients import admin
from stream_ad.transport.kafka.patience import patiently
from stream_ad.transport.kafka.topic_admin import check, describe
from stream_ad.versions import Version
from stream_ad.windows import WindowSpec

if TYPE_CHECKING:
    from kafka import KafkaAdminClient

T = TypeVar("T")
LOOK_S = 2.0


def await_versions(
    registry: Registry, config: Config, spec: WindowSpec, shell: Shell
) -> Sequence[Version]:
    """Return what the registry holds that can score, waiting for the first one of any group.

    One that cannot be loaded now is left to whoever follows the registry; the others score.

    Raises
    ------
    ArtifactError
        There is no other, and it cannot be trusted.
    Stopped
        The worker shall end.
    """
    told: str | None = None
    while True:
        shell.go_on()
        try:
            return _of_all_groups(registry, config, spec, shell)
        except (ArtifactNotFound, RegistryError) as error:
            if str(error) != told:
                shell.log.warning("waiting for a detector", reason=str(error))
            told = str(error)
            shell.health.ready(0, model=False, stable=False)
            shell.wait(LOOK_S)


def _of_all_groups(
    registry: Registry, config: Config, spec: WindowSpec, shell: Shell
) -> list[Version]:
    found: list[Version] = []
    lacking: ArtifactNotFound | None = None
    for group in (DEFAULT_GROUP, *config.groups):
        try:
            found += _of_group(registry, config.of_group(group), spec, shell, group)
        except ArtifactNotFound as error:
            lacking = lacking or error
    if lacking is not None and not found:
        raise lacking
    return found


def _of_group(
    registry: Registry, config: Config, spec: WindowSpec, shell: Shell, group: str
) -> list[Version]:
    try:
        return registry.load(spec, config, group)
    except ArtifactError as error:
        found: list[Version] = []
        made = registry.promotions(group)
        for promotion in loadable(made, {*registry.numbers(group), *_newest(made)}):
            shell.turn()
            with suppress(ArtifactError):
                found.append(registry.version(promotion, spec, config))
        if not found:
            raise
        shell.metrics.load_failed()
        shell.log.warning("a promoted detector cannot be loaded: others score", reason=str(error))
        return found


def _newest(made: Sequence[Promotion]) -> set[int]:
    """Return the version that should score, whether it is there or not."""
    return {one.version for one in made[-1:]}


def await_topics(config: Config, shell: Shell, also: Sequence[str] = ()) -> None:
    """Wait until every topic is there.

    Parameters
    ----------
    config : Config
    shell : Shell
    also : sequence of str
        Topics that workers begin without.

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
    needed = {name for name in (*topics, *also) if name is not None}
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
