"""The place of a fault test: a cluster, a trained detector, topics, and services on them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from tests.faults.outcome import Topics
from tests.faults.plant import Plant
from tests.faults.worker import ROOT, Worker
from tests.kafka_cluster import Cluster, Runtime

PARTITIONS = 8
COMMAND = (sys.executable, "-c", "from stream_ad.cli import main; main()")
# A worker ends with its parent, which it is told of, as by the supervisor of `run`.
AS_A_CHILD = ("/bin/sh", "-c", 'exec "$@" --parent $PPID', "sh")


class FaultTestError(Exception):
    """The test could not be carried out: what it would have counted is not known."""


def stream_ad(*arguments: object) -> list[str]:
    """Return the command line of ``stream-ad`` with these arguments."""
    return [*COMMAND, *map(str, arguments)]


def run(*arguments: object) -> None:
    """Run ``stream-ad`` to its end."""
    done = subprocess.run(
        stream_ad(*arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    if done.returncode:
        raise FaultTestError(f"stream-ad {arguments[0]}: {done.stderr or done.stdout}")


@contextmanager
def opened(
    plant: Plant, bootstrap: str | None, *, nodes: int = 1
) -> Iterator[tuple[Site, Cluster | None]]:
    """Train the plant's detector, and start a cluster unless there is one.

    Parameters
    ----------
    plant : Plant
    bootstrap : str or None
        Of a cluster that runs.
    nodes : int
        Of the one that is started.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
        cluster = None
        if bootstrap is None:
            cluster = stack.enter_context(Cluster(Runtime.find(), folder / "kafka", nodes))
            bootstrap = cluster.bootstrap
        site = Site(folder, bootstrap, plant)
        if cluster is None:
            stack.callback(site.delete_topics)
        site.train()
        yield site, cluster


@dataclass(frozen=True)
class Site:
    """A folder, a cluster and a plant."""

    folder: Path
    bootstrap: str
    plant: Plant
    sources: list[str] = field(default_factory=list)

    @property
    def registry(self) -> Path:
        """Where the detector lies."""
        return self.folder / "registry"

    def train(self) -> None:
        """Fit a detector on the plant's past, as a user would."""
        history, config = self.folder / "history.jsonl", self.folder / "train.yaml"
        self.plant.write_history(history)
        config.write_text(yaml.safe_dump(self.plant.settings()))
        run("train", history, "--config", config, "--out", self.registry)
        history.unlink()

    def create_input(self, **settings: str) -> str:
        """Create a topic for the records; return its name."""
        name = f"plant-{uuid.uuid4().hex[:8]}"
        configs = {key.replace("_", "."): value for key, value in settings.items()}
        with KafkaAdminClient(bootstrap_servers=self.bootstrap) as admin:
            admin.create_topics([NewTopic(name, PARTITIONS, topic_configs=configs)])
        self.sources.append(name)
        return name

    def delete_topics(self) -> None:
        """Leave a cluster that is not ours as it was, but for the groups, which expire."""
        with KafkaAdminClient(bootstrap_servers=self.bootstrap) as admin:
            ours = [name for name in admin.list_topics() if name.split(".")[0] in self.sources]
            if ours:
                admin.delete_topics(ours)

    def service(
        self,
        name: str,
        source: str,
        changes: Mapping[str, Any] | None = None,
        command: Callable[..., list[str]] = stream_ad,
    ) -> Service:
        """Write the config of a service that reads a topic, and create its own topics.

        Parameters
        ----------
        name : str
            Tells its group and its topics from those of other services.
        source : str
            The input topic.
        changes : mapping, optional
            Keys of the ``kafka`` section in place of their defaults; a dotted key is one of
            another section.
        command : callable, optional
            Makes the command line of ``stream-ad`` arguments.
        """
        topics = Topics(
            source, *(f"{source}.{name}.{part}" for part in ("alerts", "scores", "dead", "state"))
        )
        settings = self.plant.settings() | {
            "registry": {"uri": str(self.registry)},
            "kafka": {
                "bootstrap_servers": self.bootstrap,
                "group_id": f"{source}.{name}",
                "instance": "here",
                "topics": vars(topics),
            },
        }
        for key, value in (changes or {}).items():
            section, _, rest = key.rpartition(".")
            settings[section or "kafka"] = settings.get(section or "kafka", {}) | {rest: value}
        config = self.folder / f"{source}.{name}.yaml"
        config.write_text(yaml.safe_dump(settings))
        run("topics", "create", "--config", config)
        return Service(config, self.bootstrap, topics, settings["kafka"]["group_id"], command)


class Service:
    """One consumer group with its topics, as workers that are started by slot.

    Parameters
    ----------
    config : Path
    bootstrap : str
    topics : Topics
    group : str
    command : callable
        Makes the command line of ``stream-ad`` arguments.

    Attributes
    ----------
    settings : dict
        What the config says.
    """

    def __init__(
        self,
        config: Path,
        bootstrap: str,
        topics: Topics,
        group: str,
        command: Callable[..., list[str]],
    ) -> None:
        self.config, self.bootstrap, self.topics, self.group = config, bootstrap, topics, group
        self.command = command
        self.settings: dict[str, Any] = yaml.safe_load(config.read_text())

    def start(self, slot: int) -> Worker:
        """Start the worker of a slot."""
        log = self.config.with_name(f"{self.config.stem}.{slot}.log")
        command = self.command("run", "--config", self.config, "--slot", slot)
        return Worker([*AS_A_CHILD, *command], log, {"STREAM_AD_TRACE": "1"})

    def lag(self) -> int:
        """Return how many offsets lie between what is committed and the end of the input."""
        consumer = KafkaConsumer(
            bootstrap_servers=self.bootstrap, group_id=self.group, enable_auto_commit=False
        )
        try:
            partitions = [TopicPartition(self.topics.input, n) for n in range(PARTITIONS)]
            ends = consumer.end_offsets(partitions)
            return sum(end - (consumer.committed(tp) or 0) for tp, end in ends.items())
        finally:
            consumer.close()
