"""Scoring on Kafka while the trainer trains: how much slower, how much later, how long a swap.

The service as a user starts it, worker and trainer as processes of their own, on a real broker
that this command starts. At saturation: windows per second of a worker that reads a full topic,
alone and beside a trainer that trains again and again, in turns. At half of that pace: the delay
from a window to its committed score, in turns while the trainer only follows and while it trains;
and how long scores stay away where a new detector takes over.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stream_ad.config import parse_config
from stream_ad.progress import Silence
from stream_ad.training.fit import train
from stream_ad.training.history import History
from tests.benchmarks.generated import SINCE, Plant
from tests.benchmarks.table import Figure, conclude, options
from tests.benchmarks.training_load_full import saturated
from tests.benchmarks.training_load_paced import paced
from tests.benchmarks.training_load_site import Effort, Place
from tests.kafka_cluster import Cluster, Runtime

FULL = Effort(200_000, 40, 6_000, 3, 30.0)
QUICK = Effort(40_000, 8, 400, 1, 4.0)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit code."""
    parser = options((__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="linear", help="which model is trained (linear)")
    parser.add_argument("--bootstrap", help="a broker that runs already")
    arguments = parser.parse_args(argv)
    effort = QUICK if arguments.quick else FULL
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        _broker(arguments.bootstrap, Path(folder, "kafka")) as bootstrap,
    ):
        place = _place(bootstrap, Path(folder), effort, arguments.model)
        idle, figures = saturated(place)
        figures += paced(place, idle / 2)
    figures.append(Figure("minutes", (time.monotonic() - began) / 60, form=".1f"))
    return conclude(figures, arguments)


@contextmanager
def _broker(running: str | None, folder: Path) -> Iterator[str]:
    if running is not None:
        yield running
        return
    with Cluster(Runtime.find(), folder) as cluster:
        yield cluster.bootstrap


def _place(bootstrap: str, folder: Path, effort: Effort, model: str) -> Place:
    plant = Plant(effort.machines, 8, 16)
    tree = plant.config.model_dump() | {"detector": {"model": model}}
    config = parse_config(tree)
    past = plant.windows(effort.learned // effort.machines, faults=False)
    earlier = int(past.start.max()) - SINCE * 10**9 + plant.spec.window_ns
    past.start[:] -= earlier  # the history ends where the stream begins
    detector = train(History(past, SINCE * 10**9), config, plant.spec, Silence())
    return Place(bootstrap, folder, plant, detector, effort, model)


if __name__ == "__main__":
    sys.exit(main())
