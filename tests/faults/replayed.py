"""The same stream as a recording, replayed: what a live run gave has to be the same bytes."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from tests.benchmarks.table import Figure
from tests.faults.load import Load
from tests.faults.oracle import Output, compare
from tests.faults.outcome import Outcome, is_made_by_records
from tests.faults.site import Service, Site, run


def replay(config: Path, out: Path, *source: object) -> dict[str, list[Output]]:
    """Run ``stream-ad replay`` and return the outputs in its folder.

    Parameters
    ----------
    config : Path
        Names the registry whose detector scored live.
    out : Path
    source : objects
        The recording, or the options that name a topic and its times.
    """
    run("replay", *source, "--config", config, "--out", out)
    rows = (out / "scores.csv").read_text().splitlines()[1:]
    lines = (out / "alerts.jsonl").read_bytes().splitlines()
    return {"scores": [*map(_score, rows)], "incident events": _incidents(lines)}


def live(outcome: Outcome) -> dict[str, list[Output]]:
    """Return the outputs of a live run as the folder of a replay would hold them."""
    values = (orjson.loads(message.value) for message in outcome.scores)
    rows = (_row(value) for value in values)
    lines = [message.value for message in outcome.alerts]
    return {"scores": [*map(_score, rows)], "incident events": _incidents(lines)}


def replay_figures(site: Site, service: Service, outcome: Outcome, load: Load) -> Iterator[Figure]:
    """Yield how a live run stands to replays of its good readings as a file, and of its topic.

    Parameters
    ----------
    site : Site
    service : Service
    outcome : Outcome
        What the live run left; it began with empty states and has come to the end.
    load : Load
        What its topic holds.
    """
    recording = site.folder / "recording.jsonl"
    recording.write_bytes(b"".join((record.value or b"") + b"\n" for record in load.good))
    times = ["--from-time", "2000-01-01T00:00:00Z", "--to-time", datetime.now(UTC).isoformat()]
    sources: dict[str, list[object]] = {
        "the file": [recording],
        "the topic": ["--from-topic", service.topics.input, *times],
    }
    actual = live(outcome)
    for kind, outputs in actual.items():
        yield Figure(f"{kind} live", len(outputs), 1, form=",d", correctness=True)
    for name, source in sources.items():
        out = Path(tempfile.mkdtemp(dir=site.folder))
        for kind, expected in replay(service.config, out, *source).items():
            wrong = compare(expected, actual[kind]).wrong
            what = f"{kind} unlike the replay of {name}"
            yield Figure(what, wrong, 0, "exactly", form=",d", correctness=True)


def _row(score: dict[str, Any]) -> str:
    """Return a score as a row of ``scores.csv``."""
    cells = score | {"alarm": int(score["alarm"]), "incident_id": score["incident_id"] or ""}
    return ",".join(str(cell) for cell in cells.values())


def _score(row: str) -> Output:
    machine, start, _ = row.split(",", 2)
    return Output(f"{machine}/{start}", machine, row.encode())


def _incidents(lines: Iterable[bytes]) -> list[Output]:
    return [*_numbered(lines)]


def _numbered(lines: Iterable[bytes]) -> Iterator[Output]:
    """Yield incident events under ids of their own, as a folder does not hold their numbers."""
    told: Counter[str] = Counter()
    for line in lines:
        event = orjson.loads(line)
        if is_made_by_records(event):
            incident = event["incident_id"]
            told[incident] += 1
            # a folder sorts the kinds of one window by name, a topic has them as they came
            lane = f"{event['machine_id']} {event['kind']}"
            yield Output(f"{incident}-{told[incident]}", lane, line)
