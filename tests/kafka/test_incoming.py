"""From records of the client to a batch: nothing told twice, nothing without its key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_ad.config import Config, parse_config
from stream_ad.transport.base import Batch
from stream_ad.transport.kafka.incoming import HEADROOM, Incoming
from stream_ad.windows import WindowSpec


@dataclass(frozen=True)
class Record:
    """As much of the client's record as is used."""

    offset: int
    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


def config(**sections: Any) -> Config:
    return parse_config({"windows": {"sensors": ["s"], "period_s": 1, "length": 4}} | sections)


def incoming(asked: Config) -> Incoming:
    return Incoming(asked, WindowSpec.from_config(asked.windows))


def reading(offset: int, machine: str) -> Record:
    value = {"machine_id": machine, "time": 1000 * offset, "values": {"s": 1.0}}
    return Record(offset, orjson.dumps(value), machine.encode())


def batch(asked: Config, records: Sequence[Record], through: int = -1) -> Batch:
    return incoming(asked).batch(3, records, records[-1].offset + 1, through)


def test_a_dead_letter_has_the_records_own_key_partition_and_every_byte() -> None:
    value = b"x" * 200_000
    found = batch(config(), [reading(4, "a"), Record(9, value, b"of nobody")])
    (letter,) = found.dead
    assert (letter.partition, letter.offset, letter.key) == (3, 9, b"of nobody")
    assert letter.value == value
    assert (found.partition, found.position, found.records.offset.tolist()) == (3, 10, [4])


def test_of_a_record_without_limits_only_what_a_message_may_hold_is_kept() -> None:
    found = batch(config(limits={"record_bytes": 1000}), [Record(0, b"x" * 100_000)])
    assert len(found.dead[0].value) == 1000 + HEADROOM
    assert found.dead[0].length == 100_000


def test_dead_letters_that_a_predecessor_told_are_not_told_again() -> None:
    records = [Record(0, b"junk"), reading(1, "a"), Record(2, None), Record(5, b"junk")]
    found = batch(config(), records, through=2)
    assert [letter.offset for letter in found.dead] == [5]
    assert found.records.offset.tolist() == [1]


def test_a_machine_may_be_named_by_key_or_header() -> None:
    value = orjson.dumps({"values": {"s": 1.0}})
    headers = [("at", b"1970-01-01T00:00:07Z")]
    fields = {"machine_id": "$key", "time": "$header.at"}
    found = batch(config(input={"fields": fields}), [Record(0, value, b"press", headers)])
    assert found.records.machine.tolist() == ["press"]
    assert not found.dead


def limited(records: Sequence[Record], known: set[str], most: int, through: int = -1) -> Batch:
    asked = config(limits={"machines_per_worker": most})
    taken = incoming(asked)
    found = taken.batch(0, records, records[-1].offset + 1, through)
    return taken.within_limit(found, records, known, len(known), through)


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=20),
    st.sets(st.sampled_from("abcdefg")),
    st.integers(1, 5),
)
def test_no_more_machines_than_allowed_and_none_that_was_let_in_is_refused(
    machines: list[str], known: set[str], most: int
) -> None:
    records = [reading(offset, machine) for offset, machine in enumerate(machines)]
    found = limited(records, known, most)

    newcomers = [machine for machine in dict.fromkeys(machines) if machine not in known]
    let_in = known | set(newcomers[: max(most - len(known), 0)])
    assert found.records.machine.tolist() == [m for m in machines if m in let_in]
    refused = [letter for letter in found.dead if letter.error_class == "TooManyMachines"]
    assert [letter.offset for letter in refused] == [
        offset for offset, machine in enumerate(machines) if machine not in let_in
    ]
    assert all(letter.key == machines[letter.offset].encode() for letter in refused)


def test_a_refusal_keeps_the_order_of_dead_letters_and_the_whole_record() -> None:
    records = [reading(0, "a"), Record(1, b"junk"), reading(2, "b"), Record(3, b"junk")]
    found = limited(records, set(), 1)
    assert [letter.offset for letter in found.dead] == [1, 2, 3]
    assert found.dead[1].value == records[2].value
    assert "limits.machines_per_worker = 1" in found.dead[1].error_message


def test_a_refusal_that_a_predecessor_told_is_not_told_again() -> None:
    records = [reading(0, "a"), reading(1, "b"), reading(2, "b")]
    found = limited(records, set(), 1, through=1)
    assert [letter.offset for letter in found.dead] == [2]
    assert found.records.machine.tolist() == ["a"]
