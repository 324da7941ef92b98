"""Credentials: they carry a whole transaction, they are refused in one line, they never show."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Iterator
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    NewTopic,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)
from kafka.errors import KafkaError, NoOffsetForPartitionError
from kafka.structs import OffsetAndMetadata

from stream_ad.config import Config, KafkaConfig, SecurityConfig, load_config, parse_config
from stream_ad.errors import BrokerError, ConfigError
from stream_ad.transport.kafka import clients, dead_letters, topic_admin, topics
from stream_ad.transport.kafka.failures import Healing, classify, refusal
from stream_ad.transport.kafka.membership import Group
from stream_ad.transport.kafka.security import client_arguments
from tests.kafka.clients import committed, write
from tests.kafka_cluster import Runtime
from tests.kafka_cluster.certificates import Authority
from tests.kafka_cluster.secured import SecuredBroker
from tests.kafka_cluster.waiting import until

PASSWORD, KEY_PASSWORD, WRONG = "w0rker-s3cret", "k3y-s3cret", "wr0ng-s3cret"
Refused = Callable[[dict[str, str]], tuple[str, list[str]]]
Environ = dict[str, str]
LEFT = "ignore:unclosed <ssl.SSLSocket:ResourceWarning"  # by the library, of refused connections
pytestmark = pytest.mark.filterwarnings(LEFT)


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect such connections before the filter ends."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def broker(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    folder = tmp_path_factory.mktemp("secured")
    users = {"worker": PASSWORD, "stranger": PASSWORD}
    with SecuredBroker(runtime, folder, users) as secured:
        yield secured


@pytest.fixture(scope="module")
def mutual(broker: SecuredBroker) -> dict[str, str]:
    """Give the settings of a worker with a certificate, whose key is encrypted."""
    pair = broker.authority.sign("worker", "DNS:worker", KEY_PASSWORD)
    return {
        "bootstrap_servers": broker.mtls,
        "security.protocol": "ssl",
        "security.ca_file": str(broker.authority.file),
        "security.cert_file": str(pair.certificate),
        "security.key_file": str(pair.key),
        "security.key_password": KEY_PASSWORD,
    }


def scram(broker: SecuredBroker, **other: str) -> dict[str, str]:
    """Give the settings of a worker with a password."""
    return {
        "bootstrap_servers": broker.scram,
        "security.protocol": "sasl_ssl",
        "security.username": "worker",
        "security.password": PASSWORD,
        "security.ca_file": str(broker.authority.file),
    } | {f"security.{key}": value for key, value in other.items()}


def configured(settings: dict[str, str], group: str = "stream-ad", **names: str) -> Config:
    """Load settings as a deployment gives them: all through the environment."""
    own = {"group_id": group, "instance": "here"} | settings
    own |= {f"topics.{role}": name for role, name in names.items()}
    environ = {f"STREAM_AD__KAFKA__{k.upper().replace('.', '__')}": v for k, v in own.items()}
    return load_config(None, environ)


@pytest.fixture
def names(broker: SecuredBroker, unique: Callable[[str], str]) -> dict[str, str]:
    """Make topics on the secured broker, one record in the input; give their names by role."""
    roles = ("input", "alerts", "dead_letter", "state")
    made = {role: unique(role) for role in roles}
    with KafkaAdminClient(bootstrap_servers=broker.open) as client:
        client.create_topics([NewTopic(name, 1, 1) for name in made.values()])
    write(broker.open, made["input"], [b"reading"])
    return made


KINDS = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional-id": ResourceType.TRANSACTIONAL_ID,
}


def allow(broker: SecuredBroker, rights: list[topics.Right], user: str = "worker") -> None:
    acls = []
    for right in rights:
        pattern = ACLResourcePatternType[("LITERAL", "PREFIXED")[right.prefixed]]
        what = ResourcePattern(KINDS[right.resource], right.name, pattern)
        operation = ACLOperation[right.operation]
        acls.append(ACL(f"User:{user}", "*", operation, ACLPermissionType.ALLOW, what))
    with KafkaAdminClient(bootstrap_servers=broker.open) as client:
        assert client.create_acls(acls)["failed"] == []


def withdraw(broker: SecuredBroker, right: topics.Right, user: str = "worker") -> None:
    what = ResourcePatternFilter(KINDS[right.resource], right.name, ACLResourcePatternType.LITERAL)
    operation = ACLOperation[right.operation]
    acl = ACLFilter(f"User:{user}", "*", operation, ACLPermissionType.ALLOW, what)
    with KafkaAdminClient(bootstrap_servers=broker.open) as client:
        ((_, found, _),) = client.delete_acls([acl])
    assert len(found) == 1


def planned(config: Config) -> list[topics.Right]:
    return topics.rights(config, topics.plan(config, 1, 1))


def whole_transaction(config: KafkaConfig) -> None:
    """Read a record, write an alert, a dead letter and a state, and commit the position."""
    producer = clients.transactional_producer(config, 0)
    consumer = clients.group_consumer(config, 0)
    try:
        producer.init_transactions()
        assert config.topics.input is not None
        consumer.subscribe([config.topics.input])
        records: dict[TopicPartition, list[Any]] = {}
        for _ in range(120):
            try:
                records = consumer.poll(500)
            except NoOffsetForPartitionError:
                consumer.seek_to_beginning()
            if records:
                break
        member = consumer.group_metadata()
        ((place, (record,)),) = records.items()
        producer.begin_transaction()
        outputs = (config.topics.alerts, config.topics.dead_letter, config.topics.state)
        sent = [producer.send(topic, record.value, key=b"m", partition=0) for topic in outputs]
        producer.flush(timeout=20)
        for future in sent:
            future.get(timeout=0)
        offsets = {place: OffsetAndMetadata(record.offset + 1, "", -1)}
        producer.send_offsets_to_transaction(offsets, member)
        producer.commit_transaction()
        assert consumer.committed(place) == record.offset + 1
    finally:
        consumer.close()
        producer.close(timeout=5)


@pytest.mark.parametrize("way", ["scram", "mutual"])
def test_the_planned_rights_and_credentials_carry_a_whole_transaction(
    way: str,
    broker: SecuredBroker,
    mutual: dict[str, str],
    names: dict[str, str],
    unique: Callable[[str], str],
) -> None:
    settings = mutual if way == "mutual" else scram(broker)
    config = configured(settings, unique("group"), **names)
    allow(broker, planned(config))
    whole_transaction(config.kafka)
    assert committed(broker.open, names["alerts"]) == [b"reading"]
    assert committed(broker.open, names["state"]) == [b"reading"]


def test_a_password_may_lie_in_a_file(
    broker: SecuredBroker, names: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    settings = scram(broker, password_file=str(file))
    del settings["security.password"]
    config = configured(settings, **names)
    allow(broker, planned(config))
    with clients.once(lambda: clients.admin(config.kafka), "test", config.kafka) as client:
        assert names["input"] in client.list_topics()


@pytest.fixture
def root_log() -> Iterator[list[logging.LogRecord]]:
    """Collect what reaches the program's log, of all levels."""
    heard = BufferingHandler(100_000)
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(heard)
    yield heard.buffer
    root.removeHandler(heard)
    root.setLevel(level)


