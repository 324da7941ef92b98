"""Apache Kafka on this machine's loopback: one node, or three, for tests and to try things out.

``python -m tests.kafka_cluster`` starts it for a person, `Cluster` for a test. It needs Java 17
and, the first time, Maven; see `Runtime.find`.
"""

from tests.kafka_cluster.cluster import Cluster
from tests.kafka_cluster.errors import BrokerFailed, ClusterError, KafkaUnavailable, PortTaken
from tests.kafka_cluster.node import Node
from tests.kafka_cluster.runtime import Runtime

__all__ = [
    "BrokerFailed",
    "Cluster",
    "ClusterError",
    "KafkaUnavailable",
    "Node",
    "PortTaken",
    "Runtime",
]
