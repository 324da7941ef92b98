"""The moving alarm line on the straight path, with a judge whose line is about 1."""

from __future__ import annotations

import csv
from dataclasses import astuple, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from stream_ad.alerting.drift import BLOCK, FEWEST
from stream_ad.config import Config, parse_config
from stream_ad.detector.explanation import Explanation
from stream_ad.detector.scores import Scores
from stream_ad.pipeline import Pipeline
from stream_ad.state import MachineState
from stream_ad.transport.base import Batch, Outputs
from stream_ad.versions import Version
from stream_ad.windows import Readings, WindowSpec
from stream_ad.windows.spec import NS, parse_rfc3339, rfc3339
from tests.cli.command import alerts, good, metrics
from tests.cli.recordings import LEARNED, time_of, write_config, write_csv
from tests.cli.recordings import plant as rows_of_plant
from tests.conftest import Plant
from tests.test_pipeline import Mean

PERIOD_S = 60
KNOWN = BLOCK * FEWEST


class Shifted(Mean):
    """Takes a level for ordinary."""

    def __init__(self, spec: WindowSpec, shift: float) -> None:
        super().__init__(spec)
        self._shift = shift

    def score(
        self, values: NDArray[np.float32], start: NDArray[np.int64], machine: object = None
    ) -> Scores:
        return super().score(values - np.float32(self._shift), start)


class Explained(Mean):
    """Counts what it explains."""

    explained = 0

    def explain(
        self, X: NDArray[np.float32], start: NDArray[np.int64], machine: object = None
    ) -> Explanation:
        self.explained += len(X)
        return super().explain(X, start)


def make(drift: dict[str, float], **alarm: Any) -> tuple[Config, WindowSpec]:
    config = parse_config(
        {
            "windows": {"sensors": ["a"], "period_s": PERIOD_S, "length": 1},
            "alarm": {"m": 2, "n": 3, "close_after": 2} | alarm,
            "drift": drift,
        }
    )
    return config, WindowSpec.from_config(config.windows)


def readings(values: ArrayLike) -> Readings:
    column = np.asarray(values, np.float32)[:, None]
    rows = np.arange(len(column))
    return Readings(np.full(len(column), "m", object), rows * PERIOD_S * NS, column, rows)


def run(pipeline: Pipeline, records: Readings) -> Outputs:
    return pipeline.process([Batch(records, (), len(records))])


FAST = {"max_per_day": 144.0, "max_total": 3.0}  # a tenth a minute


def test_score_p_value_and_told_line_move_together_and_the_raw_score_stays() -> None:
    config, spec = make(FAST)
    judge = Mean(spec)
    line = judge.line_
    pipeline = Pipeline(config, spec, [Version(judge, 1, 0)])
    loud = 3.5 * (line.line - line.median) + line.median  # a static score of 3.5
    rows = run(pipeline, readings([loud] * 400)).scores
    offset = np.array([row.static_score - row.score for row in rows])
    assert {row.raw_score for row in rows} == {float(np.float32(loud))}
    assert [row.static_score for row in rows] == pytest.approx([3.5] * len(rows), rel=1e-6)
    assert offset[: KNOWN + 1] == pytest.approx([0.0] * KNOWN + [0.1])
    assert offset[-1] == 3.0
    raw = np.array([row.raw_score for row in rows])
    expected = line.p_value(raw - offset * (line.line - line.median))
    assert [row.p_value for row in rows] == pytest.approx(expected.tolist())
    assert rows[-1].p_value > rows[0].p_value


