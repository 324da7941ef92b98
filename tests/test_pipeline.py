"""The straight path with a judge whose scores can be computed in one's head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_ad.config import Config, parse_config
from stream_ad.detector.calibration import Calibration
from stream_ad.detector.explanation import Explanation
from stream_ad.detector.line import AlarmLine
from stream_ad.detector.scores import Scores
from stream_ad.pipeline import Pipeline
from stream_ad.transport.base import Batch, DeadLetter, Outputs
from stream_ad.versions import Version
from stream_ad.windows import Readings, WindowSpec
from stream_ad.windows.spec import NS, rfc3339

Values = NDArray[np.float32]


class Mean:
    """A judge whose raw score is the mean of a window's cells; ordinary is 0, the line about 1."""

    channels: tuple[str, ...] = ("mean",)

    def __init__(self, spec: WindowSpec, level: float = 1.0) -> None:
        self.spec, self.seen = spec, 0
        self.known = np.ones(len(spec.sensors), bool)
        raw = np.tile([-level, 0.0, level], 200)
        start = np.arange(len(raw)) * spec.hop_ns
        machine = np.full(len(raw), "m", object)
        self.line_ = AlarmLine.for_rate(
            Calibration(machine, start, raw, spec.hop_ns, spec.window_ns), 0.01, 10.0
        )

    def score(self, values: Values, start: NDArray[np.int64], machine: object = None) -> Scores:
        self.seen += len(values)
        raw = np.nanmean(values.astype(np.float64), axis=(1, 2))
        sensors = np.nan_to_num(np.abs(values).mean(axis=1)).astype(np.float64)
        return Scores(raw=raw, error=raw, sensor_error=sensors)

    def explain(self, X: Values, start: NDArray[np.int64], machine: object = None) -> Explanation:
        size = np.nan_to_num(np.abs(X).astype(np.float64)).sum(axis=1)
        return Explanation(
            share=size / size.sum(axis=1, keepdims=True),
            expected=np.zeros(size.shape),
            actual=X[:, 0].astype(np.float64),
            expected_window=np.zeros(X.shape),
            channels=self.channels,
            evidence=np.ones((len(X), 1)),
            neighbour_machine=np.full((len(X), 1), "m", object),
            neighbour_start=np.zeros((len(X), 1), np.int64),
            neighbour_distance=np.zeros((len(X), 1)),
        )


def make(**windows: Any) -> tuple[Config, WindowSpec]:
    return make_muted([], **windows)


def make_muted(stops: list[tuple[str, int, int]], **windows: Any) -> tuple[Config, WindowSpec]:
    """Return settings with planned stops: machines, from and to in seconds."""
    section = {"sensors": ["a", "b"], "period_s": 1, "length": 2, "hop": 2} | windows
    alarm = {"m": 2, "n": 3, "close_after": 2} | {
        "mute": [
            {"machines": name, "from": rfc3339(a * NS), "to": rfc3339(b * NS)}
            for name, a, b in stops
        ]
    }
    config = parse_config({"windows": section, "alarm": alarm})
    return config, WindowSpec.from_config(config.windows)


def readings(values: Sequence[Sequence[float]], machine: str = "m") -> Readings:
    n = len(values)
    return Readings(
        np.full(n, machine, object),
        np.arange(n) * NS,
        np.array(values, np.float32),
        np.arange(n),
    )


def run(pipeline: Pipeline, records: Readings) -> Outputs:
    return pipeline.process([Batch(records, (), len(records))])


def test_two_of_three_alarms_open_an_incident_and_two_quiet_windows_close_it() -> None:
    config, spec = make()
    pipeline = Pipeline(config, spec, [Version(Mean(spec), 7, 0)])
    loud, quiet = [[5.0, 9.0]], [[0.0, 0.0]]
    outputs = run(pipeline, readings(4 * quiet + 4 * loud + 8 * quiet + quiet))
    assert [row.alarm for row in outputs.scores] == [0, 0, 1, 1, 0, 0, 0, 0]
    opened, closed = (told.event for told in outputs.incidents)
    assert (opened.event, opened.started_at) == ("opened", "1970-01-01T00:00:04Z")
    assert (opened.window_start, opened.window_end) == (
        "1970-01-01T00:00:06Z",
        "1970-01-01T00:00:08Z",
    )
    assert (closed.event, closed.closed_reason) == ("closed", "recovered")
    assert closed.window_end == "1970-01-01T00:00:12Z"
    assert opened.incident_id == closed.incident_id
    assert (opened.raw_score, opened.model_version) == (7.0, 7)
    assert [(s.name, s.actual) for s in opened.sensors] == [("b", 9.0), ("a", 5.0)]
    assert [s.share for s in opened.sensors] == pytest.approx([9 / 14, 5 / 14])


