"""A broker for the whole session, or the cluster that STREAM_AD_TEST_BOOTSTRAP names."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from tests.kafka.missing import skip_or_fail
from tests.kafka_cluster import Cluster, KafkaUnavailable, Runtime
from tests.kafka_cluster.metadata import serving_brokers

# Read at import: tests run without the STREAM_AD variables of whoever starts them.
EXISTING = os.environ.get("STREAM_AD_TEST_BOOTSTRAP")
CreateTopic = Callable[..., str]


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    """Java and Kafka's jars; without them the test is skipped, or fails in CI."""
    try:
        return Runtime.find()
    except KafkaUnavailable as error:
        skip_or_fail(str(error))


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[str]:
    """Bootstrap address of a cluster that serves."""
    if EXISTING:
        if not any(serving_brokers(address) for address in EXISTING.split(",")):
            pytest.fail(f"STREAM_AD_TEST_BOOTSTRAP: nobody answers at {EXISTING}", pytrace=False)
        yield EXISTING
        return
    folder = request.getfixturevalue("tmp_path_factory").mktemp("kafka")
    with Cluster(request.getfixturevalue("runtime"), folder) as cluster:
        yield cluster.bootstrap


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Make names of topics, groups and transactional ids that no other test or run has."""
    return lambda name: f"{name}-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def create_topic(kafka: str, unique: Callable[[str], str]) -> Iterator[CreateTopic]:
    """Create topics, ``create_topic(name, partitions=1, **settings)``; deleted after the test.

    Settings are the topic's, with underscores for dots: ``cleanup_policy="compact"``. Gives the
    topic's unique name.
    """
    created = []
    with KafkaAdminClient(bootstrap_servers=kafka) as admin:

        def create(name: str = "topic", partitions: int = 1, **settings: str) -> str:
            topic = unique(name)
            configs = {key.replace("_", "."): value for key, value in settings.items()}
            admin.create_topics([NewTopic(topic, partitions, topic_configs=configs)])
            created.append(topic)
            return topic

        yield create
        if created:
            admin.delete_topics(created)