def test_drift_beyond_the_bound_is_an_alarm_until_the_machine_is_back() -> None:
    """The process incident ends, and in its place stands the one of drift."""
    config, spec = make(FAST)
    judge = Mean(spec)
    line = judge.line_
    unit = line.line - line.median
    pipeline = Pipeline(config, spec, [Version(judge, 1, 0)])
    values = np.repeat([line.median + 3.5 * unit, line.median], [400, 400])
    outputs = run(pipeline, readings(values))
    events = [told.event for told in outputs.incidents]
    assert [(e.kind, e.event, e.severity) for e in events] == [
        ("process", "opened", "error"),
        ("process", "closed", "error"),
        ("drift", "opened", "error"),
        ("drift", "closed", "error"),
    ]
    (opened,) = (e for e in events if (e.kind, e.event) == ("drift", "opened"))
    (closed,) = (e for e in events if (e.kind, e.event) == ("drift", "closed"))
    rows = outputs.scores
    at = [row.window_start for row in rows]
    first, last = (at.index(parse_rfc3339(e.window_start)) for e in (opened, closed))
    # thirty moves of a tenth, of which the window that fills block 8 makes the first
    assert first == KNOWN - 1 + 29
    assert [row.alarm for row in rows] == [
        row.score > 1 or first <= i < last for i, row in enumerate(rows)
    ]
    # the line passes the score half a unit before its bound: so long is the pause between both
    assert sum(not row.alarm for row in rows[:last]) in {3, 4}
    assert last > 400 + 7 * BLOCK
    assert rows[first + 5].score < 1
    assert rows[first + 5].incident_id == opened.incident_id
    assert rows[last].incident_id is None
    offset = rows[first].static_score - rows[first].score
    assert opened.alarm_line == pytest.approx(line.line + offset * unit)
    assert opened.score == rows[first].score
    assert opened.sensors[0].name == "a"
    counts = pipeline.partitions[0].states["m"].counts
    assert counts["line_moved"] == pipeline.counted["line_moved"] > 6


def test_a_muted_window_moves_nothing_and_is_no_alarm_though_drift_is_open() -> None:
    stop = {"from": rfc3339(300 * 60 * NS), "to": rfc3339(320 * 60 * NS)}
    config, spec = make(FAST, mute=[stop])
    judge = Mean(spec)
    loud = judge.line_.median + 3.5 * (judge.line_.line - judge.line_.median)
    loud *= 2  # above the moved line as well
    values = [loud] * 300 + [0.0] * 20 + [loud] * 80
    pipeline = Pipeline(config, spec, [Version(judge, 1, 0)])
    rows = run(pipeline, readings(values)).scores
    assert [row.alarm for row in rows] == [not 300 <= i < 320 for i in range(len(rows))]
    assert rows[310].score == rows[310].static_score - 3.0  # told under the line as it stands
    assert set(pipeline.partitions[0].states["m"].alerts.open) == {"drift", "process"}


def test_a_new_version_scores_its_first_window_under_its_own_line() -> None:
    config, spec = make(FAST)
    start = 400 * PERIOD_S * NS
    versions = [Version(Mean(spec), 1, 0), Version(Mean(spec), 2, start)]
    rows = run(Pipeline(config, spec, versions), readings([2.0] * 600)).scores
    by_version = {n: [row for row in rows if row.model_version == n] for n in (1, 2)}
    assert by_version[1][-1].score < 1
    assert all(row.score == row.static_score for row in by_version[2][:KNOWN])


def absorbing(spec: WindowSpec, values: NDArray[np.float64], every: int) -> list[Version]:
    """Return a version, and after every so many windows one that takes what is for ordinary."""
    first = Version(Mean(spec), 1, 0)
    places = range(every, len(values), every)
    return [
        first,
        *(
            Version(Shifted(spec, values[at]), n, at * PERIOD_S * NS, reference=first)
            for n, at in enumerate(places, 2)
        ),
    ]


def drift_told(outputs: Outputs) -> list[tuple[str, str]]:
    events = [told.event for told in outputs.incidents]
    return [(e.event, e.window_end) for e in events if e.kind == "drift"]


@settings(max_examples=15, deadline=None)
@given(
    every=st.integers(20, 700),
    per_window=st.floats(0.002, 0.02),
    seed=st.integers(0, 2**32 - 1),
)
def test_drift_is_told_where_the_first_version_tells_whatever_later_ones_absorb(
    every: int, per_window: float, seed: int
) -> None:
    """Versions that come faster than what is ordinary under them is known, too."""
    config, spec = make(FAST)
    noise = np.random.default_rng(seed).normal(0, 0.2, 2_200)
    level = per_window * np.minimum(np.arange(2_200), 1_500) + noise
    level[1_900:] = noise[1_900:]  # and back
    versions = absorbing(spec, level, every)
    alone, together = (
        run(Pipeline(config, spec, used), readings(level)) for used in (versions[:1], versions)
    )
    told = drift_told(alone)
    assert told[:1] == drift_told(together)[:1]
    if per_window * 1_500 > 4:
        assert told[0][0] == "opened"
    if per_window * 1_500 < 2.5:
        assert not told


