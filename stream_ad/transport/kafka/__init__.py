"""Apache Kafka as input and output: the only room that imports `kafka`.

Raises `MissingDependency` on import where the client is missing, untested or slow.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from stream_ad.errors import MissingDependency

# Below, partitions that stay over a rebalance are never read again; above, the sender is another.
OLDEST, BELOW = (3, 0, 9), (3, 1)
WANTED = 'pip install "kafka-python[crc32c,lz4,zstd]>=3.0.9,<3.1"'


def _require_client() -> None:
    try:
        found = version("kafka-python")
    except PackageNotFoundError:
        raise MissingDependency(f"Kafka needs the package kafka-python: {WANTED}") from None
    numbers = tuple(int(part) for part in found.split(".")[:3] if part.isdigit())
    if not OLDEST <= numbers < BELOW:
        raise MissingDependency(f"kafka-python {found} is not one that was tested: {WANTED}")
    for library in ("crc32c", "lz4", "zstandard"):
        if find_spec(library) is None:
            raise MissingDependency(f"Kafka needs the package {library}: {WANTED}")


_require_client()
