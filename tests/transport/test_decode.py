"""JSON records: what is used, what is masked, what is a dead letter and why."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.config import Config
from stream_ad.transport.base import Batch
from stream_ad.transport.decode import Decoder
from stream_ad.windows.batches import Windows
from tests.transport.recordings import config_of, readings, spec_of

AB = config_of(("a", "b"))
FLAT = (
    "values: field required "
    '(input.fields.values names it, "." where the sensors stand beside the time)'
)
GOOD = {"machine_id": "m", "time": 5, "values": {"a": 1.5, "b": 2}}


def decode(*records: object, config: Config = AB) -> Batch:
    raws = [r if r is None or isinstance(r, bytes) else orjson.dumps(r) for r in records]
    return Decoder(config.input, config.limits, spec_of(config)).decode(enumerate(raws))


def why(record: object, config: Config = AB) -> tuple[str, str]:
    """Return class and message of the dead letter that a record becomes."""
    batch = decode(record, config=config)
    assert len(batch.records) == 0
    (letter,) = batch.dead
    return letter.error_class, letter.error_message


def cells(record: object, config: Config = AB) -> list[float]:
    batch = decode(record, config=config)
    assert not batch.dead
    return list(readings(batch).values[0].tolist())


def test_a_reading_becomes_one_row() -> None:
    batch = decode(GOOD)
    rows = readings(batch)
    assert rows.machine.tolist() == ["m"]
    assert rows.time.tolist() == [5_000_000]
    assert rows.values.tolist() == [[1.5, 2.0]]
    assert (batch.position, batch.counts) == (1, {})


def test_unknown_fields_and_sensors_are_ignored_and_absent_ones_missing() -> None:
    record = {**GOOD, "site": {"x": 1}, "values": {"b": 2, "other": "text"}}
    np.testing.assert_array_equal(cells(record), [np.nan, 2])


@pytest.mark.parametrize("text", [b"null", b"NaN", b"Infinity", b"-Infinity", b"1e400", b'"NaN"'])
def test_what_is_not_finite_is_missing_and_not_counted(text: bytes) -> None:
    raw = b'{"machine_id": "m", "time": 5, "values": {"a": %s, "b": 2}}' % text
    batch = decode(raw)
    np.testing.assert_array_equal(readings(batch).values, [[np.nan, 2]])
    assert not batch.counts


@pytest.mark.parametrize("cell", [True, "warm", [1], {"value": 1}])
def test_a_cell_that_is_no_number_is_missing_and_counted(cell: object) -> None:
    batch = decode({**GOOD, "values": {"a": cell, "b": 2}})
    np.testing.assert_array_equal(readings(batch).values, [[np.nan, 2]])
    assert batch.counts == {"not_a_number": 1}


@pytest.mark.parametrize("number", ["1e39", "9" * 60, "-" + "9" * 300])
def test_numbers_beyond_float32_are_missing_and_counted(number: str) -> None:
    batch = decode(orjson.dumps(GOOD).replace(b"1.5", number.encode()))
    np.testing.assert_array_equal(readings(batch).values, [[np.nan, 2]])
    assert batch.counts == {"out_of_float32": 1}


def test_whole_numbers_beyond_float64_are_infinite() -> None:
    raw = orjson.dumps({**GOOD, "x": 0}).replace(b"1.5", b"9" * 400).replace(b'"x":0', b'"x":NaN')
    assert np.isnan(readings(decode(raw)).values[0, 0])


@pytest.mark.parametrize(
    ("record", "error_class", "message"),
    [
        (None, "NoValue", "record = None: allowed is a JSON object"),
        (b"", "InvalidJson", "no JSON in UTF-8"),
        (b"{", "InvalidJson", "no JSON in UTF-8"),
        (b'{"machine_id": "\xff", "time": 5, "values": {}}', "InvalidJson", "no JSON in UTF-8"),
        (b"\x00\x01\xfe", "InvalidJson", "no JSON in UTF-8"),
        (b'{"machine_id": "\\ud800"}', "InvalidJson", "no JSON in UTF-8"),
        (b"[]", "InvalidRecord", "record = []: allowed is a JSON object"),
        (b"null", "InvalidRecord", "record = None: allowed is a JSON object"),
        ({**GOOD, "machine_id": ""}, "InvalidRecord", "machine_id = '': allowed is 1 to 249"),
        ({**GOOD, "machine_id": "x" * 250}, "InvalidRecord", "machine_id = 'xxx"),
        ({**GOOD, "machine_id": None}, "InvalidRecord", "machine_id = None: allowed is 1 to 249"),
        ({**GOOD, "machine_id": True}, "InvalidRecord", "machine_id = True"),
        ({**GOOD, "time": True}, "InvalidRecord", "time = True: allowed is RFC 3339"),
        ({**GOOD, "time": None}, "InvalidRecord", "time = None: allowed is RFC 3339"),
        ({**GOOD, "time": [5]}, "InvalidRecord", "time = [5]: allowed is RFC 3339"),
        ({**GOOD, "time": "soon"}, "InvalidTime", "time = 'soon': allowed is RFC 3339"),
        ({**GOOD, "time": 10**18}, "InvalidTime", "time = 1000000000000000000: allowed is"),
        ({**GOOD, "time": -5}, "InvalidTime", "time = -5: allowed"),
        ({**GOOD, "time": -(10**17)}, "InvalidTime", "time = -100000000000000000: allowed"),
        ({**GOOD, "values": [1, 2]}, "InvalidRecord", "values = [1, 2]: allowed is a valid dict"),
        ({**GOOD, "values": None}, "InvalidRecord", "values = None: allowed is a valid dict"),
        ({"machine_id": "m", "time": 5}, "InvalidRecord", FLAT),
        ({"time": 5, "values": {}}, "InvalidRecord", "machine_id: field required"),
        ({"machine_id": "m", "values": {}}, "InvalidRecord", "time: field required"),
    ],
)
def test_dead_letters_say_key_value_and_what_is_allowed(
    record: object, error_class: str, message: str
) -> None:
    found = why(record)
    assert found[0] == error_class
    assert found[1].startswith(message)


def test_dead_letters_keep_the_bytes_and_the_rest_goes_on() -> None:
    batch = decode(GOOD, b"{broken", GOOD)
    assert readings(batch).offset.tolist() == [0, 2]
    assert [(letter.offset, letter.value) for letter in batch.dead] == [(1, b"{broken")]
    assert batch.position == 3


def test_times_with_decimals_are_times() -> None:
    assert readings(decode({**GOOD, "time": 5.25})).time.tolist() == [5_250_000]


def test_numbers_name_machines_as_their_text_does() -> None:
    assert readings(decode({**GOOD, "machine_id": 17})).machine.tolist() == ["17"]


def test_of_a_key_that_stands_there_twice_the_last_counts() -> None:
    raw = b'{"machine_id": "m", "time": 1, "time": 5, "values": {"a": 1, "a": 3, "b": 2}}'
    assert cells(raw) == [3.0, 2.0]


def test_limits_are_dead_letters_that_name_the_setting() -> None:
    config = config_of(("a", "b"), limits={"record_bytes": 100, "sensors": 3, "nesting": 4})
    assert not decode(GOOD, config=config).dead
    large = {**GOOD, "note": "x" * 100}
    assert why(large, config)[1].endswith("allowed are limits.record_bytes = 100")
    assert why(large, config)[0] == "RecordTooLarge"
    many = {**GOOD, "values": dict.fromkeys("abcd", 1)}
    assert why(many, config) == ("TooManySensors", "4 sensors: allowed are limits.sensors = 3")
    deep = {**GOOD, "x": [[[[]]]]}
    assert why(deep, config)[0] == "NestedTooDeep"


def test_brackets_in_text_and_beside_each_other_are_no_nesting() -> None:
    config = config_of(("a", "b"), limits={"nesting": 3})
    assert not decode({**GOOD, "x": '[[[["[[[[', "y": [[], [], {}, {}]}, config=config).dead


@pytest.mark.parametrize("depth", [100, 100_000])
def test_depth_alone_never_breaks_the_decoder(depth: int) -> None:
    raw = b'{"a":' * depth + b"1" + b"}" * depth
    config = config_of(("a", "b"), limits={"nesting": 10**6})
    assert why(raw)[0] == "NestedTooDeep"
    assert why(raw, config)[0] in {"InvalidRecord", "InvalidJson"}


def test_other_peoples_names_are_mapped() -> None:
    config = config_of(
        ("a", "b"),
        fields={"machine_id": "meta.deviceId", "time": "ts", "values": "."},
        time_unit="s",
    )
    record = {"meta": {"deviceId": "d"}, "ts": 5, "a": 1, "b": 2}
    batch = decode(record, config=config)
    assert readings(batch).machine.tolist() == ["d"]
    assert readings(batch).time.tolist() == [5_000_000_000]
    assert readings(batch).values.tolist() == [[1.0, 2.0]]
    message = why({"meta": 3, "ts": 5}, config)[1]
    assert message == "meta.deviceId: field required"


def test_without_machine_ids_there_is_one_machine() -> None:
    config = config_of(("a", "b"), fields={"machine_id": None})
    batch = decode({"time": 5, "values": {}}, config=config)
    assert readings(batch).machine.tolist() == ["machine"]


def test_bad_quality_of_a_record_or_a_sensor_is_missing() -> None:
    config = config_of(("a", "b"), good_quality=[192], fields={"quality": "q"})
    batch = decode(
        {**GOOD, "q": 192},
        {**GOOD, "q": "192"},
        {**GOOD, "q": 0},
        {**GOOD, "q": {"a": 0, "b": 192, "other": 0}},
        GOOD,
        config=config,
    )
    missing = np.isnan(readings(batch).values).tolist()
    assert missing == [[False] * 2, [False] * 2, [True] * 2, [True, False], [False] * 2]
    assert batch.counts == {"bad_quality": 2}


def test_long_records_fill_one_cell_and_ignore_other_sensors() -> None:
    config = config_of(("a", "b"), format="long")
    base = {"machine_id": "m", "time": 5}
    batch = decode(
        {**base, "sensor": "b", "value": 2},
        {**base, "sensor": "other", "value": 3},
        {**base, "sensor": "a", "value": None},
        config=config,
    )
    assert readings(batch).offset.tolist() == [0, 2]
    expected = np.array([[np.nan, 2], [np.nan, np.nan]], np.float32)
    np.testing.assert_array_equal(readings(batch).values, expected)
    assert why({**base, "value": 1}, config)[1] == "sensor: field required"
    assert why({**base, "sensor": "a"}, config)[1] == "value: field required"
    assert why({**base, "sensor": "", "value": 1}, config)[1].startswith("sensor = ''")


WINDOW: dict[str, Any] = {
    "machine_id": "m",
    "start": 5,
    "period_s": 1,
    "sensors": ["a", "b"],
    "values": [[1, 2], [3.5, None], [5, 6]],
}
WINDOWS = config_of(("a", "b"), format="window", windows={"length": 3})


def windows(*records: object) -> Windows:
    batch = decode(*records, config=WINDOWS)
    assert not batch.dead
    assert isinstance(batch.records, Windows)
    return batch.records


def test_a_window_record_is_a_window() -> None:
    found = windows(WINDOW)
    assert found.start.tolist() == [5_000_000]
    expected = np.array([[[1, 2], [3.5, np.nan], [5, 6]]], np.float32)
    np.testing.assert_array_equal(found.values, expected)


def test_sensors_of_a_window_go_by_name_and_absent_ones_are_missing() -> None:
    swapped = {**WINDOW, "sensors": ["b", "a"]}
    other = {**WINDOW, "sensors": ["b", "x"]}
    found = windows(WINDOW, swapped, other).values
    assert found[1].tobytes() == np.ascontiguousarray(found[0][:, ::-1]).tobytes()
    np.testing.assert_array_equal(found[2][:, 1], [1, 3.5, 5])
    assert np.isnan(found[2][:, 0]).all()


def test_true_in_the_mask_is_missing() -> None:
    mask = [[True, False], [False, False], [False, True]]
    found = windows({**WINDOW, "mask": mask}, {**WINDOW, "mask": None})
    assert np.isnan(found.values[0]).tolist() == [[True, False], [False, True], [False, True]]
    assert np.isnan(found.values[1]).sum() == 1


def test_cells_of_a_window_that_are_no_numbers_are_masked_and_counted() -> None:
    batch = decode({**WINDOW, "values": [[True, 2], ["x", 1e39], [5, "6"]]}, config=WINDOWS)
    expected = np.array([[[np.nan, 2], [np.nan, np.nan], [5, 6]]], np.float32)
    assert isinstance(batch.records, Windows)
    np.testing.assert_array_equal(batch.records.values, expected)
    assert batch.counts == {"not_a_number": 2, "out_of_float32": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"period_s": 2}, "period_s = 2: allowed is windows.period_s = 1"),
        ({"period_s": 0}, "period_s = 0: allowed is greater than 0"),
        ({"period_s": "1"}, "period_s = '1': allowed is a valid number"),
        ({"values": [[1, 2]] * 2}, "values has 2 rows: allowed are windows.length = 3"),
        ({"values": [[1, 2], [3], [4, 5]]}, "values: allowed are 2 cells per row"),
        ({"values": [1, 2, 3]}, "values.0 = 1: allowed is a valid list"),
        ({"values": {}}, "values = {}: allowed is a valid list"),
        ({"sensors": ["a", "a"]}, "sensors: allowed is every name once"),
        ({"sensors": ["x", "y"]}, "sensors: none of the configured ones, a, b"),
        ({"sensors": ["a", 3]}, "sensors.1 = 3: allowed is a valid string"),
        ({"sensors": "ab"}, "sensors = 'ab': allowed is a valid list"),
        ({"mask": [[True, False]]}, "mask has 1 rows: allowed are windows.length = 3"),
        ({"mask": [[1, 0]] * 3}, "mask: allowed are true and false"),
        ({"start": "soon"}, "start = 'soon': allowed is RFC 3339"),
    ],
)
def test_windows_that_do_not_fit_are_dead_letters(change: dict[str, Any], message: str) -> None:
    assert why({**WINDOW, **change}, WINDOWS)[1].startswith(message)


def test_a_window_lacking_a_part_names_it() -> None:
    for part in WINDOW:
        rest = {name: value for name, value in WINDOW.items() if name != part}
        assert why(rest, WINDOWS) == ("InvalidRecord", f"{part}: field required")


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)


@pytest.mark.parametrize("form", ["reading", "long", "window"])
@given(data=st.data())
def test_no_record_whatever_raises(form: str, data: st.DataObject) -> None:
    base = {**GOOD, **WINDOW, "sensor": "a", "value": 1}
    keys = st.sampled_from(sorted(base))
    record = {**base, **data.draw(st.dictionaries(keys, JSON))}
    config = config_of(("a", "b"), format=form, windows={"length": 3})
    try:
        raw = orjson.dumps(record)
    except (TypeError, orjson.JSONEncodeError):
        raw = repr(record).encode("utf-8", "surrogatepass")
    batch = decode(raw, data.draw(st.binary(max_size=20)), config=config)
    # a long record about another sensor is neither
    assert len(batch.records) + len(batch.dead) in ({1, 2} if form == "long" else {2})


def around(
    record: object, key: bytes | None, *headers: tuple[str, bytes], **fields: str
) -> tuple[Batch, Decoder]:
    """Decode a record with the key and headers of its message."""
    config = config_of(("a", "b"), fields=fields)
    decoder = Decoder(config.input, config.limits, spec_of(config))
    envelopes = [(key, headers)]
    return decoder.decode([(7, orjson.dumps(record))], None, envelopes), decoder


def test_a_key_names_the_machine_and_a_header_the_time() -> None:
    headers = ("ts", b"1"), ("ts", b"9000"), ("other", b"\xff")
    fields = {"machine_id": "$key", "time": "$header.ts"}
    batch, decoder = around({"values": {"a": 1}}, "ü".encode(), *headers, **fields)
    assert decoder.needs_envelope
    assert readings(batch).machine.tolist() == ["ü"]
    assert readings(batch).time.tolist() == [9_000_000_000]  # of two headers the last


@pytest.mark.parametrize(
    ("key", "headers", "error_class", "message"),
    [
        (None, [("a.b", b"5")], "MissingField", "$key: the message has no such key"),
        (b"m", [], "MissingField", "$header.a.b: the message has no such header"),
        (b"\xff", [("a.b", b"5")], "InvalidField", "$key = b'\\xff': allowed is text in UTF-8"),
        (b"m", [("a.b", b"\xff")], "InvalidField", "$header.a.b = b'\\xff': allowed is text"),
        (b"", [("a.b", b"5")], "InvalidRecord", "$key = '': allowed is 1 to 249"),
        (b"m", [("a.b", b"soon")], "InvalidTime", "$header.a.b = 'soon': allowed is RFC 3339"),
    ],
)
def test_a_key_or_header_that_cannot_be_used_is_a_dead_letter_with_its_name(
    key: bytes | None, headers: list[tuple[str, bytes]], error_class: str, message: str
) -> None:
    own = {**GOOD, "$key": "spoof", "$header": {"a": {"b": 5}}, "$header.a.b": 5}
    fields = {"machine_id": "$key", "time": "$header.a.b"}
    batch, _ = around(own, key, *headers, **fields)
    (letter,) = batch.dead
    assert (letter.offset, letter.error_class) == (7, error_class)
    assert letter.error_message.startswith(message)


def test_a_quality_code_in_a_header_may_be_absent() -> None:
    config = config_of(("a", "b"), fields={"quality": "$header.q"}, good_quality=[192])
    decoder = Decoder(config.input, config.limits, spec_of(config))
    raw = orjson.dumps(GOOD)
    good, bad = [("q", b"192")], [("q", b"0")]
    batch = decoder.decode(enumerate([raw] * 3), None, [(None, h) for h in ([], good, bad)])
    assert np.isnan(readings(batch).values).all(axis=1).tolist() == [False, False, True]


def test_dead_letters_keep_as_much_as_asked() -> None:
    decoder = Decoder(AB.input, AB.limits, spec_of(AB), keep=100_000)
    raw = b"{" * 90_000
    (letter,) = decoder.decode([(0, raw)]).dead
    assert letter.value == raw
    (letter,) = Decoder(AB.input, AB.limits, spec_of(AB)).decode([(0, raw)]).dead
    assert letter.value == raw[:64_000]
