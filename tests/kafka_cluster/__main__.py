"""``python -m tests.kafka_cluster``: Apache Kafka to try things out, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.kafka_cluster import Cluster, ClusterError, Runtime
from tests.kafka_cluster.jars import kafka_version


def main() -> int:
    """Start brokers, print their address to standard output, serve; return the exit code."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _serve(asked.nodes, asked.port, asked.dir)
    except KeyboardInterrupt:
        return 0
    except ClusterError as error:
        _say(str(error))
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.kafka_cluster", description=main.__doc__)
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=1, help="brokers (1)")
    parser.add_argument(
        "--port", type=int, default=9092, help="of the first broker (9092); 0 for any that is free"
    )
    parser.add_argument("--dir", type=Path, help="keep the data here (else they are deleted)")
    return parser.parse_args()


def _serve(nodes: int, port: int, folder: Path | None) -> int:
    runtime = Runtime.find()
    with ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kafka-")))
        _say(f"starting Apache Kafka {kafka_version()}, data and logs in {place}")
        cluster = stack.enter_context(Cluster(runtime, place, nodes, port=port))
        sys.stdout.write(f"{cluster.bootstrap}\n")
        sys.stdout.flush()
        _say("it serves; Ctrl-C ends it")
        try:
            return _watch(cluster)
        finally:
            if folder is not None:
                _say("stopping")
                cluster.stop()


def _watch(cluster: Cluster) -> int:
    """Return when no node is left; say so of each that ends."""
    left = list(cluster.nodes)
    while left:
        time.sleep(0.5)
        for node in [node for node in left if not node.running]:
            left.remove(node)
            _say(str(node.failure("ended")))
    return 1


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
