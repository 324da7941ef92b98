"""A topic read once more: the same records at the same positions, the same bytes as its file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import orjson
import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from stream_ad.config import Config, load_config
from stream_ad.errors import BrokerError, InputError
from stream_ad.progress import Silence
from stream_ad.records import ActivationRecord
from stream_ad.replay import ReplayOptions, TopicOptions
from stream_ad.replay import replay as run_replay
from stream_ad.training.followed import Followed, follow
from stream_ad.transport.base import Batch, Outputs
from stream_ad.transport.kafka import clients
from stream_ad.transport.kafka.activations import key_of
from stream_ad.transport.kafka.history import TopicRange, millis
from stream_ad.windows import Windows
from tests.cli.command import good, metrics, outputs, refused, scores
from tests.cli.recordings import plant, text_of, write_config
from tests.kafka.clients import records
from tests.kafka.fixtures import CreateTopic
from tests.transport.recordings import config_of, readings, spec_of, together

BROKEN = b'{"machine_id": "m2", "time"'
PARTITIONS = 4
RECORDED = "1970-01-01T00:01:00Z"  # the recorded line lies before, what is sent later after


@dataclass(frozen=True)
class Sent:
    """A record to send: key, value, partition, time in ms."""

    key: bytes | None
    value: bytes | None
    partition: int | None = None
    time: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def send(bootstrap: str, topic: str, records: Iterable[Sent], *, abort: bool = False) -> None:
    """Send records in transactions of 50, each with its marker; ``abort`` takes them back."""
    name = f"{topic}-{abort}"
    with KafkaProducer(bootstrap_servers=bootstrap, transactional_id=name) as producer:
        producer.init_transactions()
        rows = list(records)
        for first in range(0, len(rows), 50):
            producer.begin_transaction()
            futures = [
                producer.send(topic, r.value, r.key, list(r.headers), r.partition, r.time)
                for r in rows[first : first + 50]
            ]
            producer.flush()
            for future in futures:
                future.get(timeout=10)
            producer.abort_transaction() if abort else producer.commit_transaction()


def config_for(bootstrap: str, /, **sections: Any) -> Config:
    config = config_of(("a",), **sections)
    return config.model_copy(
        update={"kafka": config.kafka.model_copy(update={"bootstrap_servers": (bootstrap,)})}
    )


def opened(config: Config, topic: str, *times: str) -> TopicRange:
    return TopicRange(config, spec_of(config), topic, *times)


def reading(machine: str, time: int) -> bytes:
    return orjson.dumps({"machine_id": machine, "time": time, "values": {"a": time}})


@pytest.fixture
def numbered(kafka: str, create_topic: CreateTopic) -> str:
    """120 readings over three partitions, one in ten broken, some of them sent and taken back."""
    topic = create_topic(partitions=3, retention_ms="-1")  # its times are long ago
    rows = [
        Sent(b"k", reading(f"m{n % 3}", n) if n % 10 else BROKEN, n % 3, 1_000 + n)
        for n in range(120)
    ]
    send(kafka, topic, rows[:60])
    send(
        kafka, topic, [Sent(b"k", reading("ghost", 1), n % 3, 1_059) for n in range(30)], abort=True
    )
    send(kafka, topic, rows[60:])
    return topic


def test_positions_number_the_records_partition_by_partition(kafka: str, numbered: str) -> None:
    batch = together(opened(config_for(kafka), numbered).batches())
    wanted = [n for p in range(3) for n in range(p, 120, 3)]
    places = [place for place, n in enumerate(wanted) if n % 10]
    rows = readings(batch)
    assert rows.time.tolist() == [n * 1_000_000 for n in wanted if n % 10]
    assert rows.offset.tolist() == places
    assert batch.position == 120
    assert not batch.counts


def test_reading_on_from_any_position_gives_the_rest(kafka: str, numbered: str) -> None:
    config = config_for(kafka)
    source = opened(config, numbered)
    whole = together(source.batches())
    for position in (0, 1, 39, 40, 41, 97, 119):
        left = together(source.batches(position))
        later = whole.records.offset >= position
        assert left.records.offset.tolist() == whole.records.offset[later].tolist()
        assert readings(left).values.tobytes() == readings(whole).values[later].tobytes()
        assert left.position == 120
    assert list(source.batches(120)) == []


def test_dead_letters_tell_their_own_place_in_the_topic(kafka: str, numbered: str) -> None:
    batch = together(opened(config_for(kafka), numbered).batches())
    assert len(batch.dead) == 12
    places = [(letter.partition, letter.offset) for letter in batch.dead]
    assert places == sorted(set(places))
    assert max(offset for _, offset in places) > 40  # markers and what was taken back count here
    assert {(letter.key, letter.value) for letter in batch.dead} == {(b"k", BROKEN)}


def test_a_range_has_its_first_time_and_not_its_last(kafka: str, numbered: str) -> None:
    config = config_for(kafka)
    cut = ("1970-01-01T00:00:01.030Z", "1970-01-01T01:00:01.090+01:00")
    source = opened(config, numbered, *cut)
    assert source.begins_later
    assert sorted(readings(together(source.batches())).time // 1_000_000) == [
        n for n in range(30, 90) if n % 10
    ]
    assert not opened(config, numbered, "1970-01-01T00:00:01Z").begins_later
    none = opened(config, numbered, "1970-01-01T00:00:02Z")  # markers are later, records are not
    with pytest.raises(InputError, match="has no records from"):
        list(none.batches())
    nothing = "topic .* has no records from 2999-01-01T00:00:00Z to end"
    with pytest.raises(InputError, match=nothing):
        opened(config, numbered, "2999-01-01T00:00:00Z")


def test_a_pinned_range_does_not_grow(kafka: str, numbered: str) -> None:
    config = config_for(kafka)
    first = opened(config, numbered)
    send(kafka, numbered, [Sent(b"k", reading("late", 1), 0)])
    again = opened(config, numbered)
    assert again.identity() == first.identity()
    assert again.rows() > first.rows()
    again.pin(orjson.loads(orjson.dumps(first.offsets())))
    assert "late" not in together(again.batches()).records.machine
    assert opened(config, numbered, "1970-01-01T00:00:00Z").identity() != first.identity()


def test_deleted_records_are_an_error_and_not_skipped(kafka: str, numbered: str) -> None:
    source = opened(config_for(kafka), numbered)
    with KafkaAdminClient(bootstrap_servers=kafka) as admin:
        admin.delete_records({TopicPartition(numbered, 1): 5})
    with pytest.raises(InputError, match=r"partition 1: .*no longer have all.*--from-time"):
        list(source.batches())
    with pytest.raises(InputError, match=r"partition 1: .*no longer have all"):
        source.pin(source.offsets())


def test_keys_and_headers_are_fields(kafka: str, create_topic: CreateTopic) -> None:
    topic = create_topic()
    value = orjson.dumps({"values": {"a": 1}})
    send(kafka, topic, [Sent("ü".encode(), value, headers=(("ts", b"7"),)), Sent(b"\xff", value)])
    config = config_for(kafka, fields={"machine_id": "$key", "time": "$header.ts"})
    batch = together(opened(config, topic).batches())
    assert batch.records.machine.tolist() == ["ü"]
    assert readings(batch).time.tolist() == [7_000_000]
    assert batch.dead[0].error_message.startswith("$key = b'\\xff'")


def test_a_machine_in_two_partitions_is_counted(kafka: str, create_topic: CreateTopic) -> None:
    topic = create_topic(partitions=2)
    send(kafka, topic, [Sent(None, reading(m, t), p) for m, t, p in [("a", 1, 0), ("a", 2, 1)]])
    batch = together(opened(config_for(kafka), topic).batches())
    assert batch.counts == {"machine_in_two_partitions": 1}


def test_a_topic_that_is_not_there_is_named(kafka: str, unique: Callable[[str], str]) -> None:
    with pytest.raises(InputError, match="does not exist, or this user may not see it"):
        opened(config_for(kafka), unique("missing"))


# --- what counted where ---


def activation(offset: int, promotion: int, group: str = "default") -> tuple[bytes, bytes]:
    record = ActivationRecord(
        machine_group=group, promotion=promotion, model_version=1, first_offset=offset
    )
    return key_of(record), record.model_dump_json().encode()


@pytest.fixture
def written(kafka: str, create_topic: CreateTopic) -> Config:
    """Write activations of the three partitions of `numbered`, with a machine's state between."""
    state = create_topic("state", 3, cleanup_policy="compact")
    rows = [
        (activation(0, 1), 0),
        (activation(17, 2), 0),
        ((b"m1", b"a state"), 0),
        (activation(25, 9, "presses"), 0),
        (activation(33, 3), 0),
        (activation(20, 2), 1),
    ]
    send(kafka, state, [Sent(key, value, at) for (key, value), at in rows])
    config = config_for(kafka)
    topics = config.kafka.topics.model_copy(update={"state": state})
    kafka_config = config.kafka.model_copy(update={"topics": topics})
    return config.model_copy(update={"kafka": kafka_config})


