"""What a worker waits for before it begins: topics, and a detector to score with."""

from __future__ import annotations

from collections.abc import Sequence

from stream_ad.config import Config
from stream_ad.errors import ArtifactNotFound
from stream_ad.service.shell import Shell
from stream_ad.training.registry import Registry
from stream_ad.transport.kafka.clients import patiently, reader
from stream_ad.versions import Version
from stream_ad.windows import WindowSpec

LOOK_S = 2.0


def await_versions(config: Config, spec: WindowSpec, shell: Shell) -> Sequence[Version]:
    """Return the registry's versions, waiting for the first one; none when asked to stop.

    Raises
    ------
    ArtifactError
        One of them cannot be trusted.
    """
    assert config.registry.uri is not None
    registry, told = Registry(config.registry.uri), False
    while not shell.stopping:
        shell.turn()
        try:
            return registry.load(spec, config)
        except ArtifactNotFound as error:
            if not told:
                shell.log.warning("waiting for a detector", reason=str(error))
            told = True
            shell.health.ready(0, model=False, stable=False)
            shell.wait(LOOK_S)
    return []


def await_topics(config: Config, shell: Shell) -> bool:
    """Wait until every topic is there; return False when asked to stop."""
    names = config.kafka.topics
    needed = {names.input, names.alerts, names.scores, names.dead_letter, names.state} - {None}
    told: set[str | None] = set()
    consumer = patiently(
        lambda: reader(config.kafka),
        "looking for the topics",
        config.kafka,
        until=lambda: _turned(shell),
        log=shell.log.warning,
    )
    try:
        while not shell.stopping:
            shell.turn()
            missing = needed - consumer.topics()
            if not missing:
                return True
            if missing != told:
                advice = "`stream-ad topics create` makes them, the input's producer the input"
                shell.log.warning("waiting for topics", topics=sorted(missing), advice=advice)
                told = missing
            shell.wait(LOOK_S)
        return False
    finally:
        consumer.close(timeout_ms=1_000)


def _turned(shell: Shell) -> bool:
    shell.turn()
    return shell.stopping
