"""A build that is broken on purpose: positions are committed outside the transaction, before it.

``python -m tests.faults.broken run ...`` is ``stream-ad run ...`` of that build. A kill inside
a transaction then loses what it held, and a test that does not see this would see nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any
from unittest import mock

from kafka import KafkaConsumer

from stream_ad.cli import main
from stream_ad.transport.kafka import clients
from stream_ad.transport.kafka.delivery import ExactlyOnce, Offsets
from stream_ad.transport.kafka.outgoing import Message

made: list[KafkaConsumer] = []
make, deliver = clients.group_consumer, ExactlyOnce.deliver


def remembered(*arguments: Any) -> KafkaConsumer:
    """Return the group's consumer, and keep it at hand."""
    made.append(make(*arguments))
    return made[-1]


def positions_first(
    self: ExactlyOnce,
    outputs: Sequence[Message],
    states: Sequence[Message],
    offsets: Offsets,
    member: Any,
) -> None:
    """Commit the positions, then the rest, as a hasty reader of the manual might."""
    made[-1].commit(dict(offsets))
    deliver(self, outputs, states, {}, member)


def command(*arguments: object) -> list[str]:
    """Return the command line of ``stream-ad`` of this build with these arguments."""
    return [sys.executable, "-m", "tests.faults.broken", *map(str, arguments)]


if __name__ == "__main__":
    with (
        mock.patch.object(clients, "group_consumer", remembered),
        mock.patch.object(ExactlyOnce, "deliver", positions_first),
    ):
        main()