def test_windows_before_the_first_model_are_counted_and_not_scored() -> None:
    config, spec = make()
    judge = Mean(spec)
    pipeline = Pipeline(config, spec, [Version(judge, 1, 4 * NS)])
    outputs = run(pipeline, readings([[0.0, 0.0]] * 9))
    assert [row.window_end // NS for row in outputs.scores] == [4, 6, 8]
    assert pipeline.partitions[0].states["m"].counts["before_model"] == 1
    assert judge.seen == 3


def test_each_window_is_scored_by_the_newest_version_in_effect() -> None:
    config, spec = make()
    versions = [Version(Mean(spec), 1, 0), Version(Mean(spec), 2, 5 * NS)]
    outputs = run(Pipeline(config, spec, versions), readings([[0.0, 0.0]] * 9))
    assert [(row.window_end // NS, row.model_version) for row in outputs.scores] == [
        (2, 1),
        (4, 1),
        (6, 2),
        (8, 2),
    ]


def test_a_window_with_too_much_missing_is_counted_and_not_scored() -> None:
    config, spec = make(max_gap_s=0, max_missing=0.5)
    nan = float("nan")
    rows: list[list[float]] = [
        [0.0, 0.0],
        [0.0, 0.0],
        [0.0, nan],
        [nan, nan],
        [1.0, nan],
        [1.0, nan],
        [0, 0],
    ]
    pipeline = Pipeline(config, spec, [Version(Mean(spec), 1, 0)])
    outputs = run(pipeline, readings(rows))
    assert [row.window_start // NS for row in outputs.scores] == [0, 4]
    assert pipeline.partitions[0].states["m"].counts["too_much_missing"] == 1
    assert outputs.scores[1].raw_score == 1.0


def test_a_window_of_unknown_sensors_only_is_not_scored_whatever_is_allowed() -> None:
    config, spec = make(max_gap_s=0, max_missing=1.0)
    judge = Mean(spec)
    judge.known = np.array([True, False])
    nan = float("nan")
    pipeline = Pipeline(config, spec, [Version(judge, 1, 0)])
    outputs = run(pipeline, readings([[nan, 5.0], [nan, 5.0], [0.0, 0.0]]))
    assert not outputs.scores


def test_impossible_values_do_not_feed_the_model_and_are_an_incident_of_their_own() -> None:
    config, spec = make(sensors=["a", {"name": "b", "max": 100.0}])
    pipeline = Pipeline(config, spec, [Version(Mean(spec), 1, 0)])
    clean: list[list[float]] = [[0.0, 0.0]]
    outputs = run(pipeline, readings(2 * clean + [[0.0, 1e9]] + 2 * clean))
    assert [row.raw_score for row in outputs.scores] == [0.0, 0.0]
    (event,) = (told.event for told in outputs.incidents)
    assert (event.kind, event.event, event.score) == ("data_quality", "opened", None)
    assert (event.sensors[0].name, event.sensors[0].actual) == ("b", 1e9)
    assert [(c.channel, c.share) for c in event.evidence or ()] == [("range", 1.0)]


def test_dead_letters_pass_through() -> None:
    config, spec = make()
    letter = DeadLetter.of(0, b"{", "InvalidJson", "no end")
    outputs = Pipeline(config, spec, []).process([Batch(readings([[0.0, 0.0]]), [letter], 1)])
    assert (outputs.dead, outputs.scores, outputs.incidents) == ([letter], [], [])


def test_machines_do_not_touch_each_other() -> None:
    config, spec = make()
    loud = readings([[9.0, 9.0]] * 9, "loud")
    quiet = readings([[0.0, 0.0]] * 9, "quiet")
    both = Readings.concat([loud, quiet]).take(np.arange(18).reshape(2, 9).T.ravel())
    outputs = run(Pipeline(config, spec, [Version(Mean(spec), 1, 0)]), both)
    assert {told.event.machine_id for told in outputs.incidents} == {"loud"}
    alone = run(Pipeline(config, spec, [Version(Mean(spec), 1, 0)]), quiet)
    assert [row for row in outputs.scores if row.machine_id == "quiet"] == list(alone.scores)


LOUD, QUIET = [5.0, 9.0], [0.0, 0.0]


def told_of(outputs: Outputs) -> list[tuple[str, str, str]]:
    """Return kind, event and window start of the incident events."""
    events = [told.event for told in outputs.incidents]
    return [(e.kind, e.event, e.window_start[17:19]) for e in events]


def test_a_fault_in_a_planned_stop_opens_nothing_and_the_same_fault_outside_does() -> None:
    rows = readings([QUIET] * 4 + [LOUD] * 4 + [QUIET] * 9)
    for stop, wanted in (
        (("m", 4, 8), []),
        (("other", 4, 8), [("process", "opened", "06"), ("process", "closed", "10")]),
        (("m", 12, 14), [("process", "opened", "06"), ("process", "closed", "10")]),
    ):
        config, spec = make_muted([stop])
        outputs = run(Pipeline(config, spec, [Version(Mean(spec), 1, 0)]), rows)
        assert told_of(outputs) == wanted
        assert [row.raw_score for row in outputs.scores] == [0, 0, 7, 7, 0, 0, 0, 0]


def test_a_muted_window_is_scored_counted_and_no_alarm() -> None:
    config, spec = make_muted([("*", 4, 8)])
    pipeline = Pipeline(config, spec, [Version(Mean(spec), 1, 0)])
    outputs = run(pipeline, readings([LOUD] * 13))
    assert [row.alarm for row in outputs.scores] == [1, 1, 0, 0, 1, 1]
    assert len({(row.score, row.p_value, row.raw_score) for row in outputs.scores}) == 1
    counts = pipeline.partitions[0].states["m"].counts
    assert (counts["scored"], counts["muted"], pipeline.counted["muted"]) == (6, 2, 2)
    assert outputs.scores[2].incident_id is None
    assert outputs.scores[4].incident_id == outputs.scores[1].incident_id


def test_an_incident_stays_open_over_a_stop_and_closes_by_quiet_windows_after_it() -> None:
    """Closing inside would claim a recovery that nobody saw."""
    config, spec = make_muted([("*", 8, 16)])
    pipeline = Pipeline(config, spec, [Version(Mean(spec), 1, 0)])
    rows = readings([LOUD] * 4 + [QUIET] * 2 + [LOUD] * 2 + [QUIET] * 20)
    first = run(pipeline, rows.take(slice(0, 17)))
    assert told_of(first) == [("process", "opened", "02")]
    assert set(pipeline.partitions[0].states["m"].alerts.open) == {"process"}
    assert told_of(run(pipeline, rows.take(slice(17, 28)))) == [("process", "closed", "18")]


def test_alarms_on_both_sides_of_a_stop_open_one_incident_where_they_lie_within_n_hops() -> None:
    config, spec = make_muted([("*", 2, 4)])
    rows = readings([LOUD] * 6 + [QUIET] * 3)
    outputs = run(Pipeline(config, spec, [Version(Mean(spec), 1, 0)]), rows)
    assert told_of(outputs) == [("process", "opened", "04")]
    assert outputs.incidents[0].event.started_at == "1970-01-01T00:00:00Z"
    config, spec = make_muted([("*", 2, 6)])
    rows = readings([LOUD] * 2 + [QUIET] * 4 + [LOUD] * 2 + [QUIET] * 3)
    assert not run(Pipeline(config, spec, [Version(Mean(spec), 1, 0)]), rows).incidents


def test_a_machine_at_rest_is_not_complained_of() -> None:
    """Neither of what it measures, nor of its data; at work both are told again."""
    sensors = ["a", {"name": "b", "min": 1.0}]
    config, spec = make(sensors=sensors, active_when={"sensor": "a", "above": 2})
    rest, faulty = [0.0, -5.0], [9.0, -5.0]
    pipeline = Pipeline(config, spec, [Version(Mean(spec), 1, 0)])
    outputs = run(pipeline, readings([[3.0, 3.0]] * 2 + [rest] * 8 + [faulty] * 4 + [rest]))
    assert told_of(outputs) == [
        ("data_quality", "opened", "10"),
        ("process", "opened", "12"),
    ]
    assert [row.alarm for row in outputs.scores] == [1, 0, 0, 0, 0, 1, 1]


def test_standing_still_at_rest_is_not_being_stuck() -> None:
    """Sensor b must show one value for 4 s of work; it stands from the stop on, for 6 more."""
    sensors = ["a", {"name": "b", "stuck_s": 4}]
    work: list[list[float]] = [[3.0, 0.1 * i] for i in range(4)]
    rows = readings([*work, *[[0.0, 7.0]] * 8, *[[3.0, 7.0]] * 7])
    config, spec = make(sensors=sensors, active_when={"sensor": "a", "above": 2})
    outputs = run(Pipeline(config, spec, [Version(Mean(spec), 1, 0)]), rows)
    quality = [event for event in told_of(outputs) if event[0] == "data_quality"]
    assert quality == [("data_quality", "opened", "16")]
    config, spec = make(sensors=sensors)
    outputs = run(Pipeline(config, spec, [Version(Mean(spec), 1, 0)]), rows)
    quality = [event for event in told_of(outputs) if event[0] == "data_quality"]
    assert quality == [("data_quality", "opened", "08")]


SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12)), max_size=4)


