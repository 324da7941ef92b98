"""What the service needs of the brokers, as data: topics with their settings, and rights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Literal

from stream_ad.config import Config
from stream_ad.errors import ConfigError

COPIES = 3  # where nothing else is asked for
DAY_MS = 86_400_000
USUAL_MESSAGE = 1_048_588  # max.message.bytes where nothing else is set
LARGEST = 64 << 20  # what the client sends at most
ENVELOPE = 64 << 10  # key, headers and framing around a value
RESTORED = 16 << 20  # bytes of a state partition that compaction has not seen yet
Role = Literal["input", "alerts", "scores", "dead_letter", "state"]


@dataclass(frozen=True)
class TopicPlan:
    """One topic as it should be.

    Attributes
    ----------
    role : str
        Its key in ``kafka.topics``.
    settings : dict
        By the brokers' names for them.
    rights : list of str
        Operations that the service does on it.
    why : str
        What is in it.
    """

    role: Role
    name: str
    partitions: int
    replication: int
    settings: dict[str, str]
    rights: list[str]
    why: str


@dataclass(frozen=True)
class Right:
    """One operation that the service's user must be allowed; ``prefixed``: on all names so."""

    operation: str
    resource: Literal["topic", "group", "transactional-id"]
    name: str
    prefixed: bool = False


def plan(config: Config, input_partitions: int, replication: int) -> list[TopicPlan]:
    """Return the topics that the service reads and writes, input first.

    Parameters
    ----------
    config : Config
        Names, and the sizes that follow from windows and limits.
    input_partitions : int
        All others have as many: machines stay together, and the states lie beside their input.
    replication : int
        Copies of each record.

    Raises
    ------
    ConfigError
        There is no input, or two topics are one.

    Examples
    --------
    >>> from stream_ad.config import parse_config
    >>> config = parse_config({"kafka": {"topics": {"input": "plant"}}})
    >>> for topic in plan(config, 8, 3):
    ...     print(topic.name, topic.partitions, topic.settings["cleanup.policy"])
    plant 8 delete
    stream-ad.alerts 8 delete
    stream-ad.dead-letters 8 delete
    stream-ad.state 8 compact
    """
    names = config.kafka.topics.model_dump(exclude_none=True)
    if "input" not in names:
        raise ConfigError("kafka.topics.input", None, "the name of the topic to read")
    _refuse_doubles(names)
    return [
        TopicPlan(
            role,
            names[role],
            input_partitions,
            replication,
            settings | {"min.insync.replicas": str(max(1, replication - 1))},
            rights,
            why,
        )
        for role, settings, rights, why in _roles(config)
        if role in names
    ]


def _refuse_doubles(names: dict[str, str]) -> None:
    seen: dict[str, str] = {}
    for key, name in names.items():
        if name in seen:
            allowed = f"a topic of its own; kafka.topics.{seen[name]} is the same"
            raise ConfigError(f"kafka.topics.{key}", name, allowed)
        seen[name] = key


def _roles(config: Config) -> Iterator[tuple[Role, dict[str, str], list[str], str]]:
    yield "input", _kept(7), ["READ"], "records of the machines; key: machine id"
    yield "alerts", _kept(30), ["WRITE"], "incident events; key: machine id"
    yield "scores", _kept(7), ["WRITE"], "one record for each scored window; key: machine id"
    letters = {"max.message.bytes": str(dead_letter_bytes(config))}
    yield "dead_letter", _kept(14) | letters, ["WRITE"], "records that could not be used"
    yield "state", _state_settings(config), ["READ", "WRITE"], "what is known of each machine"


def _kept(days: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(days * DAY_MS)}


def dead_letter_bytes(config: Config) -> int:
    """Return the size of the largest record that is a dead letter uncut, its cause included."""
    record = config.limits.record_bytes
    return max(USUAL_MESSAGE, record + record // 100 + ENVELOPE)  # compression may lengthen


def state_bytes(config: Config) -> int:
    """Return a size that no machine's state record reaches: its open slots and the rest."""
    windows = config.windows
    slots = windows.length + windows.disorder_s / (windows.period_s or 1.0)
    sensors = len(windows.sensors) or config.limits.sensors
    pending = windows.disorder_s / (windows.period_s or 1.0)  # these keep their times as well
    return min(LARGEST, max(USUAL_MESSAGE, ENVELOPE + int(8 * slots + 16 * pending) * sensors))


def _state_settings(config: Config) -> dict[str, str]:
    largest = state_bytes(config)
    # A restart reads a whole partition: what compaction leaves and the segment it cannot touch.
    return {
        "cleanup.policy": "compact",
        "min.cleanable.dirty.ratio": "0.1",
        "segment.bytes": str(max(RESTORED, 2 * largest)),
        "segment.ms": "600000",
        "delete.retention.ms": str(DAY_MS),
        "max.message.bytes": str(largest),
    }


def rights(config: Config, topics: Sequence[TopicPlan]) -> list[Right]:
    """Return the least that the service's user must be allowed.

    Examples
    --------
    >>> from stream_ad.config import parse_config
    >>> rights(parse_config({"kafka": {"group_id": "line-4"}}), [])[1]
    Right(operation='WRITE', resource='transactional-id', name='line-4-', prefixed=True)
    """
    group = config.kafka.group_id
    own = [
        Right("READ", "group", group),
        Right("WRITE", "transactional-id", f"{group}-", prefixed=True),
    ]
    on_topics = [Right(right, "topic", t.name) for t in topics for right in t.rights]
    return [*own, *on_topics]


def table(config: Config, topics: Sequence[TopicPlan]) -> str:
    """Return the plan for a person: a paragraph for each topic, then the rights."""
    lines = []
    for topic in topics:
        size = f"partitions {topic.partitions}  replication {topic.replication}"
        lines += [f"{topic.name}  {topic.why}", f"    {size}  {'  '.join(topic.rights)}"]
        lines += [f"    {key}={value}" for key, value in topic.settings.items()]
    lines.append("rights of the service's user")
    for right in rights(config, topics):
        name = f"{right.name}*" if right.prefixed else right.name
        lines.append(f"    {right.operation:6} {right.resource:17} {name}")
    return "\n".join(lines)


def commands(config: Config, topics: Sequence[TopicPlan]) -> list[str]:
    """Return the same as lines for a shell, with the scripts that come with Apache Kafka."""
    to = f"--bootstrap-server {','.join(config.kafka.bootstrap_servers) or 'BROKER:9092'}"
    if config.kafka.security.protocol != "plaintext":
        to += " --command-config ADMIN.properties"
    return [
        *(f"kafka-topics.sh {to} {_create_options(topic)}" for topic in topics),
        *(f"kafka-acls.sh {to} {_acl_options(config, right)}" for right in rights(config, topics)),
    ]


def _create_options(topic: TopicPlan) -> str:
    settings = " ".join(f"--config {key}={value}" for key, value in topic.settings.items())
    size = f"--partitions {topic.partitions} --replication-factor {topic.replication}"
    return f"--create --if-not-exists --topic {topic.name} {size} {settings}"


def _acl_options(config: Config, right: Right) -> str:
    user = config.kafka.security.username or "stream-ad"
    pattern = " --resource-pattern-type prefixed" if right.prefixed else ""
    on = f"--{right.resource} {quote(right.name)}{pattern}"
    return f"--add --allow-principal {quote(f'User:{user}')} --operation {right.operation} {on}"
