"""What a node is told, by the launcher and by compose."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from tests.kafka_cluster import jars
from tests.kafka_cluster.ports import HOST
from tests.kafka_cluster.settings import NodePorts, server_properties

PORTS = [NodePorts(9092, 9093), NodePorts(9192, 9193), NodePorts(9292, 9293)]


def test_three_nodes_share_a_quorum_and_survive_the_loss_of_one() -> None:
    nodes = [server_properties(number, PORTS, Path("data")) for number in (1, 2, 3)]
    assert [node["node.id"] for node in nodes] == ["1", "2", "3"]
    assert len({node["controller.quorum.voters"] for node in nodes}) == 1
    assert len({node["listeners"] for node in nodes}) == 3
    for node in nodes:
        assert node["default.replication.factor"] == "3"
        assert node["min.insync.replicas"] == node["transaction.state.log.min.isr"] == "2"


def compose() -> Any:
    return yaml.safe_load((jars.DEPLOY / "compose.yaml").read_text())["services"]["kafka"]


def test_compose_and_launcher_have_the_same_settings() -> None:
    """All but the addresses to listen on and the folder for data."""
    prefix, not_the_brokers = "KAFKA_", {"KAFKA_HEAP_OPTS"}
    environment = {
        key.removeprefix(prefix).replace("_", ".").lower(): value
        for key, value in compose()["environment"].items()
        if key.startswith(prefix) and key not in not_the_brokers
    }
    expected = server_properties(1, PORTS[:1], Path("/var/lib/kafka/data"))
    # Mapped ports reach the container from outside, so there the broker listens on all addresses.
    everywhere = expected["listeners"].replace("PLAINTEXT://127.0.0.1", "PLAINTEXT://0.0.0.0")
    assert environment == expected | {"listeners": everywhere}


def test_compose_is_reached_from_this_machine_only_at_the_address_it_advertises() -> None:
    service = compose()
    assert service["ports"] == [f"{HOST}:9092:9092"]
    assert service["environment"]["KAFKA_ADVERTISED_LISTENERS"].endswith(f"://{HOST}:9092")
    assert service["healthcheck"]["test"][-1] == f"{HOST}:9092"


def test_compose_keeps_data_where_the_broker_writes_them() -> None:
    service = compose()
    assert service["volumes"] == [f"data:{service['environment']['KAFKA_LOG_DIRS']}"]


def test_compose_and_pom_have_the_same_kafka() -> None:
    assert compose()["image"] == f"apache/kafka:{jars.kafka_version()}"


def test_compose_names_its_cluster_by_16_bytes_in_base64() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}", compose()["environment"]["CLUSTER_ID"])