def promotions(source: TopicRange, position: int = 0) -> dict[int, Any]:
    """Return the promotions that count for each record from a position on."""
    found: dict[int, Any] = {}
    for batch in source.batches(position):
        found |= dict.fromkeys(range(position, batch.position), batch.promotions)
        position = batch.position
    return found


WRITTEN = {
    "0": [("default", 0, 1), ("default", 17, 2), ("presses", 25, 9), ("default", 33, 3)],
    "1": [("default", 20, 2)],
    "2": [],
}


def test_each_record_has_the_promotions_that_counted_at_its_offset(
    kafka: str, numbered: str, written: Config
) -> None:
    source = opened(written, numbered)
    found = source.activations()
    assert found == WRITTEN
    source.follow(orjson.loads(orjson.dumps(found)))
    assert source.counted() == {"default": {1, 2, 3}, "presses": {9}}

    def counted(partition: int, offset: int) -> dict[str, int] | None:
        first = {"default": 1 if offset < 17 else 2 if offset < 33 else 3}
        if offset >= 25:
            first["presses"] = 9  # none of its promotions counted before
        # before the first one counts the first one
        return {0: first, 1: {"default": 2}, 2: None}[partition]

    rows = records(kafka, numbered)  # in the order of positions
    wanted = {at: counted(row.partition, row.offset) for at, row in enumerate(rows)}
    assert promotions(source) == wanted
    for position in (1, 12, 13, 39, 41, 80):
        rest = {at: promotion for at, promotion in wanted.items() if at >= position}
        assert promotions(source, position) == rest


