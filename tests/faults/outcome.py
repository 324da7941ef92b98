"""What a run left in its topics, as a reader of committed records sees it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from stream_ad.transport.kafka.activations import is_activation
from tests.faults.oracle import Output
from tests.kafka.clients import records

# Names the group, which the two runs that are compared do not share.
OF_THE_RUN = {"ce_source"}
STATE_PARTS = ("through", "grid", "counts")
LONGEST_MESSAGE = 16 << 20


@dataclass(frozen=True)
class Topics:
    """Names of the topics of one run."""

    input: str
    alerts: str
    scores: str
    dead_letter: str
    state: str


@dataclass(frozen=True)
class Outcome:
    """All messages of one run's topics, partition by partition, in order of offset.

    Parameters
    ----------
    alerts, scores, dead, states : sequence of ConsumerRecord
    """

    alerts: list[Any]
    scores: list[Any]
    dead: list[Any]
    states: list[Any]

    @classmethod
    def read(cls, bootstrap: str, topics: Topics) -> Outcome:
        """Read all topics to their ends; nothing may be written meanwhile."""
        names = (topics.alerts, topics.scores, topics.dead_letter, topics.state)
        return cls(*(records(bootstrap, name) for name in names))

    @cached_property
    def incidents(self) -> list[dict[str, Any]]:
        """Values of the alerts."""
        return [orjson.loads(message.value) for message in self.alerts]

    def incident_outputs(self) -> list[Output]:
        """Return the incident events that records made.

        Silence and moves of machines are noticed by a clock and by whoever looks.
        """
        pairs = zip(self.alerts, self.incidents, strict=True)
        return [_by_ce_id(message) for message, value in pairs if is_made_by_records(value)]

    def score_outputs(self) -> list[Output]:
        """Return the scores."""
        return [_by_ce_id(message) for message in self.scores]

    def dead_outputs(self) -> list[Output]:
        """Return the dead letters."""
        return [_by_position(message) for message in self.dead]

    def state_outputs(self) -> list[Output]:
        """Return what must not differ of the machines' last states."""
        return [
            Output(machine, machine, _content_of_state(tree))
            for machine, tree in self.last_states().items()
        ]

    def last_states(self) -> dict[str, dict[str, Any]]:
        """Return the last state of every machine."""
        last: dict[str, dict[str, Any]] = {}
        for message in self.states:
            if is_activation(message.key):
                continue
            machine = message.key.decode()
            if message.value is None:
                last.pop(machine, None)
            else:
                last[machine] = orjson.loads(message.value)
        return {machine: last[machine] for machine in sorted(last)}

    def counts(self) -> Counter[str]:
        """Return what was counted for all machines together, such as ``late``."""
        total: Counter[str] = Counter()
        for tree in self.last_states().values():
            total.update(tree["counts"])
        return total


def is_made_by_records(event: dict[str, Any]) -> bool:
    """Return whether an incident event follows from records alone, so that every run has it."""
    return bool(event["kind"] != "silent" and event["closed_reason"] != "moved")


def _by_ce_id(message: Any) -> Output:
    return Output(dict(message.headers)["ce_id"].decode(), _lane(message), _content(message))


def _by_position(message: Any) -> Output:
    headers = dict(message.headers)
    partition = headers["source_partition"].decode()
    name = f"{partition}/{headers['source_offset'].decode()}"
    return Output(name, _lane(message), _content(message))


def _lane(message: Any) -> str:
    return repr(message.key)


def _content(message: Any) -> bytes:
    headers = [pair for pair in message.headers if pair[0] not in OF_THE_RUN]
    return repr((message.key, message.value, headers)).encode()


def _content_of_state(tree: dict[str, Any]) -> bytes:
    parts = {name: tree[name] for name in STATE_PARTS}
    return orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
