"""Topics as the service needs them: planned as data, made once, judged as they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from kafka import KafkaAdminClient, KafkaProducer
from typer.testing import CliRunner, Result

from stream_ad.cli.app import app
from stream_ad.config import Config, parse_config
from stream_ad.errors import BrokerError, ConfigError
from stream_ad.state import MachineState
from stream_ad.transport.kafka import topic_admin, topics
from stream_ad.windows import WindowSpec
from tests.kafka.clients import committed

ROLES = ("input", "alerts", "scores", "dead_letter", "state", "labels", "models")
OF_ONE = {"labels", "models"}


def config_of(kafka: str, names: dict[str, str], **sections: Any) -> dict[str, Any]:
    windows = {"sensors": ["a", "b"], "period_s": 1.0, "length": 8}
    return {
        "kafka": {"bootstrap_servers": kafka.split(","), "topics": names},
        "windows": windows,
    } | sections


@pytest.fixture
def names(kafka: str, unique: Callable[[str], str]) -> Iterator[dict[str, str]]:
    """Give names of topics that do not exist; those made in the test are deleted."""
    chosen = {role: unique(role) for role in ROLES}
    yield chosen
    with KafkaAdminClient(bootstrap_servers=kafka) as client:
        made = set(client.list_topics()) & set(chosen.values())
        if made:
            client.delete_topics(list(made))


@pytest.fixture
def client(kafka: str) -> Iterator[KafkaAdminClient]:
    with KafkaAdminClient(bootstrap_servers=kafka) as own:
        yield own


@pytest.fixture
def command(kafka: str, names: dict[str, str], tmp_path: Path) -> Callable[..., Result]:
    """Run ``stream-ad topics``."""
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config_of(kafka, names)))

    def run(*arguments: str) -> Result:
        verb, *options = arguments
        return CliRunner().invoke(app, ["topics", verb, "--config", str(file), *options])

    return run


def planned(**settings: Any) -> dict[str, topics.TopicPlan]:
    tree = {"kafka": {"topics": {"input": "plant", "scores": "scores"}}} | settings
    return {topic.role: topic for topic in topics.plan(parse_config(tree), 6, 3)}


def test_the_plan_has_every_topic_with_its_rights() -> None:
    plan = planned()
    assert tuple(plan) == ROLES
    assert {role: topic.rights for role, topic in plan.items()} == {
        "input": ["READ"],
        "alerts": ["WRITE"],
        "scores": ["WRITE"],
        "dead_letter": ["WRITE"],
        "state": ["READ", "WRITE"],
        "labels": [],
        "models": ["READ"],
    }
    trainers = {role: topic.trains for role, topic in plan.items() if topic.trains}
    assert trainers == {"alerts": ["READ"], "labels": ["READ"], "models": ["WRITE"]}
    ones = {role for role, topic in plan.items() if topic.partitions == 1}
    assert ones == OF_ONE
    assert {topic.partitions for topic in plan.values() if topic.role not in ones} == {6}
    compacted = {
        role for role, topic in plan.items() if topic.settings["cleanup.policy"] == "compact"
    }
    assert compacted == {"state", *ones}


def test_scores_are_planned_only_where_they_are_written() -> None:
    assert "scores" not in planned(kafka={"topics": {"input": "plant"}})


def test_a_dead_letter_fits_with_the_largest_record_in_it() -> None:
    for size in (1_000, 1_048_576, 20_000_000):
        topic = planned(limits={"record_bytes": size})["dead_letter"]
        assert int(topic.settings["max.message.bytes"]) >= size + 60_000


def test_a_state_of_all_open_slots_fits_and_a_segment_holds_it() -> None:
    windows = {"sensors": [f"s{n}" for n in range(500)], "period_s": 1, "length": 2_000}
    settings = planned(windows=windows)["state"].settings
    assert int(settings["max.message.bytes"]) >= 500 * 2_000 * 4
    assert int(settings["segment.bytes"]) >= 2 * int(settings["max.message.bytes"])


@pytest.mark.parametrize(("copies", "in_sync"), [(1, "1"), (2, "1"), (3, "2")])
def test_one_broker_may_be_away(copies: int, in_sync: str) -> None:
    config = parse_config({"kafka": {"topics": {"input": "plant"}}})
    for topic in topics.plan(config, 1, copies):
        assert topic.settings["min.insync.replicas"] == in_sync


def test_an_input_is_needed() -> None:
    with pytest.raises(ConfigError, match=r"kafka\.topics\.input"):
        topics.plan(Config(), 1, 1)


@pytest.mark.parametrize(
    ("names", "key"),
    [({"input": "x", "state": "x"}, "state"), ({"input": "stream-ad.alerts"}, "alerts")],
)
def test_no_topic_is_two_not_even_by_default(names: dict[str, str], key: str) -> None:
    said = rf"kafka\.topics\.{key} = '{names['input']}'.*kafka\.topics\.input is the same"
    with pytest.raises(ConfigError, match=said):
        parse_config({"kafka": {"topics": names}})


@pytest.mark.parametrize(("sensors", "length", "disorder_s"), [(1, 100_000, 9), (7, 9, 20_000)])
def test_no_state_is_larger_than_planned(sensors: int, length: int, disorder_s: float) -> None:
    names = [f"s{n}" for n in range(sensors)]
    windows = {"sensors": names, "period_s": 1, "length": length, "disorder_s": disorder_s}
    config = parse_config({"windows": windows})
    spec = WindowSpec.from_config(config.windows)
    state = MachineState.fresh(spec, "reading")
    slots = int(length + disorder_s)
    times = np.arange(slots) * 10**9 + 999_999_999
    state.grid.push(times, np.random.default_rng(0).normal(size=(slots, sensors)).astype("f4"))
    size = len(state.to_bytes(spec))
    assert 1_000_000 < size <= topics.state_bytes(config)


def test_a_state_that_no_record_can_hold_is_refused_with_the_keys_that_make_it_large() -> None:
    windows = {"sensors": [f"s{n}" for n in range(500)], "period_s": 1, "length": 30_000}
    with pytest.raises(ConfigError, match=r"windows\.length = 30000.*sensors.*disorder_s.* 64"):
        planned(windows=windows)


def test_rights_of_group_and_transactional_id_are_prefixed_or_exact() -> None:
    for delivery in ("exactly_once", "at_least_once"):  # states are fenced in both
        kafka = {"group_id": "line 4", "delivery": delivery}
        assert topics.rights(parse_config({"kafka": kafka}), []) == [
            topics.Right("READ", "group", "line 4"),
            topics.Right("WRITE", "transactional-id", "line 4-", prefixed=True),
            topics.Right("READ", "group", "line 4-trainer"),
        ]


def test_what_only_some_commands_need_is_listed_apart_with_who_needs_it() -> None:
    plan = list(planned().values())
    found = {(right.operation, right.name): right.who for right in topics.optional_rights(plan)}
    assert {name for operation, name in found if operation == "DESCRIBE_CONFIGS"} == {
        topic.name for topic in plan
    }
    assert "run" in found["DESCRIBE_CONFIGS", "plant"]
    assert found["READ", "stream-ad.dead-letters"] == "dlq list"
    assert found["CREATE", "stream-ad.alerts"] == "topics create"
    assert "topics create" in found["ALTER", "stream-ad.state"]
    assert found["WRITE", "stream-ad.labels"] == "label"
    config = parse_config({"kafka": {"topics": {"input": "plant"}}})
    least, _, others = topics.table(config, plan).partition("rights that only some commands need")
    assert "DESCRIBE_CONFIGS" not in least
    assert re.search(r"READ +topic +stream-ad\.dead-letters +\(dlq list\)", others)
    lines = topics.commands(config, plan)
    assert sum("--operation DescribeConfigs" in line for line in lines) == len(plan)
    assert all("  # only for " in line for line in lines if "DescribeConfigs" in line)


def test_commands_are_quoted_for_a_shell() -> None:
    config = parse_config({"kafka": {"group_id": "it's", "topics": {"input": "plant"}}})
    lines = topics.commands(config, topics.plan(config, 4, 3))
    assert lines[0].startswith(
        "kafka-topics.sh --bootstrap-server BROKER:9092 --create --if-not-exists --topic plant "
        "--partitions 4 --replication-factor 3 --config cleanup.policy=delete"
    )
    assert any("--operation Read --group 'it'\"'\"'s'" in line for line in lines)
    ids = [line for line in lines if "--transactional-id" in line]
    assert len(ids) == 1
    assert ids[0].endswith("--resource-pattern-type prefixed")


def test_a_plan_with_partitions_needs_no_broker(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config_of("127.0.0.1:1", {"input": "plant"})))
    arguments = ["topics", "plan", "--config", str(file), "--partitions", "5"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert "partitions 5  replication 3" in result.output
    assert "no broker was asked: where there are fewer than 3" in result.output
    assert "transactional-id  stream-ad-*" in result.output
    shell = CliRunner().invoke(app, [*arguments, "--commands", "--replication", "2"])
    lines = shell.output.splitlines()
    assert all(line.startswith(("kafka-topics.sh ", "kafka-acls.sh ")) for line in lines)
    assert sum("--partitions 5 --replication-factor 2" in line for line in lines) == 4
    assert sum("--partitions 1 --replication-factor 2" in line for line in lines) == 2


def test_a_fresh_cluster_is_checked_created_and_checked(
    command: Callable[..., Result], names: dict[str, str], client: KafkaAdminClient
) -> None:
    empty = command("check")
    assert empty.exit_code == 1
    assert empty.output.count("does not exist") == len(ROLES)
    no_input = command("create")
    assert isinstance(no_input.exception, BrokerError)
    assert names["input"] in str(no_input.exception)
    assert names["state"] not in client.list_topics()

    made = command("create", "--partitions", "3")
    assert made.exit_code == 0
    assert made.output.count("created ") == len(ROLES)
    good = command("check")
    assert good.exit_code == 0
    assert "error" not in good.output
    assert good.output.count("one copy") == len(ROLES)
    assert command("create").output == "all topics are there\n"
    assert "partitions 3  replication 1" in command("plan").output  # what was made

    there = topic_admin.describe(client, names.values())
    ones = {names[role] for role in OF_ONE}
    assert {name: topic.partitions for name, topic in there.items()} == {
        name: 1 if name in ones else 3 for name in names.values()
    }
    state = there[names["state"]].settings
    assert (state["cleanup.policy"], state["segment.ms"]) == ("compact", "600000")
    assert there[names["alerts"]].settings["retention.ms"] == str(30 * 86_400_000)


def test_the_state_topic_grows_with_the_input_and_keeps_its_records(
    kafka: str,
    command: Callable[..., Result],
    names: dict[str, str],
    client: KafkaAdminClient,
) -> None:
    assert command("create", "--partitions", "2").exit_code == 0
    with KafkaProducer(bootstrap_servers=kafka) as producer:
        producer.send(names["state"], b"snapshot", key=b"m", partition=1).get(timeout=20)
    client.create_partitions({names["input"]: 5})
    check = command("check")
    assert check.exit_code == 1
    assert "2 partitions and the input 5" in check.output
    grown = command("create")
    assert f"{names['state']}: 5 partitions instead of 2" in grown.output
    assert "created" not in grown.output
    assert command("check").exit_code == 0
    assert committed(kafka, names["state"]) == [b"snapshot"]
    others = topic_admin.describe(client, [names["alerts"], names["dead_letter"]])
    assert {topic.partitions for topic in others.values()} == {2}


def findings(client: KafkaAdminClient, config: Config) -> list[str]:
    return [str(finding) for finding in topic_admin.check(client, config)]


WRONG = [
    ("state", {"cleanup.policy": "delete"}, "error", "cleanup.policy is delete"),
    ("state", {"cleanup.policy": "compact,delete"}, "error", "old states vanish"),
    ("alerts", {"cleanup.policy": "compact"}, "error", "cleanup.policy is compact"),
    ("input", {"cleanup.policy": "compact"}, "error", "records of a machine vanish"),
    ("state", {"max.message.bytes": "1000"}, "error", "max.message.bytes is 1000"),
    ("dead_letter", {"max.message.bytes": "300000"}, "warning", "cut to 64 kB"),
    ("models", {"cleanup.policy": "delete"}, "error", "old announcements vanish"),
    ("input", {"retention.ms": "10000"}, "error", "retention.ms is 10000"),
    ("alerts", {"min.insync.replicas": "2"}, "error", "no write succeeds"),
]


@pytest.mark.parametrize(("role", "settings", "level", "words"), WRONG)
def test_a_wrong_setting_is_found(
    role: str,
    settings: dict[str, str],
    level: str,
    words: str,
    kafka: str,
    names: dict[str, str],
    client: KafkaAdminClient,
) -> None:
    config = parse_config(config_of(kafka, names))
    client.create_topics(
        {
            topic.name: {
                "num_partitions": 1,
                "replication_factor": 1,
                "configs": topic.settings | (settings if topic.role == role else {}),
            }
            for topic in topics.plan(config, 1, 1)
        },
        wait_for_metadata=True,
    )
    said = [text for text in findings(client, config) if "one copy" not in text]
    assert len(said) == 1
    assert said[0].startswith(f"{level}: topic {names[role]}: ")
    assert words in said[0]


def test_labels_and_models_are_waited_for_and_have_one_partition(
    kafka: str, names: dict[str, str], client: KafkaAdminClient
) -> None:
    config = parse_config(config_of(kafka, names))
    missing = {one.topic: one.heals for one in topic_admin.check(client, config)}
    assert {role for role in ROLES if missing[names[role]]} == OF_ONE
    compact = {"cleanup.policy": "compact"}
    size = {"num_partitions": 2, "replication_factor": 1, "configs": compact}
    client.create_topics({names["models"]: size}, wait_for_metadata=True)
    said = [one for one in topic_admin.check(client, config) if one.topic == names["models"]]
    (found,) = [one for one in said if "2 partitions" in one.text]
    assert (found.level, "only the first" in found.text) == ("warning", True)


def test_a_topic_without_settings_of_its_own_is_suspect(
    kafka: str, names: dict[str, str], client: KafkaAdminClient
) -> None:
    config = parse_config(config_of(kafka, names))
    client.create_topics(
        {name: {"num_partitions": 1, "replication_factor": 1} for name in names.values()},
        wait_for_metadata=True,
    )
    said = findings(client, config)
    suspect = [text for text in said if "may have been created by itself" in text]
    assert {text.split()[2].rstrip(":") for text in suspect} == set(names.values()) - {
        names["input"]
    }


@pytest.mark.parametrize(
    ("allowed", "found"),
    [
        ({"READ", "WRITE"}, []),
        ({"ALL"}, []),
        (set(), []),  # the brokers do not say
        ({"READ"}, [("warning", "WRITE")]),
        ({"WRITE"}, [("error", "READ")]),
        ({"DESCRIBE"}, [("error", "READ"), ("warning", "WRITE")]),
    ],
)
def test_what_only_a_trainer_needs_does_not_stop_a_worker(
    allowed: set[str], found: list[tuple[str, str]]
) -> None:
    existing = topic_admin.Existing(1, 1, {}, frozenset(), frozenset(allowed))
    said = topic_admin._rights(planned()["models"], existing)
    assert [(level, text.split("lacks ")[1].split(",")[0]) for level, text in said] == found


def judged(copies: int, in_sync: int) -> list[str]:
    existing = topic_admin.Existing(
        1, copies, {"min.insync.replicas": str(in_sync)}, frozenset(), frozenset()
    )
    return [text for _, text in topic_admin._copies_of(existing)]


def test_copies_that_lose_or_stop_are_warned_of() -> None:
    assert judged(3, 2) == []
    assert "one broker alone" in judged(2, 1)[0]
    assert judged(3, 3) == ["min.insync.replicas is 3 of 3: no broker may be away"]
    assert judged(1, 1) == ["one copy: it is gone with its broker"]
    assert "no write succeeds" in judged(2, 3)[-1]