@pytest.fixture
def refused(root_log: list[logging.LogRecord], monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Fail to connect twice; give the error and the lines that were logged."""
    monkeypatch.setattr(clients, "TRY_MS", 2_000)

    def refuse(settings: dict[str, str]) -> tuple[str, list[str]]:
        config = configured(settings)
        said: list[str] = []
        end = time.monotonic() + 2.3
        with pytest.raises(BrokerError) as caught:
            clients.patiently(
                lambda: clients.reader(config.kafka),
                "worker 0",
                config.kafka,
                until=lambda: time.monotonic() > end,
                log=said.append,
            )
        shown = [str(caught.value), repr(caught.value), *said]
        shown += [repr(config), config.model_dump_json(), str(config.model_dump())]
        for secret in (PASSWORD, KEY_PASSWORD, WRONG):
            assert not [text for text in shown if secret in text]
        assert root_log == []
        return str(caught.value), said

    return refuse


@pytest.mark.parametrize("wrong", [{"password": WRONG}, {"username": "nobody"}])
def test_wrong_credentials_give_one_clear_line_and_no_secret(
    wrong: dict[str, str], broker: SecuredBroker, refused: Refused
) -> None:
    error, said = refused(scram(broker, **wrong))
    assert f"worker 0: cannot reach {broker.scram}" in error
    assert "it refuses the credentials" in error or "as on a wrong password" in error
    assert said == [f"{error}; trying again"]


def test_an_unknown_authority_is_named(
    broker: SecuredBroker, tmp_path: Path, refused: Refused
) -> None:
    other = Authority(tmp_path, "other")
    error, _ = refused(scram(broker, ca_file=str(other.file)))
    assert "kafka.security.ca_file did not sign its certificate" in error


def test_a_broker_whose_certificate_names_another_host_is_refused(
    broker: SecuredBroker, refused: Refused
) -> None:
    settings = scram(broker) | {"bootstrap_servers": broker.scram.replace("127.0.0.1", "localhost")}
    error, _ = refused(settings)
    assert "its certificate names another host" in error


def test_a_client_without_a_certificate_is_refused(
    broker: SecuredBroker, mutual: dict[str, str], refused: Refused
) -> None:
    bare = {
        key: value
        for key, value in mutual.items()
        if key not in {"security.cert_file", "security.key_file", "security.key_password"}
    }
    error, _ = refused(bare)
    assert "certificate" in error


LACKS = {
    "input": ("topic", "READ on what is read"),
    "alerts": ("topic", "WRITE on what is written"),
    "state": ("topic", "WRITE on what is written"),
    "group": ("group", "READ on the consumer group"),
    "transactional-id": ("transactional-id", "WRITE on the transactional ids"),
}


@pytest.mark.parametrize("lacking", LACKS)
def test_a_missing_right_is_said_and_never_healed(
    lacking: str, broker: SecuredBroker, names: dict[str, str], unique: Callable[[str], str]
) -> None:
    kind, words = LACKS[lacking]
    user = {"username": "stranger"}
    config = configured(scram(broker, **user), unique("group"), **names)
    subject = names.get(lacking)
    granted = [
        right
        for right in planned(config)
        if right.resource != kind or (subject is not None and right.name != subject)
    ]
    if subject is not None:
        granted.append(topics.Right("DESCRIBE", "topic", subject))
    allow(broker, granted, "stranger")
    with pytest.raises(KafkaError) as caught:
        whole_transaction(config.kafka)
    assert classify(caught.value) is Healing.FATAL_CONFIG
    said = str(refusal(caught.value))
    assert words in said
    assert "stream-ad topics plan" in said
    assert "\n" not in said


def test_a_topic_that_may_not_even_be_seen_is_not_one_that_is_missing(
    broker: SecuredBroker, names: dict[str, str]
) -> None:
    config = configured(scram(broker, username="stranger"), **names).kafka
    with (
        clients.once(lambda: clients.admin(config), "test", config) as client,
        pytest.raises(BrokerError, match=rf"may not use topic {names['input']}: READ"),
    ):
        topic_admin.describe(client, [names["input"]])


def test_who_may_not_make_a_topic_is_told_the_right_for_that(
    broker: SecuredBroker, unique: Callable[[str], str]
) -> None:
    roles = ("input", "alerts", "dead_letter", "state")
    new = {role: unique(role) for role in roles}
    config = configured(scram(broker, username="stranger"), **new)
    plan = topics.plan(config, 1, 1)
    with clients.once(lambda: clients.admin(config.kafka), "test", config.kafka) as client:
        for _ in range(2):
            with pytest.raises(BrokerError, match=r"cannot be made.*lacks CREATE") as caught:
                list(topic_admin.create(client, plan))
            assert "READ on" not in str(caught.value)
            allow(broker, planned(config), "stranger")  # to use it, it may now be seen too
            time.sleep(1)


def test_the_optional_rights_are_those_that_commands_need(
    broker: SecuredBroker, unique: Callable[[str], str]
) -> None:
    roles = ("input", "alerts", "dead_letter", "state", "labels", "models")
    new = {role: unique(role) for role in roles}
    config = configured(scram(broker, username="stranger"), unique("group"), **new)
    plan = topics.plan(config, 1, 1)
    allow(broker, [*planned(config), *topics.optional_rights(plan)], "stranger")
    time.sleep(1)
    with clients.once(lambda: clients.admin(config.kafka), "test", config.kafka) as client:
        assert len(list(topic_admin.create(client, plan))) == len(roles)
        list(topic_admin.create(client, topics.plan(config, 2, 1)))
        findings = topic_admin.check(client, config)
    assert not any("DESCRIBE_CONFIGS" in str(finding) for finding in findings)
    with clients.once(lambda: clients.reader(config.kafka), "test", config.kafka) as consumer:
        assert dead_letters.newest(consumer, new["dead_letter"], 5) == []


@pytest.mark.parametrize("kind", ["topic", "group"])
def test_a_right_that_is_withdrawn_ends_a_member_that_only_reads(
    kind: str, broker: SecuredBroker, names: dict[str, str], unique: Callable[[str], str]
) -> None:
    settings = scram(broker) | {"session_timeout_s": "3"}
    config = configured(settings, unique("group"), **names)
    allow(broker, planned(config))
    group = Group(lambda: clients.group_consumer(config.kafka, 0), names["input"], 3)
    try:
        assert until(lambda: bool(group.poll().new), 30)
        group.seek(0, 0)
        read = next(r for r in planned(config) if (r.resource, r.operation) == (kind, "READ"))
        withdraw(broker, read)
        said = "READ on" if kind == "topic" else f"READ on the consumer group {read.name}"
        with pytest.raises(BrokerError, match=said):
            until(lambda: bool(group.poll().gone), 30)
    finally:
        group.close()


def test_check_names_rights_that_this_user_lacks(
    broker: SecuredBroker, names: dict[str, str], unique: Callable[[str], str]
) -> None:
    config = configured(scram(broker, username="stranger"), unique("group"), **names)
    some = [right for right in planned(config) if right.name != names["state"]]
    state = topics.Right("READ", "topic", names["state"])
    allow(broker, [*some, state], "stranger")
    with clients.once(lambda: clients.admin(config.kafka), "test", config.kafka) as client:
        said = [str(finding) for finding in topic_admin.check(client, config)]
    assert f"error: topic {names['state']}: this user lacks WRITE" in said


def refusal_of(environ: Environ, file: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(file, environ)
    return f"{caught.value} {caught.value!r} {caught.value.value!r} {caught.value.__cause__!r}"


SECURITY = "STREAM_AD__KAFKA__SECURITY__"


@pytest.mark.parametrize(
    "environ",
    [
        {f"{SECURITY}PASSWORD": PASSWORD, f"{SECURITY}PASSWORD_FILE": "x"},
        {f"{SECURITY}PASSWORD": PASSWORD, f"{SECURITY}PROTOCOL": "tls"},
        {f"{SECURITY}PASSWORD": PASSWORD, f"{SECURITY}PROTOCOL": "sasl_ssl"},
        {f"{SECURITY}PASWORD": PASSWORD},
        {f"{SECURITY}PASSWORD__X": PASSWORD},
        {f"{SECURITY}SECRET": f"[{PASSWORD}"},
        {"STREAM_AD__KAFKA__SECURTY__PASSWORD": PASSWORD},
        {"STREAM_AD__KAFKA__SECURITY": f"{{pasword: {PASSWORD}}}"},
        {"STREAM_AD__KAFKA__SECURITY": PASSWORD},
        {"STREAM_AD__KAFFKA__SECURITY__PASSWORD": PASSWORD},
        {"STREAM_AD_KAFKA__SECURITY__PASSWORD": PASSWORD},
        {"STREAM_AD__KAFKA__SECURITY": PASSWORD, f"{SECURITY}USERNAME": "worker"},
    ],
)
def test_no_error_shows_a_secret_of_the_environment(environ: Environ) -> None:
    assert PASSWORD not in refusal_of(environ)


@pytest.mark.parametrize(
    "text",
    [
        f"kafka: {{security: {{password: {PASSWORD}}}}}",
        f"kafka: {{security: {{key_password: {PASSWORD}}}}}",
        f"kafka: {{security: {{password: [{PASSWORD}]}}}}",
        f"kafka: {{security: {{pasword: {PASSWORD}}}}}",
        f"kafka: {{security: {PASSWORD}}}",
        f"kafka: {{securty: {{password: {PASSWORD}}}}}",
        f"kafka:\n  security:\n    password: {PASSWORD}: [",
        f"password: {PASSWORD}",
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    assert PASSWORD not in refusal_of({}, file)


def test_a_secret_in_the_file_is_refused_with_where_it_belongs(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(f"kafka: {{security: {{key_password: {PASSWORD}}}}}")
    said = refusal_of({}, file)
    assert "STREAM_AD__KAFKA__SECURITY__KEY_PASSWORD" in said
    assert "kafka.security.key_password_file" in said


@pytest.mark.parametrize("password", ["12345", "no", "a: b", "[", "#x", "'", " x "])
def test_a_password_is_taken_as_it_is_written(password: str) -> None:
    config = load_config(None, {f"{SECURITY}PASSWORD": password})
    given = config.kafka.security.password
    assert given is not None
    assert given.get_secret_value() == password


def test_the_first_line_of_a_file_is_the_secret(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("one two \r\nthree\n")
    security = SecurityConfig(protocol="sasl_ssl", username="u", password_file=str(file))
    assert client_arguments(security)["sasl_plain_password"] == "one two "


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_a_file_without_a_secret_names_its_key(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    security = SecurityConfig(protocol="sasl_ssl", username="u", password_file=str(file))
    with pytest.raises(ConfigError, match=r"kafka\.security\.password_file") as caught:
        client_arguments(security)
    assert caught.value.value == str(file)


@pytest.mark.parametrize("key", ["ca_file", "cert_file", "key_file"])
def test_a_missing_certificate_names_its_key(tmp_path: Path, key: str) -> None:
    there = tmp_path / "there.pem"
    there.touch()
    files = dict.fromkeys(("ca_file", "cert_file", "key_file"), str(there))
    security = parse_config(
        {"kafka": {"security": {"protocol": "ssl"} | files | {key: str(tmp_path / "absent")}}}
    ).kafka.security
    with pytest.raises(ConfigError, match=rf"kafka\.security\.{key} = .*No such file"):
        client_arguments(security)


def test_tls_always_looks_at_the_host_name() -> None:
    assert client_arguments(SecurityConfig(protocol="ssl"))["ssl_check_hostname"] is True
