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
OF_ONE = frozenset({"labels", "models"})  # partition: few records, in one order
RESTORED = 16 << 20  # bytes of a state partition that compaction has not seen yet
Role = Literal["input", "alerts", "scores", "dead_letter", "state", "labels", "models"]


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
        Operations that workers do on it.
    trains : list of str
        Operations that only the trainer does on it.
    why : str
        What is in it.
    """

    role: Role
    name: str
    partitions: int
    replication: int
    settings: dict[str, str]
    rights: list[str]
    trains: list[str]
    why: str


@dataclass(frozen=True)
class Right:
    """One operation on a resource; ``prefixed``: on all names that begin so.

    ``who`` needs it besides the service itself; empty where that cannot do without.
    """

    operation: str
    resource: Literal["topic", "group", "transactional-id"]
    name: str
    prefixed: bool = False
    who: str = ""


def plan(config: Config, input_partitions: int, replication: int) -> list[TopicPlan]:
    """Return the topics that the service reads and writes, input first.

    Parameters
    ----------
    config : Config
        Names, and the sizes that follow from windows and limits.
    input_partitions : int
        All others have as many: machines stay together, and the states lie beside their input.
        Labels and models have one.
    replication : int
        Copies of each record.

    Raises
    ------
    ConfigError
        There is no input, or a machine's state would not fit into a record.

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
    stream-ad.labels 1 compact
    stream-ad.models 1 compact
    """
    names = config.kafka.topics.model_dump(exclude_none=True)
    if "input" not in names:
        raise ConfigError("kafka.topics.input", None, "the name of the topic to read")
    return [
        TopicPlan(
            role,
            names[role],
            1 if role in OF_ONE else input_partitions,
            replication,
            settings | {"min.insync.replicas": str(max(1, replication - 1))},
            rights,
            trains,
            why,
        )
        for role, settings, rights, trains, why in _roles(config)
        if role in names
    ]


def _roles(config: Config) -> Iterator[tuple[Role, dict[str, str], list[str], list[str], str]]:
    reads, writes = ["READ"], ["WRITE"]
    yield "input", _kept(7), reads, [], "records of the machines; key: machine id"
    yield "alerts", _kept(30), writes, reads, "incident events; key: machine id"
    yield "scores", _kept(7), writes, [], "one record for each scored window; key: machine id"
    letters = {"max.message.bytes": str(dead_letter_bytes(config))}
    yield "dead_letter", _kept(14) | letters, writes, [], "records that could not be used"
    state = "what is known of each machine, and which detector counts since when"
    yield "state", _state_settings(config), [*reads, *writes], [], state
    yield "labels", _newest(), [], reads, "what operators say of incidents; key: incident id"
    yield "models", _newest(), reads, writes, "detectors that were promoted; key: group/promotion"


def _newest() -> dict[str, str]:
    return {"cleanup.policy": "compact", "delete.retention.ms": str(DAY_MS)}


def _kept(days: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(days * DAY_MS)}


def dead_letter_bytes(config: Config) -> int:
    """Return the size of the largest record that is a dead letter uncut, its cause included."""
    record = config.limits.record_bytes
    return max(USUAL_MESSAGE, record + record // 100 + ENVELOPE)  # compression may lengthen


def state_bytes(config: Config) -> int:
    """Return a size that no machine's state record reaches: its open slots and the rest.

    Raises
    ------
    ConfigError
        It may become larger than what the client sends.
    """
    windows = config.windows
    sensors = len(windows.sensors) or config.limits.sensors
    pending = windows.disorder_s / (windows.period_s or 1.0) + 1  # these keep their times as well
    slots = windows.length + pending
    cells = 4 * slots * sensors + 8 * slots + 8 * pending * sensors
    needed = ENVELOPE + int(1.4 * cells)  # base64, and some room
    if needed > LARGEST and windows.sensors:
        allowed = (
            f"less: with {sensors} sensors (windows.sensors) and {pending:.0f} slots of disorder "
            "(windows.disorder_s / windows.period_s) the state of a machine takes "
            f"{needed >> 20} MiB, and a record at most {LARGEST >> 20}"
        )
        raise ConfigError("windows.length", windows.length, allowed)
    return min(LARGEST, max(USUAL_MESSAGE, needed))


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
    """Return the least that the service's user must be allowed, workers and trainer.

    Examples
    --------
    >>> from stream_ad.config import parse_config
    >>> rights(parse_config({"kafka": {"group_id": "line-4"}}), [])[1]
    Right(operation='WRITE', resource='transactional-id', name='line-4-', prefixed=True, who='')
    """
    group = config.kafka.group_id
    own = [
        Right("READ", "group", group),
        Right("WRITE", "transactional-id", f"{group}-", prefixed=True),
        Right("READ", "group", f"{group}-trainer"),
    ]
    on_topics = [Right(right, "topic", t.name) for t in topics for right in (*t.rights, *t.trains)]
    return [*own, *on_topics]


def optional_rights(topics: Sequence[TopicPlan]) -> list[Right]:
    """Return what single commands need besides; without the first, `run` warns at each start.

    Examples
    --------
    >>> from stream_ad.config import parse_config
    >>> config = parse_config({"kafka": {"topics": {"input": "plant"}}})
    >>> for right in optional_rights(plan(config, 8, 3))[-3:]:
    ...     print(right.operation, right.name, "for", right.who)
    READ stream-ad.dead-letters for dlq list
    ALTER stream-ad.state for topics create, where the input grew
    WRITE stream-ad.labels for label
    """
    found = []
    for operation, who in (("DESCRIBE_CONFIGS", "run, topics check"), ("CREATE", "topics create")):
        found += [Right(operation, "topic", topic.name, who=who) for topic in topics]
    of_roles = {
        "dead_letter": ("READ", "dlq list"),
        "state": ("ALTER", "topics create, where the input grew"),
        "labels": ("WRITE", "label"),
    }
    for topic in topics:
        if topic.role in of_roles:
            operation, who = of_roles[topic.role]
            found.append(Right(operation, "topic", topic.name, who=who))
    return found


def table(config: Config, topics: Sequence[TopicPlan]) -> str:
    """Return the plan for a person: a paragraph for each topic, then the rights."""
    lines = []
    for topic in topics:
        size = f"partitions {topic.partitions}  replication {topic.replication}"
        done = "  ".join([*topic.rights, *topic.trains])
        lines += [f"{topic.name}  {topic.why}", f"    {size}  {done}"]
        lines += [f"    {key}={value}" for key, value in topic.settings.items()]
    lines.append("rights of the service's user")
    lines += [f"    {_row(right)}" for right in rights(config, topics)]
    lines.append("rights that only some commands need")
    lines += [f"    {_row(right)}  ({right.who})" for right in optional_rights(topics)]
    return "\n".join(lines)


def _row(right: Right) -> str:
    name = f"{right.name}*" if right.prefixed else right.name
    return f"{right.operation:16} {right.resource:17} {name}"


def commands(config: Config, topics: Sequence[TopicPlan]) -> list[str]:
    """Return the same as lines for a shell, with the scripts that come with Apache Kafka."""
    to = f"--bootstrap-server {','.join(config.kafka.bootstrap_servers) or 'BROKER:9092'}"
    if config.kafka.security.protocol != "plaintext":
        to += " --command-config ADMIN.properties"
    return [
        *(f"kafka-topics.sh {to} {_create_options(topic)}" for topic in topics),
        *(f"kafka-acls.sh {to} {_acl_options(config, right)}" for right in rights(config, topics)),
        *(
            f"kafka-acls.sh {to} {_acl_options(config, right)}  # only for {right.who}"
            for right in optional_rights(topics)
        ),
    ]


def _create_options(topic: TopicPlan) -> str:
    settings = " ".join(f"--config {key}={value}" for key, value in topic.settings.items())
    size = f"--partitions {topic.partitions} --replication-factor {topic.replication}"
    return f"--create --if-not-exists --topic {topic.name} {size} {settings}"


def _acl_options(config: Config, right: Right) -> str:
    user = config.kafka.security.username or "stream-ad"
    pattern = " --resource-pattern-type prefixed" if right.prefixed else ""
    on = f"--{right.resource} {quote(right.name)}{pattern}"
    operation = right.operation.title().replace("_", "")  # as the scripts' own help spells it
    return f"--add --allow-principal {quote(f'User:{user}')} --operation {operation} {on}"
