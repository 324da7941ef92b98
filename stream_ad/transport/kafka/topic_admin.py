"""Topics as they are: made where they are missing, judged where they differ from the plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import (
    AuthorizationError,
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from stream_ad.config import Config
from stream_ad.errors import BrokerError, ConfigError
from stream_ad.transport.kafka.clients import BATCH_BYTES
from stream_ad.transport.kafka.failures import Healing, classify, refusal, sentence
from stream_ad.transport.kafka.topics import (
    COPIES,
    OF_ONE,
    TopicPlan,
    dead_letter_bytes,
    plan,
    state_bytes,
)

KEPT = {"state": "states", "labels": "labels", "models": "announcements"}  # for good


@dataclass(frozen=True)
class Existing:
    """A topic as the brokers describe it; ``allowed`` is what this user may do with it."""

    partitions: int
    replication: int
    settings: dict[str, str]
    own_settings: frozenset[str]
    allowed: frozenset[str]


@dataclass(frozen=True)
class Finding:
    """What is wrong with a topic; an ``error`` stops the service or loses its data."""

    level: Literal["error", "warning"]
    topic: str
    text: str
    heals: bool = False  # a running service waits for it instead of ending

    def __str__(self) -> str:
        return f"{self.level}: topic {self.topic}: {self.text}"


def describe(
    client: KafkaAdminClient, names: Iterable[str], *, making: bool = False
) -> dict[str, Existing]:
    """Return those of the topics that exist.

    Parameters
    ----------
    client : KafkaAdminClient
    names : iterable of str
    making : bool
        Whether they are to be made: for what is said where this user may not see one.

    Raises
    ------
    BrokerError
        This user may not see one of them.
    KafkaError
        The brokers do not say now.
    """
    wanted = sorted(set(names))
    try:
        found = [topic for topic in client.describe_topics(wanted) if _is_there(topic, making)]
        resources = [ConfigResource(ConfigResourceType.TOPIC, t["name"]) for t in found]
        configs = client.describe_configs(resources, config_filter="all") if resources else {}
    except KafkaError as error:
        if classify(error) is Healing.FATAL_CONFIG:
            raise refusal(error) from error
        raise
    return {t["name"]: _existing(t, configs.get("topic", {}).get(t["name"], {})) for t in found}


def _is_there(topic: dict[str, object], making: bool) -> bool:
    kind = for_code(topic["error_code"])
    if issubclass(kind, AuthorizationError):
        raise refusal(kind(topic["name"]), making=str(topic["name"]) if making else None)
    if kind not in {NoError, UnknownTopicOrPartitionError}:
        raise kind(topic["name"])
    return kind is NoError


def _existing(topic: dict[str, object], configs: dict[str, dict[str, str]]) -> Existing:
    partitions = topic["partitions"]
    assert isinstance(partitions, list)
    allowed = topic.get("authorized_operations") or []
    assert isinstance(allowed, list)
    sources = {key: entry["config_source"] for key, entry in configs.items()}
    own = {key for key, source in sources.items() if source == "DYNAMIC_TOPIC_CONFIG"}
    return Existing(
        partitions=len(partitions),
        replication=min((len(p["replica_nodes"]) for p in partitions), default=0),
        settings={key: entry["value"] for key, entry in configs.items()},
        own_settings=frozenset(own),
        allowed=frozenset(getattr(operation, "name", str(operation)) for operation in allowed),
    )


def copies(client: KafkaAdminClient) -> int:
    """Return how many copies topics get where nobody says: 3, or as many as there are brokers."""
    return min(COPIES, len(client.describe_cluster()["brokers"]))


def require_input(
    client: KafkaAdminClient,
    config: Config,
    *,
    otherwise: int | None = None,
    making: bool = False,
) -> int:
    """Return the partition count of the input.

    Parameters
    ----------
    client : KafkaAdminClient
        Asked for it.
    config : Config
        Names it.
    otherwise : int, optional
        What to return where it does not exist.
    making : bool
        As `describe`.

    Raises
    ------
    ConfigError
        The config names none.
    BrokerError
        It does not exist.
    """
    name = config.kafka.topics.input
    if name is None:
        raise ConfigError("kafka.topics.input", None, "the name of the topic to read")
    found = describe(client, [name], making=making).get(name)
    if found is not None:
        return found.partitions
    if otherwise is None:
        how = "--partitions says how many it shall have"
        raise BrokerError(f"the input, topic {name}, does not exist or may not be seen: {how}")
    return otherwise


def create(client: KafkaAdminClient, topics: Sequence[TopicPlan]) -> Iterator[str]:
    """Make the topics that are missing, and lengthen the state topic where the input grew.

    Nothing else is changed and nothing is deleted. Yields a sentence for each thing done.

    Raises
    ------
    BrokerError
        The brokers refuse it.
    """
    there = describe(client, (topic.name for topic in topics), making=True)
    for topic in topics:
        old = there.get(topic.name)
        if old is None:
            _create(client, topic)
            yield f"created {topic.name}: {topic.partitions} partitions, {_copies(topic)}"
        elif topic.role == "state" and old.partitions < topic.partitions:
            _grow(client, topic)
            yield f"{topic.name}: {topic.partitions} partitions instead of {old.partitions}"


def _copies(topic: TopicPlan) -> str:
    return "1 copy" if topic.replication == 1 else f"{topic.replication} copies"


def _create(client: KafkaAdminClient, topic: TopicPlan) -> None:
    wanted = {
        "num_partitions": topic.partitions,
        "replication_factor": topic.replication,
        "configs": topic.settings,
    }
    try:
        client.create_topics({topic.name: wanted}, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        return  # another command was faster
    except AuthorizationError as error:
        raise refusal(error, making=topic.name) from error
    except KafkaError as error:
        raise BrokerError(f"topic {topic.name} was not created: {sentence(error)}") from error


def _grow(client: KafkaAdminClient, topic: TopicPlan) -> None:
    try:
        client.create_partitions({topic.name: topic.partitions})
    except KafkaError as error:
        raise BrokerError(f"topic {topic.name} did not grow: {sentence(error)}") from error


def check(client: KafkaAdminClient, config: Config) -> list[Finding]:
    """Compare the topics with what the service needs; an empty list is all well.

    Only what can do harm is a finding: other retention times and more copies are not.

    Raises
    ------
    BrokerError
        The brokers do not describe the topics.
    """
    there = describe(client, config.kafka.topics.model_dump(exclude_none=True).values())
    own_input = there.get(config.kafka.topics.input or "")
    topics = plan(config, own_input.partitions if own_input else 1, 1)
    findings: list[Finding] = []
    for topic in topics:
        existing = there.get(topic.name)
        if existing is None:
            how = "create it" if topic.role == "input" else "`stream-ad topics create` makes it"
            # scoring can do without new detectors, and an older service had none of the two
            later = topic.role in OF_ONE
            findings.append(Finding("error", topic.name, f"does not exist: {how}", heals=later))
        else:
            findings += _judge(config, topic, existing, known_input=own_input is not None)
    return findings


def _judge(
    config: Config, topic: TopicPlan, there: Existing, *, known_input: bool
) -> Iterator[Finding]:
    for level, text in _rights(topic, there):
        yield Finding(level, topic.name, text)
    if (topic.role == "state" and known_input) or topic.role in OF_ONE:
        for level, text in _partitions(topic, there):
            yield Finding(level, topic.name, text, heals=True)
    if not there.settings:
        text = "its settings cannot be seen: this user lacks DESCRIBE_CONFIGS"
        yield Finding("warning", topic.name, text)
        return
    for level, text in (*_cleanup(topic, there), *_sizes(config, topic, there), *_copies_of(there)):
        yield Finding(level, topic.name, text)
    if topic.role == "input":
        yield from _kept_long_enough(config, topic, there)
    elif not there.own_settings:
        text = "none of its settings is its own: it may have been created by itself"
        yield Finding("warning", topic.name, text)


Judged = Iterator[tuple[Literal["error", "warning"], str]]


def _rights(topic: TopicPlan, there: Existing) -> Judged:
    for right in topic.rights:
        if there.allowed and right not in there.allowed and "ALL" not in there.allowed:
            yield "error", f"this user lacks {right}"
    for right in topic.trains:
        if there.allowed and right not in there.allowed and "ALL" not in there.allowed:
            yield "warning", f"this user lacks {right}, without which it trains nothing"


def _partitions(topic: TopicPlan, there: Existing) -> Judged:
    if topic.role in OF_ONE:
        if there.partitions > 1:
            yield "warning", f"{there.partitions} partitions, of which only the first is used"
    elif there.partitions < topic.partitions:
        has = f"{there.partitions} partitions and the input {topic.partitions}"
        yield "error", f"{has}: `stream-ad topics create` adds what is missing"
    elif there.partitions > topic.partitions:
        yield "warning", f"more partitions ({there.partitions}) than the input ({topic.partitions})"


def _cleanup(topic: TopicPlan, there: Existing) -> Judged:
    wanted, is_set = topic.settings["cleanup.policy"], there.settings["cleanup.policy"]
    if is_set != wanted:
        loses = f"old {KEPT.get(topic.role, 'records of a machine')} vanish"
        yield "error", f"cleanup.policy is {is_set} and has to be {wanted}, or {loses}"


def _sizes(config: Config, topic: TopicPlan, there: Existing) -> Judged:
    largest = int(there.settings["max.message.bytes"])
    if topic.role != "input" and largest < 2 * BATCH_BYTES:
        yield "error", f"max.message.bytes is {largest}; the client needs {2 * BATCH_BYTES}"
    elif topic.role == "state" and largest < state_bytes(config):
        yield "error", f"max.message.bytes is {largest}; states need {state_bytes(config)}"
    elif topic.role == "dead_letter" and largest < dead_letter_bytes(config):
        needs = f"whole records need {dead_letter_bytes(config)}"
        yield "warning", f"max.message.bytes is {largest}; {needs}, others are cut to 64 kB"


def _copies_of(there: Existing) -> Judged:
    copies, in_sync = there.replication, int(there.settings["min.insync.replicas"])
    if copies == 1:
        yield "warning", "one copy: it is gone with its broker"
    elif in_sync >= copies:
        yield "warning", f"min.insync.replicas is {in_sync} of {copies}: no broker may be away"
    elif in_sync == 1:
        yield "warning", "min.insync.replicas is 1: what one broker alone acknowledged may be lost"
    if in_sync > copies:
        yield "error", f"min.insync.replicas is {in_sync} and there are {copies}: no write succeeds"


def _kept_long_enough(config: Config, topic: TopicPlan, there: Existing) -> Iterator[Finding]:
    windows = config.windows
    open_s = windows.length * (windows.period_s or 0.0) + windows.disorder_s
    needed_ms = (open_s + config.kafka.checkpoint_s) * 1000
    kept_ms = int(there.settings["retention.ms"])
    if 0 <= kept_ms < needed_ms:
        text = f"retention.ms is {kept_ms}; an open window needs {needed_ms:.0f}, an outage more"
        yield Finding("error", topic.name, text)