@given(
    loud=st.lists(st.booleans(), min_size=30, max_size=60),
    spans=SPANS,
    cuts=st.lists(st.integers(0, 60), max_size=4),
)
def test_muting_takes_windows_out_and_leaves_the_others_as_they_are(
    loud: list[bool], spans: list[tuple[int, int]], cuts: list[int]
) -> None:
    """By whatever batches: rows differ in alarm and incident alone, and only where muted."""
    rows = readings([LOUD if alarm else QUIET for alarm in loud])
    config, spec = make_muted([("m", a, a + n) for a, n in spans], hop=1)
    whole = run(Pipeline(config, spec, [Version(Mean(spec), 1, 0)]), rows)
    pipeline, bounds = Pipeline(config, spec, [Version(Mean(spec), 1, 0)]), sorted(cuts)
    parts = [
        run(pipeline, rows.take(slice(a, b)))
        for a, b in zip([0, *bounds], [*bounds, len(loud)], strict=True)
    ]
    assert [row for part in parts for row in part.scores] == list(whole.scores)
    assert [event for part in parts for event in part.incidents] == list(whole.incidents)
    plain_config, _ = make(hop=1)
    plain = run(Pipeline(plain_config, spec, [Version(Mean(spec), 1, 0)]), rows)
    stopped = {second for a, n in spans for second in range(a, a + n)}
    for ours, theirs in zip(whole.scores, plain.scores, strict=True):
        start = ours.window_start // NS
        is_muted = bool(stopped & {start, start + 1})
        assert ours.alarm == (theirs.alarm and not is_muted)
        assert (ours.score, ours.p_value) == (theirs.score, theirs.p_value)
    if not stopped & set(range(len(loud))):
        assert whole == plain


@given(loud=st.lists(st.booleans(), min_size=10, max_size=60), after=st.integers(1, 6))
def test_a_stop_is_as_if_its_windows_had_not_been_there(loud: list[bool], after: int) -> None:
    """The incidents are those of the same alarms with the stop's windows not scored at all."""
    nan = [float("nan")] * 2
    rows = [LOUD if alarm else QUIET for alarm in loud]
    begin, end = 4, 4 + 2 * after
    config, spec = make_muted([("m", begin, end)], max_gap_s=0)
    muted = run(Pipeline(config, spec, [Version(Mean(spec), 1, 0)]), readings(rows))
    plain, _ = make(max_gap_s=0)
    gone = [nan if begin <= i < end else row for i, row in enumerate(rows)]
    other = run(Pipeline(plain, spec, [Version(Mean(spec), 1, 0)]), readings(gone))
    assert told_of(muted) == [told for told in told_of(other) if told[0] == "process"]