def test_a_fault_that_every_version_learns_stays_an_alarm() -> None:
    """Through ten of them: the score is ordinary again, the incident of drift is open."""
    config, spec = make(FAST)
    level = np.concatenate([np.zeros(300), np.linspace(0, 6, 900), np.full(900, 6.0)])
    rows = run(Pipeline(config, spec, absorbing(spec, level, 200)), readings(level)).scores
    last = rows[-100:]
    assert {row.model_version for row in last} == {11}
    assert max(row.score for row in last) < 0.1
    assert all(row.alarm and row.incident_id is not None for row in last)


def test_only_windows_that_may_be_told_of_are_explained() -> None:
    """A machine that has drifted is above its old line for good: that costs no explanation."""
    config, spec = make(FAST)
    judge = Explained(spec)
    rows = run(Pipeline(config, spec, [Version(judge, 1, 0)]), readings([2.5] * 600)).scores
    assert sum(row.static_score > 1 for row in rows) == len(rows)
    assert judge.explained == sum(row.score > 1 for row in rows) < 200


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    total=st.sampled_from([0.0, 0.5, 3.0]),
    cuts=st.lists(st.integers(0, 600), max_size=12),
)
def test_no_cut_into_batches_and_no_handing_over_changes_a_byte(
    seed: int, total: float, cuts: list[int]
) -> None:
    """By two versions, with incidents of both kinds, cut in the middle of blocks too."""
    rng = np.random.default_rng(seed)
    config, spec = make(FAST | {"max_total": total, "report": 0.1})
    first = Version(Mean(spec), 1, 0)
    later = Version(Shifted(spec, 0.7), 2, 350 * PERIOD_S * NS)
    versions = [first, replace(later, reference=first) if seed % 2 else later]
    level = np.repeat(rng.choice([0.0, 0.3, 1.4, 2.9, 5.0], 6), 100)
    rows = readings(level + rng.normal(0, 0.3, 600))
    whole = run(Pipeline(config, spec, versions), rows)
    pipeline, parts = Pipeline(config, spec, versions), list[Outputs]()
    for a, b in pairwise([0, *sorted(cuts), 600]):
        parts.append(run(pipeline, rows.take(slice(a, b))))
        states = pipeline.partitions[0].states
        records = {name: state.to_bytes(spec) for name, state in states.items()}
        pipeline = Pipeline(
            config,
            spec,
            versions,
            {name: MachineState.from_bytes(r, spec, "reading") for name, r in records.items()},
        )
        assert all(len(record) < 8_000 for record in records.values())
    scores = [astuple(row) for part in parts for row in part.scores]
    assert orjson.dumps(scores) == orjson.dumps([astuple(row) for row in whole.scores])
    assert [told for part in parts for told in part.incidents] == list(whole.incidents)
    if total:
        assert any(row.score != row.static_score for row in whole.scores) or level.max() < 1


def test_a_replay_says_how_far_lines_moved_and_what_they_can_swallow(
    plant: Plant, tmp_path: Path
) -> None:
    """Sensor b of m2 is off for good: the line follows it, and then may no farther."""
    rows = rows_of_plant(steps=1_100)
    for row in rows:
        if row[0] == "m2" and row[1] >= time_of(LEARNED):
            row[3] = f"{float(row[3]) + 3:.4f}"
    file, out = write_csv(tmp_path / "drifting.csv", rows), tmp_path / "out"
    config = write_config(
        tmp_path / "c.yaml",
        registry={"uri": str(plant.registry)},
        drift={"max_per_day": 20, "max_total": 2, "report": 0.5},
    )
    answer = good("replay", file, "-c", config, "-o", out)
    with (out / "scores.csv").open() as table:
        scored = [row for row in csv.DictReader(table) if row["machine_id"] == "m2"]
    offset = [float(row["static_score"]) - float(row["score"]) for row in scored]
    assert offset[:KNOWN] == [0.0] * KNOWN
    assert max(offset) == pytest.approx(2.0)
    line = metrics(out)["line"]
    assert line["highest_offset"] == line["highest_offsets"]["m2"] == 2.0
    assert line["reported_moves"] == metrics(out)["counts"]["line_moved"] >= 3
    assert line["swallows"]["quiet_up_to"] == 3.0
    (opened,) = (e for e in alerts(out) if e["kind"] == "drift")
    assert (opened["event"], opened["machine_id"]) == ("opened", "m2")
    assert opened["sensors"][0]["name"] == "b"
    assert metrics(out)["incidents"]["drift"] == 1
    assert "1 of drift" in answer.out
    report = (out / "report.html").read_text()
    assert "m2 by 2" in report
    assert "score without adaptation" in report
    assert "at most 20 a day and 2 in all" in report
