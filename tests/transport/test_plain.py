"""The quick way and the judge: the same bits, the same dead letters, the same counts."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.config import Config
from stream_ad.transport.base import Batch
from stream_ad.transport.decode import Decoder
from stream_ad.transport.fields import Envelope
from stream_ad.transport.json_text import shallow
from stream_ad.transport.plain import PlainRecords
from stream_ad.transport.times import TimeReader
from stream_ad.windows.batches import Readings
from tests.transport.recordings import config_of, spec_of

WINDOWS = {"length": 3, "period_s": 2}
READING = {"machine_id": "m", "time": 5, "values": {"a": 1.5, "b": 2, "c": -0.0}}
WINDOW = {
    "machine_id": "m",
    "start": 5000,
    "period_s": 2.0,
    "sensors": ["a", "b", "c"],
    "values": [[1.5, 2, 3], [0, 1, -0.0], [7.25, 8, 9]],
}

cells = (
    st.sampled_from(
        [
            0,
            1,
            -0.0,
            2.5,
            1e39,
            10**400,
            None,
            True,
            False,
            "3.5",
            "warm",
            "",
            [1],
            {"a": 1},
            "[",
            "t",
        ]
    )
    | st.floats()
)
names = st.sampled_from(["m", "", "x" * 249, "x" * 250, 17, -3, 2.5, None, True, ["m"], "präge{["])
times = st.sampled_from(
    [
        *(0, 5, 5000, 5.25, -5, 2**63, 2**64 - 1, 10**30, True, None, [5], "", "soon", "5", " 5 "),
        *("2024-01-01T10:00:00Z", "2024-01-01 10:00", "2024-01-01T10:00:00.5+02:00", "1,5", "1.5"),
        *("2024-02-30", "2024-01-01", "2262-01-01T00:00:00Z", "1e3", "x" * 100),
    ]
)
extras: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {},
        {},
        {},
        {"site": "hall"},
        {"tags": ["a[[", "b"]},
        {"tags": [[[[[1]]]]]},
        {"deep": {"a": {"b": {}}}},
        {"mask": None},
        {"mask": [[False] * 3, [True, False, False], [False] * 3]},
        {"mask": [[1] * 3] * 3},
        {"ok": True},
        {"note": "true"},
        {"$key": "spoof"},
    ]
)
periods = st.sampled_from([2.0, 2, 1, True, "2", None, 0, -1, float("nan"), 2.0000000001])
sensors = st.sampled_from(
    [["a", "b", "c"], ["c", "a", "b"], ["a", "b"], ["x"], [], "abc", None, [1, 2, 3], ["a"] * 3]
)
tables = st.lists(st.lists(cells, min_size=2, max_size=4), min_size=2, max_size=4)


@st.composite
def changed(draw: st.DrawFn, record: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    """Return a record with some of its parts changed, absent, or others beside them."""
    tree = dict(record)
    for part in draw(st.sets(st.sampled_from(sorted(parts)), max_size=2)):
        tree[part] = draw(parts[part])
    tree |= draw(extras)
    for part in draw(st.sets(st.sampled_from(sorted(record)), max_size=1)):
        if draw(st.booleans()):
            tree.pop(part, None)
    return tree


@st.composite
def one_cell(draw: st.DrawFn) -> Any:
    rows: Any = [list(row) for row in WINDOW["values"]]  # type: ignore[attr-defined]
    rows[draw(st.integers(0, 2))][draw(st.integers(0, 2))] = draw(cells)
    return rows


values = st.dictionaries(st.sampled_from("abcd"), cells, max_size=4)
reading_records = changed(
    READING, {"machine_id": names, "time": times, "values": values | cells | tables}
)
window_records = changed(
    WINDOW,
    {
        "machine_id": names,
        "start": times,
        "period_s": periods,
        "sensors": sensors,
        "values": one_cell() | tables | cells,
    },
)


def text(tree: dict[str, Any], twice: str | None) -> bytes:
    """Return JSON; ``twice`` names a part that stands there with an odd value before its own."""
    raw = dump(tree)
    odd = b'{"%s":[[[[true]]]],' % twice.encode() if twice in tree else b"{"
    return odd + raw[1:] if len(raw) > 2 else raw


def dump(tree: object) -> bytes:
    import json  # writes NaN, Infinity and whole numbers of any length

    return json.dumps(tree, ensure_ascii=False).encode()


@st.composite
def raws(draw: st.DrawFn, records: st.SearchStrategy[dict[str, Any]]) -> bytes | None:
    raw = text(draw(records), draw(st.sampled_from([None] * 9 + ["values", "time", "tags"])))
    damage = draw(st.sampled_from(["none"] * 12 + ["cut", "swap", "spaced", "gone", "list"]))
    if damage == "cut":
        return raw[: draw(st.integers(0, len(raw)))]
    if damage == "swap":
        place = draw(st.integers(0, len(raw)))
        return raw[:place] + draw(st.sampled_from([b'"', b"[", b"}", b"\xff", b"\\"])) + raw[place:]
    if damage == "spaced":
        return raw.replace(b"[", b" [ ")
    return {"none": raw, "gone": None, "list": b"[%s]" % raw}[damage]


def decoded(config: Config, given: list[bytes | None], *, plain: bool, **more: Any) -> Batch:
    decoder = Decoder(config.input, config.limits, spec_of(config))
    assert decoder._plain is not None
    if not plain:
        decoder._plain = None
    return decoder.decode(enumerate(given), **more)


def assert_the_same_both_ways(config: Config, given: list[bytes | None], **more: Any) -> Batch:
    quick = decoded(config, given, plain=True, **more)
    judged = decoded(config, given, plain=False, **more)
    assert list(quick.dead) == list(judged.dead)
    assert quick.position == judged.position
    assert Counter(quick.counts) == Counter(judged.counts)
    for one, other in zip(_columns(quick), _columns(judged), strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert (one.tolist() if one.dtype == object else one.tobytes()) == (
            other.tolist() if other.dtype == object else other.tobytes()
        )
    return quick


def _columns(batch: Batch) -> list[np.ndarray[Any, Any]]:
    records = batch.records
    time = records.time if isinstance(records, Readings) else records.start
    return [records.machine, time, records.values, records.offset]


settings_of_input = st.sampled_from(
    [
        {},
        {"csv": {"decimal": ",", "delimiter": ";"}},
        {"time_zone": "Europe/Berlin"},
        {"time_unit": "s"},
        {"time_format": "%Y-%m-%d"},
        {"limits": {"nesting": 2, "sensors": 3}},
        {"limits": {"nesting": 1}},
        {"limits": {"nesting": 3, "record_bytes": 80}},
    ]
)


@given(st.lists(raws(reading_records), max_size=6), settings_of_input)
def test_readings_are_the_same_both_ways(given: list[bytes | None], own: dict[str, Any]) -> None:
    assert_the_same_both_ways(config_of(**own), given)


@given(st.lists(raws(window_records), max_size=6), settings_of_input)
def test_windows_are_the_same_both_ways(given: list[bytes | None], own: dict[str, Any]) -> None:
    assert_the_same_both_ways(config_of(format="window", windows=WINDOWS, **own), given)


@given(
    st.lists(raws(reading_records), max_size=6),
    st.lists(st.sampled_from([b"m", b"", b"\xff", None, "ü".encode(), b"x" * 250]), min_size=6),
)
def test_keys_that_name_machines_are_the_same_both_ways(
    given: list[bytes | None], keys: list[bytes | None]
) -> None:
    around: list[Envelope] = [(key, []) for key in keys[: len(given)]]
    assert_the_same_both_ways(config_of(fields={"machine_id": "$key"}), given, envelopes=around)


def test_one_machine_is_the_same_both_ways() -> None:
    batch = assert_the_same_both_ways(config_of(fields={"machine_id": None}), [dump(READING)])
    assert batch.records.machine.tolist() == ["machine"]


@pytest.mark.parametrize("record", [READING, WINDOW], ids=["reading", "window"])
def test_ordinary_records_go_the_quick_way(record: dict[str, Any]) -> None:
    shape = {"format": "window", "windows": WINDOWS} if record is WINDOW else {}
    config = config_of(**shape)
    records = PlainRecords(config.input, config.limits, spec_of(config), TimeReader(config.input))
    given = [orjson.dumps(record | change) for change in ({}, {"machine_id": 7}, {"x": 1})]
    assert records.take([*given, b"{"], None, Counter()).places == [0, 1, 2]


@pytest.mark.parametrize(
    "own",
    [
        {"fields": {"values": "."}},
        {"fields": {"time": "meta.ts"}},
        {"fields": {"time": "$header.ts"}},
        {"format": "long"},
        {"good_quality": [192]},
    ],
)
def test_what_is_never_plain_is_left_to_the_judge(own: dict[str, Any]) -> None:
    assert not PlainRecords.exist(config_of(**own).input)


brackets = st.text('[]{}"\\ax', max_size=40).map(str.encode)


@given(brackets, st.integers(1, 5))
def test_shallow_counts_brackets_outside_of_strings(raw: bytes, limit: int) -> None:
    depth = deepest = 0
    inside = escaped = False
    for sign in raw.decode():
        if inside:
            inside = escaped or sign != '"'
            escaped = sign == "\\" and not escaped
        elif sign == '"':
            inside = True
        else:
            depth += (sign in "[{") - (sign in "]}")
            deepest = max(deepest, depth)
    if not inside and b"\\" not in raw.replace(b'\\"', b""):
        assert shallow(raw, limit) == (deepest <= limit)