def test_only_what_counted_in_the_range_is_asked_for(numbered: str, written: Config) -> None:
    """The third promotion began at an offset after it, the first one ended before it."""
    cut = ("1970-01-01T00:00:01.054Z", "1970-01-01T00:00:01.070Z")
    source = opened(written, numbered, *cut)
    source.follow({"0": [("default", 0, 1), ("default", 17, 2), ("default", 900, 3)]})
    assert source.counted() == {"default": {2}}


def test_the_time_from_which_on_later_promotions_count_is_that_of_the_last_partition(
    kafka: str, numbered: str, written: Config
) -> None:
    source = opened(written, numbered)
    source.follow(WRITTEN | {"1": [("default", 0, 1), ("default", 20, 2)]})
    rows = records(kafka, numbered)
    first = [next(r for r in rows if (r.partition, r.offset) >= at) for at in ((0, 17), (1, 20))]
    assert source.time_beyond("default", 1) == max(row.timestamp for row in first)
    assert source.time_beyond("default", 2) is None  # in partition 1 it counts to the end
    assert source.time_beyond("presses", 8) is None  # no earlier one counted anywhere


def test_without_activations_a_record_says_nothing(numbered: str, written: Config) -> None:
    assert set(promotions(opened(written, numbered)).values()) == {None}


class Notes(Silence):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def live(config: Config, topic: str) -> Config:
    """Return settings of a service that reads a topic."""
    topics = config.kafka.topics.model_copy(update={"input": topic})
    return config.model_copy(update={"kafka": config.kafka.model_copy(update={"topics": topics})})


def test_a_run_that_goes_on_follows_what_it_followed(numbered: str, written: Config) -> None:
    extra: dict[str, Any] = {}
    config, notes = live(written, numbered), Notes()
    follow(opened(config, numbered), config, extra, notes)
    known = {at: [one for one in rows if one[0] == "default"] for at, rows in WRITTEN.items()}
    assert extra == {"activations": known}  # the settings have no other group
    extra["activations"]["2"] = [["default", 0, 1]]
    again = opened(config, numbered)
    follow(again, config, extra, notes)
    assert {at["default"] for at in promotions(again, 80).values()} == {1}
    assert notes.said == []


