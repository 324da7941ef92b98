from __future__ import annotations

import base64
import hashlib
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream_ad.errors import OutputError
from stream_ad.records import SensorEvidence
from stream_ad.report import IncidentView, Timeline, Trace, write_report
from stream_ad.report.phrases import NS
from tests.report.pages import Page
from tests.report.runs import METRICS, MINUTE, START, incident, timeline, trace

SPELLED_NONE = {"preserveaspectratio", "content"}  # where "none" is a word of the language
HOSTILE = "<script>alert(1)</script>\"'&</style>\x00\u202e\ud800"


def written(folder: Path, **changes: Any) -> str:
    """Write a report of a small run and return its text."""
    run: dict[str, Any] = {
        "title": "Run",
        "metrics": METRICS,
        "timelines": [timeline("a", [0.1, 0.2, 0.3, 3.0, 2.0, 0.2]), timeline("b", [0.1, 0.2])],
        "incidents": [incident("a")],
        "notes": ["A note."],
    }
    path = folder / "report.html"
    write_report(path, **(run | changes))
    return path.read_text(encoding="utf-8")


def test_every_incident_is_on_the_page_the_most_severe_first(tmp_path: Path) -> None:
    views = [
        incident("a", at=1, severity="warning", score=1.5),
        incident("b", at=2, severity="critical", score=5.0),
        incident("a", at=9, severity="critical", score=8.0),
    ]
    page = Page(written(tmp_path, incidents=views))
    ids = [view.events[0].incident_id for view in (views[2], views[1], views[0])]
    assert [str(card["id"]) for card in page.of_class("card")] == [f"incident-{i}" for i in ids]
    assert all(incident_id in page.text for incident_id in ids)
    assert "3 incidents on 2 machines" in page.text


def test_links_within_the_page_lead_somewhere_and_ids_are_unique(tmp_path: Path) -> None:
    views = [incident("a", at=at, score=9.0 - at / 20) for at in range(70)]
    views += [incident("b", kind="data_quality", severity="info", score=None)]
    page = Page(written(tmp_path, incidents=views))
    targets = {str(link["href"]).removeprefix("#") for link in page.named("a")}
    assert targets <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert len(page.of_class("card")) == 50
    assert "20 less severe incidents have no card" in page.text


def test_an_incident_is_told_with_its_numbers_in_words(tmp_path: Path) -> None:
    text = Page(written(tmp_path)).text
    for part in (
        "temp read 31.5\u00a0C where 20.0\u00a0C was expected",
        "75 %",
        "at most about 1 in 500 normal windows scores this high",
        "older, 2023-12-24 08:00 (distance 0.5)",
        "density 25 %",
        "2024-01-01 00:03 to 2024-01-01 00:05 UTC · 2 min · recovered",
    ):
        assert part in text


def test_an_open_incident_lasts_to_the_end_of_its_machine(tmp_path: Path) -> None:
    text = Page(written(tmp_path, incidents=[incident("a", closed=False)])).text
    assert "2024-01-01 00:03 to 2024-01-01 00:06 UTC · 3 min · still open" in text


@pytest.mark.parametrize(("last", "told"), [(7.0, True), (2.0, False)])
def test_what_an_open_incident_reached_since_its_last_event_is_told(
    tmp_path: Path, last: float, told: bool
) -> None:
    lines = [timeline("a", [0.1, 9.0, 0.2, 3.0, 3.0, last])]
    text = Page(written(tmp_path, timelines=lines, incidents=[incident("a", closed=False)])).text
    assert ("3 (the line is 1); 7 later" in text) == told


def test_incidents_of_the_data_stand_apart(tmp_path: Path) -> None:
    quiet = incident("b", kind="data_quality", severity="info", score=None)
    page = Page(written(tmp_path, incidents=[quiet]))
    assert page.of_class("card") == []
    assert "No incidents on any of 2 machines, but 1 data-quality incident." in page.text
    assert {"data-quality", f"incident-{quiet.events[0].incident_id}"} <= set(page.ids)


def test_the_budget_is_asked_against_achieved(tmp_path: Path) -> None:
    text = Page(written(tmp_path)).text
    assert "Asked: at most 1 false alarm per machine and day. Achieved: 0.5, within" in text
    assert "The tightest it supports is 3 per machine and day." in text
    assert "It would take about 12 instead of 4 machine-days of normal operation to set" in text
    budget = {"asked_per_machine_day": 1, "achieved_per_machine_day": 2, "supported": True}
    other = Page(written(tmp_path, metrics={"budget": budget})).text
    assert "Achieved: 2, over the budget." in other
    assert "too short" not in other


def test_baselines_stand_beside_the_detector(tmp_path: Path) -> None:
    source = written(tmp_path)
    rows = re.findall(r"<tr><th scope=\"row\">AUC-ROC ↑</th>(.*?)</tr>", source)
    assert rows == ["<td>0.750</td><td><strong>0.875</strong></td>"]
    rows = re.findall(r"<tr><th scope=\"row\">False-alarm rate ↓</th>(.*?)</tr>", source)
    assert rows == ["<td><strong>0.125</strong></td><td>0.250</td>"]


def test_labels_are_compared_with_incidents(tmp_path: Path) -> None:
    labels = [(START + 4 * MINUTE, START + 5 * MINUTE), (START, START + MINUTE)]
    lines = [timeline("a", [0.1] * 9, label_spans=labels)]
    views = [incident("a"), incident("a", at=7)]
    text = Page(written(tmp_path, timelines=lines, incidents=views)).text
    assert "1 of 2 labelled anomalies found" in text
    assert "overlaps a labelled anomaly" in text
    assert "no labelled anomaly here" in text


