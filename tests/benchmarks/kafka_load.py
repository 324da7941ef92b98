"""Topics filled before anything is measured: windows or readings of a generated plant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import orjson
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from tests.benchmarks.generated import SINCE, Plant

MS = 1_000


@dataclass(frozen=True, slots=True)
class Load:
    """A topic full of records.

    Parameters
    ----------
    kind : {"window", "reading"}
        Shape of the records.
    topic : str
    partitions : int
    records : int
    """

    kind: str
    topic: str
    partitions: int
    records: int


def fill(bootstrap: str, plant: Plant, load: Load) -> None:
    """Create the topic and write its records, keyed by machine."""
    create(bootstrap, load.topic, load.partitions)
    values = (
        windows(plant, load.records) if load.kind == "window" else readings(plant, load.records)
    )
    with KafkaProducer(bootstrap_servers=bootstrap, linger_ms=20, batch_size=1 << 18) as producer:
        for machine, value in values:
            producer.send(load.topic, value, key=machine.encode())
        producer.flush()


def create(bootstrap: str, topic: str, partitions: int, **settings: str) -> None:
    """Create a topic of one replica."""
    named = {key.replace("_", "."): value for key, value in settings.items()}
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=named)])


def windows(plant: Plant, records: int) -> Iterator[tuple[str, bytes]]:
    """Yield machine and value of window records, machines in turn."""
    made = plant.windows(-(-records // plant.machines))
    names = [f"s{c}" for c in range(plant.sensors)]
    for i in range(records):
        machine = made.machine[i]
        yield machine, window(machine, int(made.start[i]), names, made.values[i])


def window(machine: str, start: int, names: list[str], values: object) -> bytes:
    """Return one window record."""
    tree = {
        "machine_id": machine,
        "start": start // 10**6,
        "period_s": 1,
        "sensors": names,
        "values": values,
    }
    return orjson.dumps(tree, option=orjson.OPT_SERIALIZE_NUMPY)


def readings(plant: Plant, records: int) -> Iterator[tuple[str, bytes]]:
    """Yield machine and value of reading records, machines in turn."""
    names = [f"s{c}" for c in range(plant.sensors)]
    steps = 2_048
    for first in range(0, -(-records // plant.machines), steps):
        cells = plant.cells(first, steps).round(3)
        for step in range(steps):
            time = (SINCE + first + step) * MS
            for m, machine in enumerate(plant.names()):
                if (first + step) * plant.machines + m >= records:
                    return
                values = dict(zip(names, cells[step, m].tolist(), strict=True))
                yield machine, orjson.dumps({"machine_id": machine, "time": time, "values": values})