def test_what_cannot_be_followed_is_said(
    kafka: str,
    numbered: str,
    written: Config,
    create_topic: CreateTopic,
    unique: Callable[[str], str],
) -> None:
    def said(config: Config) -> str:
        extra: dict[str, Any] = {}
        notes, source = Notes(), opened(config, numbered)
        follow(source, config, extra, notes)
        assert source.counted() == {}
        return " ".join(notes.said)

    def with_state(topic: str) -> Config:
        config = live(written, numbered)
        topics = config.kafka.topics.model_copy(update={"state": topic})
        return config.model_copy(
            update={"kafka": config.kafka.model_copy(update={"topics": topics})}
        )

    each = "each detector scores from its effective_from on"
    assert said(written) == f"{numbered} is not kafka.topics.input: {each}"
    empty = create_topic("state", 3, cleanup_policy="compact")
    assert said(with_state(empty)) == f"{each}: no live run wrote down in {empty} what counted when"
    missing, unknown = unique("missing"), f"{each}, since it is not known what counted live: "
    assert said(with_state(missing)).startswith(f"{unknown}topic {missing} does not exist")
    damaged = create_topic("state", 3, cleanup_policy="compact")
    key, _ = activation(4, 1)
    send(kafka, damaged, [Sent(key, b"{}", 0)])
    assert said(with_state(damaged)).startswith(f"{unknown}topic {damaged}, partition 0")


def test_before_each_batch_counts_what_counted_for_it() -> None:
    none = config_of(("a",))
    batch = Batch(Windows.empty(spec_of(none).length, 1), [], 0)
    told = [{"default": 1}, {"default": 3, "presses": 1}, None]
    source = Mock(batches=lambda _: (replace(batch, promotions=one) for one in told))
    lineup = Mock()
    counts = [lineup.count_only.call_args.args for _ in Followed(source, lineup).batches()]
    assert counts == [(0, one) for one in told]


# --- the whole command ---


@dataclass(frozen=True)
class Line:
    """One recording, in a file and in a topic."""

    file: Path
    topic: str
    config: Path
    out: Path  # of the replay of the file