@pytest.mark.parametrize("metrics", [{}, METRICS])
def test_what_is_missing_is_left_out(tmp_path: Path, metrics: dict[str, Any]) -> None:
    nothing = SensorEvidence(name="s", unit=None, share=0.0, expected=None, actual=None)
    views = [
        incident("a", sensors=[nothing], traces=[]),
        incident("b", sensors=[], traces=[trace(actual=[np.nan] * 4)], score=None),
        IncidentView([], []),
    ]
    lines = [timeline("a", [0.1, np.nan, 3.0]), timeline("b", [np.nan, np.nan]), timeline("c", [])]
    page = Page(written(tmp_path, metrics=metrics, timelines=lines, incidents=views))
    attributes = [(k, v) for _, a in page.elements for k, v in a.items() if k not in SPELLED_NONE]
    shown = f"{page.text} {attributes}".replace("None)", ")")  # those without a value
    assert not re.search(r"\b(nan|none|null|inf|infinity)\b", shown, re.IGNORECASE)
    assert "1 machine had no scored window." in page.text


def test_a_run_without_anything_is_a_page_too(tmp_path: Path) -> None:
    page = Page(written(tmp_path, metrics={}, timelines=[], incidents=[], notes=[]))
    assert "No window was scored." in page.text
    assert page.of_class("chart") == []


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    evidence = [SensorEvidence(name=HOSTILE, unit=HOSTILE, share=1, expected=1.0, actual=2.0)]
    column = Trace(HOSTILE, HOSTILE, np.array([START]), np.array([1.0]), np.array([2.0]))
    source = written(
        tmp_path,
        title=HOSTILE,
        metrics={"counts": {HOSTILE: HOSTILE}, "baselines": {HOSTILE: {"ranking": {"f1": 1}}}},
        timelines=[timeline(HOSTILE, [0.1, 3.0])],
        incidents=[
            incident("m", sensors=evidence, traces=[column]),
            incident("m", at=9, kind="drift", sensors=evidence, traces=[column]),
        ],
        notes=[HOSTILE],
    )
    page = Page(source)
    assert len(page.named("script")) == 1
    assert "alert(1)" in page.text
    assert "\x00" not in source
    known = "html head meta title style body header h1 p a bdi time ul li strong span small nav"
    known += " main section h2 h3 figure figcaption div svg path i b article table thead tbody tr"
    known += " th td dl dt dd code script details summary"
    assert {name for name, _ in page.elements} <= set(known.split())


def test_the_page_loads_nothing_and_runs_only_its_own_script(tmp_path: Path) -> None:
    source = written(tmp_path)
    page = Page(source)
    assert not [a for _, a in page.elements if "src" in a]
    assert all(str(link["href"]).startswith("#") for link in page.named("a"))
    assert "link" not in {name for name, _ in page.elements}
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttp|import\(", source)
    (script,) = re.findall(r"<script>(.*?)</script>", source, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = page.named("meta")[1]["content"] or ""
    assert policy.startswith("default-src 'none';")
    assert f"script-src 'sha256-{digest}'" in policy


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert written(tmp_path) == written(tmp_path / "other")


def test_a_machine_in_trouble_comes_first_and_the_rest_is_counted(tmp_path: Path) -> None:
    lines = [timeline(f"m{i:02}", [0.1, 0.2]) for i in range(30)]
    views = [incident("m27", at=0), incident("m28", at=0, severity="critical")]
    page = Page(written(tmp_path, timelines=lines, incidents=views))
    names = re.findall(r"<h3><bdi>(m\d+)</bdi> <small>", (tmp_path / "report.html").read_text())
    assert names == ["m28", "m27", *(f"m{i:02}" for i in range(18))]
    assert "10 more machines are not drawn; 0 of them had incidents." in page.text


def test_a_million_windows_become_a_page_of_seconds_and_megabytes(tmp_path: Path) -> None:
    score = np.random.default_rng(0).gamma(2.0, 0.2, 50_000)
    time_ = START + MINUTE * np.arange(50_000)
    lines = [
        Timeline(f"m{i:02}", time_, np.roll(score, i), np.roll(score, i) * 1.1, score > 1)
        for i in range(20)
    ]
    n = np.arange(20_000)
    wave = Trace("temp", "C", START + NS // 4 * n, np.sin(n), np.cos(n))
    views = [incident(f"m{i % 20:02}", at=i, traces=[wave] * 3) for i in range(300)]
    started = time.perf_counter()
    source = written(tmp_path, timelines=lines, incidents=views)
    assert time.perf_counter() - started < 20
    assert len(source.encode()) < 15_000_000


def test_drawn_timelines_are_thin_and_keep_the_peak(tmp_path: Path) -> None:
    score = np.full(100_000, 0.25)
    score[77_777] = 10.0
    line = Timeline("a", START + MINUTE * np.arange(100_000), score, score, score > 1)
    page = Page(written(tmp_path, timelines=[line], incidents=[]))
    (path,) = page.of_class("score")[-1:]
    moves = [int(n) for n in re.findall(r"-?\d+", path["d"] or "")]
    xs, ys = np.cumsum(moves[::2]), np.cumsum(moves[1::2])
    assert len(xs) <= 4_000
    assert xs[ys.argmin()] == 77_777  # a minute is a unit of this axis
    assert (ys == ys.min()).sum() == 1


def test_a_report_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.mkdir()
    with pytest.raises(OutputError, match=r"report\.html: the report cannot be written"):
        written(tmp_path)
    assert list(tmp_path.iterdir()) == [target]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"):
        written(tmp_path / "nowhere")