@pytest.fixture(scope="module")
def line(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Make a plant's readings, by machine over four partitions, with dead letters among them."""
    from kafka.admin import NewTopic

    folder = tmp_path_factory.mktemp("line")
    rows = [(str(row[0]), _json(row)) for row in plant()]
    rows.insert(500, ("m2", BROKEN))
    rows.insert(700, ("m2", b"[]"))
    file = folder / "plant.jsonl"
    file.write_bytes(b"\n".join(value for _, value in rows) + b"\n")
    topic = f"plant-{folder.name}-{id(rows)}"
    with KafkaAdminClient(bootstrap_servers=kafka) as admin:
        kept = {"retention.ms": "-1"}
        admin.create_topics([NewTopic(topic, PARTITIONS, 1, topic_configs=kept)])
        sent = (Sent(m.encode(), v, time=1_000 + n) for n, (m, v) in enumerate(rows))
        send(kafka, topic, sent)
        broker = {"bootstrap_servers": [kafka]}
        learning = write_config(folder / "learning.yaml")
        uri = folder / "registry"
        good("train", file, "-c", learning, "-o", uri, "--train-until", 480)
        config = write_config(folder / "c.yaml", kafka=broker, registry={"uri": str(uri)})
        good("replay", file, "-c", config, "-o", folder / "out")
        yield Line(file, topic, config, folder / "out")
        admin.delete_topics([topic])


def _json(row: list[Any]) -> bytes:
    machine, time, *cells = row
    values = {name: float(cell) for name, cell in zip("abc", cells, strict=True)}
    return orjson.dumps({"machine_id": machine, "time": time, "values": values})


def test_a_topic_gives_the_bytes_that_its_file_gave(line: Line, tmp_path: Path) -> None:
    command = ("replay", "--from-topic", line.topic, "--to-time", RECORDED)
    answer = good(*command, "-c", line.config, "-o", tmp_path)
    file, topic = outputs(line.out), outputs(tmp_path)
    assert topic["scores.csv"] == file["scores.csv"]
    assert topic["alerts.jsonl"] == file["alerts.jsonl"]
    assert len(file["alerts.jsonl"].splitlines()) >= 2
    assert metrics(tmp_path)["counts"] == metrics(line.out)["counts"]
    dead = [orjson.loads(one) for one in topic["dead_letters.jsonl"].splitlines()]
    assert {one["topic"] for one in dead} == {line.topic}
    assert len({one["partition"] for one in dead}) == 1
    assert [one["value"] for one in dead] == [BROKEN.decode(), "[]"]
    assert "empty state" not in answer.err


def test_a_run_that_was_cut_off_goes_on_though_the_topic_grew(
    line: Line, kafka: str, tmp_path: Path
) -> None:
    class CutOff(Exception):
        pass

    def cut_off(_: Outputs) -> None:
        raise CutOff

    tree = load_config(line.config, {})
    small = tree.kafka.model_copy(update={"batch_records": 100})
    config = tree.model_copy(update={"kafka": small})
    options = ReplayOptions(TopicOptions(line.topic), tmp_path, checkpoint_s=0)
    with pytest.raises(CutOff):
        run_replay(options, config, watch=cut_off)
    later = _json(["m1", 1_800_000_000_000, "1", "1", "1"])
    send(kafka, line.topic, [Sent(b"m1", later), Sent(b"m1", later)])
    run_replay(options, config)
    assert (tmp_path / "scores.csv").read_bytes() == (line.out / "scores.csv").read_bytes()
    assert (tmp_path / "alerts.jsonl").read_bytes() == (line.out / "alerts.jsonl").read_bytes()


def test_a_topic_can_be_its_own_history(line: Line, kafka: str, tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.yaml", kafka={"bootstrap_servers": [kafka]})
    command = ("replay", "--from-topic", line.topic, "--to-time", RECORDED)
    answer = good(*command, "-c", config, "-o", tmp_path / "out")
    assert "history: " in answer.err
    assert metrics(tmp_path / "out")["machines"] == 3


def test_a_later_beginning_starts_empty_and_says_so(line: Line, tmp_path: Path) -> None:
    command = ("replay", "--from-topic", line.topic, "-c", line.config, "-o", tmp_path)
    answer = good(*command, "--from-time", "1970-01-01T00:00:01.700Z")
    assert "starts with empty state at record timestamp 1970-01-01T00:00:01.700Z" in answer.err
    found, whole = scores(tmp_path), scores(line.out)
    assert 0 < len(found) < len(whole)
    assert found.keys() < whole.keys()
    complete = [key for key in found if key[1] >= text_of(236)]
    assert len(complete) > 20
    assert all(found[key][2] == whole[key][2] for key in complete)  # raw scores have no past


def test_an_empty_range_is_an_error(line: Line, tmp_path: Path) -> None:
    """The second one is known to be empty only once it was read."""
    out = tmp_path / "out"
    command = ("replay", "--from-topic", line.topic, "-c", line.config, "-o", out)
    for since in ("2999-01-01T00:00:00Z", "2100-01-01T00:00:00Z"):
        said = refused(*command, "--from-time", since)
        assert f"has no records from {since} to end by the timestamps that Kafka keeps" in said
        assert not out.exists()


# --- without a broker ---


def test_the_input_is_a_file_or_a_topic(tmp_path: Path) -> None:
    file, out = tmp_path / "a.csv", tmp_path / "out"
    assert "FILE, --from-topic = 'neither'" in refused("replay", "-o", out)
    assert "FILE, --from-topic = 'both'" in refused("replay", file, "--from-topic", "t", "-o", out)
    said = refused("replay", file, "--from-time", "2024-01-01T00:00:00Z", "-o", out)
    assert "--from-topic = None: allowed is a topic" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--label-column", "label"], "--label-column = 'label': allowed is nothing with"),
        (["--train-until", "400"], "--train-until = '400': allowed is a time"),
        (["--from-time", "yesterday"], "--from-time = 'yesterday': allowed is a time such as"),
        (["--from-time", "end"], "--from-time = 'end': allowed"),
        (["--to-time", "2024-01-01T00:00:00"], "--to-time = '2024-01-01T00:00:00': allowed"),
        (["--to-time", "20240101"], "--to-time = '20240101': allowed"),
        (
            ["--from-time", "2024-01-02T00:00:00Z", "--to-time", "2024-01-01T00:00:00Z"],
            "--to-time = '2024-01-01T00:00:00Z': allowed is a time after --from-time",
        ),
        ([], "kafka.bootstrap_servers = []: allowed"),
    ],
)
def test_what_does_not_go_with_a_topic_is_refused(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    config = write_config(tmp_path / "c.yaml")
    command = ("replay", "--from-topic", "t", "-c", config, "-o", tmp_path / "out")
    assert message in refused(*command, *arguments)


def test_a_topic_needs_a_config(tmp_path: Path) -> None:
    said = refused("replay", "--from-topic", "t", "-o", tmp_path / "out")
    assert "--config = None: allowed is a file with windows.sensors and windows.period_s" in said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.0015Z", 2),
        ("1970-01-01T00:00:00.002+00:00", 2),
        ("1970-01-01T02:00:00+02:00", 0),
    ],
)
def test_times_are_the_next_whole_millisecond(text: str, expected: int) -> None:
    assert millis("--from-time", text) == expected


def test_brokers_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "TRY_MS", 200)
    with pytest.raises(BrokerError, match=r"reading topic t: cannot reach 127.0.0.1:1"):
        opened(config_for("127.0.0.1:1"), "t")
