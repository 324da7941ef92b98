"""The commands as a person meets them: init, replay with labels, records, the demo."""

from __future__ import annotations

import csv
import io
import shlex
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import jsonschema
import orjson
import pytest
from rich.console import Console

from stream_ad.cli import main
from stream_ad.cli.live import LiveScreen
from stream_ad.cli.screen import Screen
from stream_ad.config import load_config
from tests.cli import recordings
from tests.cli.command import alerts, good, metrics, outputs, refused, run, scores
from tests.cli.recordings import FAULT, MACHINES, SENSORS, write_config, write_csv
from tests.conftest import Plant


def labelled(folder: Path) -> Path:
    rows = recordings.plant()
    for row in rows:
        step = (row[1] - recordings.time_of(0)) // 60_000
        row.append(str(int(row[0] == FAULT[0] and step in FAULT[1])))
    return write_csv(folder / "labelled.csv", rows, [*SENSORS, "fault"])


def test_init_writes_a_config_that_check_accepts_and_replay_uses(
    plant: Plant, tmp_path: Path
) -> None:
    config = tmp_path / "c.yaml"
    said = good("init", plant.recording, "-c", config).out
    assert f"wrote {config}" in said
    good("config", "check", config)
    found = load_config(config, {})
    assert [s.name for s in found.windows.sensors] == list(SENSORS)
    assert found.windows.period_s == 60
    good("replay", plant.recording, "-c", config, "-o", tmp_path / "out")
    assert scores(tmp_path / "out")


def test_init_overwrites_nothing_unless_told(plant: Plant, tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("mine")
    assert "--force" in refused("init", plant.recording, "-c", config)
    assert config.read_text() == "mine"
    good("init", plant.recording, "-c", config, "--force")
    good("config", "check", config)
    assert "cannot be written" in refused("init", plant.recording, "-c", tmp_path / "no" / "c.yaml")


def test_the_next_command_that_init_names_works_as_it_stands(tmp_path: Path) -> None:
    folder = tmp_path / "my plant"
    folder.mkdir()
    recording, config = labelled(folder), folder / "c.yaml"
    said = good("init", recording, "-c", config, "--label-column", "fault").out
    program, *arguments = shlex.split(said.splitlines()[-1].partition("; next: ")[2])
    assert program == "stream-ad"
    arguments[arguments.index("results")] = str(tmp_path / "out")
    good(*arguments)
    assert metrics(tmp_path / "out")["ranking"]["auc_roc"] is not None


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_named_as_the_folder_is_said_to_be_one(
    plant: Plant, tmp_path: Path, below: str
) -> None:
    taken = tmp_path / "scores.csv"
    taken.write_text("mine")
    said = refused("replay", plant.recording, "-o", taken / below)
    assert "a file stands where a folder is wanted; name another folder" in said
    assert "free space" not in said
    assert taken.read_text() == "mine"


def test_interrupted_before_its_first_checkpoint_it_promises_nothing(
    plant: Plant, tmp_path: Path
) -> None:
    with mock.patch("stream_ad.training.fit.train", side_effect=KeyboardInterrupt):
        answer = run("replay", plant.recording, "-o", tmp_path / "out")
    assert answer.code == 130
    last = answer.err.strip().splitlines()[-1]
    assert last == "interrupted; it had no checkpoint yet: the same command starts anew"


def test_an_interrupted_command_without_checkpoints_says_no_more(tmp_path: Path) -> None:
    with mock.patch("stream_ad.inspection.inspect", side_effect=KeyboardInterrupt):
        answer = run("init", tmp_path / "a.csv")
    assert (answer.code, answer.err.strip().splitlines()[-1]) == (130, "interrupted")


INTERRUPTED_IMPORT = """
import os, signal, sys

class Keys:
    def find_spec(self, name, *_):
        if name == "stream_ad.cli.app":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Keys())
from stream_ad.cli import main
main()
"""


def test_interrupted_while_it_imports_it_says_so_without_a_traceback() -> None:
    """In a process of its own, since what was imported is not imported again."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


@pytest.mark.parametrize("screen", [Screen, LiveScreen])
def test_what_is_shown_through_a_pipe_ends_its_last_line(screen: type[Screen]) -> None:
    text = io.StringIO()
    with screen(Console(file=text)) as shown:
        shown.stage("scoring", 1)
    assert "scoring" in text.getvalue()
    assert text.getvalue().endswith("\n")


def test_a_replay_that_fails_before_it_writes_leaves_no_folder(
    plant: Plant, tmp_path: Path
) -> None:
    arguments = ("replay", plant.recording, "-c", plant.learning, "--train-until", 3, "-o")
    assert "no window of history" in refused(*arguments, tmp_path / "new" / "out")
    assert [*(tmp_path / "new").iterdir()] == []
    (tmp_path / "mine").mkdir()
    refused(*arguments, tmp_path / "mine")
    assert (tmp_path / "mine").is_dir()


def test_a_share_as_the_end_of_history_is_told_where_shares_go(
    plant: Plant, tmp_path: Path
) -> None:
    for given in ("0.66", "66%"):
        said = refused("replay", plant.recording, "-o", tmp_path / "out", "--train-until", given)
        assert f"{given}" in said
        assert "training.history_share" in said.rpartition("--train-until")[2]
    said = refused("replay", plant.recording, "-o", tmp_path / "out", "--train-until", "1.5")
    assert "a share" not in said


def test_replay_without_a_config_says_what_it_guessed_and_keeps_it(
    plant: Plant, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    answer = good("replay", plant.recording, "-o", out)
    assert f"what init would write, {out / 'guessed.yaml'}" in answer.err
    good("replay", plant.recording, "-o", tmp_path / "again", "-c", out / "guessed.yaml")
    assert outputs(out) == outputs(tmp_path / "again")


def test_a_label_column_judges_and_never_trains(tmp_path: Path) -> None:
    file, config = labelled(tmp_path), write_config(tmp_path / "c.yaml")
    good("replay", file, "-c", config, "-o", tmp_path / "plain")
    answer = good(
        "replay", file, "-c", config, "-o", tmp_path / "judged", "--label-column", "fault"
    )
    for name in ("scores.csv", "alerts.jsonl"):
        plain = (tmp_path / "plain" / name).read_bytes()
        assert (tmp_path / "judged" / name).read_bytes() == plain
    said = metrics(tmp_path / "judged")
    assert said["ranking"]["auc_roc"] > 0.9
    assert said["events"]["event_recall"] == 1
    assert "AUC-ROC" in answer.out
    assert "ranking" not in metrics(tmp_path / "plain")


def test_a_label_column_is_not_guessed_to_be_a_sensor(tmp_path: Path) -> None:
    out = tmp_path / "out"
    good("replay", labelled(tmp_path), "-o", out, "--label-column", "fault")
    names = [s.name for s in load_config(out / "guessed.yaml", {}).windows.sensors]
    assert names == list(SENSORS)


def test_labels_that_say_nothing_known_are_refused(tmp_path: Path) -> None:
    rows = [[*row, "perhaps"] for row in recordings.plant()]
    file = write_csv(tmp_path / "a.csv", rows, [*SENSORS, "fault"])
    config = write_config(tmp_path / "c.yaml")
    arguments = ("replay", file, "-c", config, "-o", tmp_path / "out")
    assert "fault = 'perhaps'" in refused(*arguments, "--label-column", "fault")


def test_baselines_stand_beside_the_detector(tmp_path: Path) -> None:
    file, config = labelled(tmp_path), write_config(tmp_path / "c.yaml")
    arguments = ("replay", file, "-c", config, "-o", tmp_path / "out", "--baselines")
    answer = good(*arguments, "--label-column", "fault")
    rows = metrics(tmp_path / "out")["baselines"]
    assert len(rows) >= 5
    for name, record in rows.items():
        assert name.replace("_", " ") in answer.out
        assert 0 <= record["ranking"]["auc_roc"] <= 1
        assert record["budget"]["asked_per_machine_day"] == 50


def test_outputs_are_what_their_schemas_say(plant: Plant, tmp_path: Path) -> None:
    good("replay", plant.recording, "-c", plant.learning, "-o", tmp_path)
    incident, score = (
        jsonschema.Draft202012Validator(
            orjson.loads(good("config", "schema", name).out),
            format_checker=jsonschema.FormatChecker(),
        )
        for name in ("incident", "score")
    )
    events = alerts(tmp_path)
    assert {event["event"] for event in events} >= {"opened", "closed"}
    for event in events:
        incident.validate(event)
    assert not incident.is_valid(events[0] | {"more": 1})
    assert not incident.is_valid(events[0] | {"kind": "strange"})
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    assert list(rows[0]) == list(orjson.loads(good("config", "schema", "score").out)["properties"])
    for row in rows:
        numbers = {k: float(row[k]) for k in ("score", "p_value", "static_score", "raw_score")}
        rest = {"alarm": row["alarm"] == "1", "model_version": int(row["model_version"])}
        score.validate(row | numbers | rest | {"incident_id": row["incident_id"] or None})


@pytest.mark.parametrize("shape", ["reading", "long", "window"])
def test_simulated_records_are_what_the_input_schemas_say(shape: str, tmp_path: Path) -> None:
    from simulators import Factory
    from simulators.dialect import Dialect
    from simulators.writers import write_jsonl

    file = tmp_path / "a.jsonl"
    write_jsonl(Factory(2, 3, 60.0).readings(200), file, Dialect(shape, window_length=20))
    check = jsonschema.Draft202012Validator(orjson.loads(good("config", "schema", shape).out))
    lines = file.read_bytes().splitlines()
    assert lines
    for line in lines:
        check.validate(orjson.loads(line))
    record = orjson.loads(lines[0])
    for key in ("machine_id", "start" if shape == "window" else "time"):
        assert not check.is_valid({k: v for k, v in record.items() if k != key})


def test_window_records_are_scored_too(tmp_path: Path) -> None:
    from simulators import Factory
    from simulators.dialect import Dialect
    from simulators.writers import write_jsonl

    file = tmp_path / "a.jsonl"
    factory = Factory(2, 3, 60.0)
    write_jsonl(factory.readings(3_000), file, Dialect("window", window_length=20))
    names = [sensor.name for sensor in factory.layout.sensors]
    windows = {"sensors": names, "length": 20, "hop": 20}
    config = write_config(tmp_path / "c.yaml", windows=windows, input={"format": "window"})
    # the file holds one machine after another: rows are no measure of time
    half = ("--train-until", "2024-01-02T00:00:00Z")
    good("replay", file, "-c", config, "-o", tmp_path / "out", *half)
    assert len(scores(tmp_path / "out")) == metrics(tmp_path / "out")["windows"]["scored"] > 100


def test_every_alert_names_what_to_look_at(plant: Plant, tmp_path: Path) -> None:
    good("replay", plant.recording, "-c", plant.learning, "-o", tmp_path)
    fault = [a for a in alerts(tmp_path) if a["machine_id"] == FAULT[0] and a["kind"] == "process"]
    worst = max(fault, key=lambda a: a["score"])
    moved = {s["name"]: s["actual"] - s["expected"] for s in worst["sensors"]}
    assert max(moved, key=lambda name: abs(moved[name])) == "b"
    assert 2 < moved["b"] < 8
    assert {n["machine_id"] for n in worst["neighbours"]} <= set(MACHINES)
    assert fault[0]["event"] == "opened"


def test_a_defect_is_one_sentence_unless_asked_for_more(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stream_ad import replay

    def broken(*_: object) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(replay, "stream", broken)
    arguments = ("replay", plant.recording, "-c", plant.scoring, "-o", tmp_path / "out")
    answer = run(*arguments)
    assert answer.code == 1
    assert "internal error (ZeroDivisionError: on purpose); STREAM_AD_DEBUG=1" in answer.err
    assert "Traceback" not in answer.err
    monkeypatch.setenv("STREAM_AD_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run(*arguments)


def test_the_installed_command_speaks_without_warnings(tmp_path: Path) -> None:
    """In a process of its own, every warning an error."""
    file = write_config(tmp_path / "c.yaml")
    code = "from stream_ad.cli import main; main()"
    for arguments, wanted in (([file], 0), ([tmp_path / "absent.yaml"], 2)):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code, "config", "check", *arguments],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
            check=False,
        )
        assert done.returncode == wanted
        assert "Traceback" not in done.stderr
    assert callable(main)


def test_the_demo_makes_everything_it_promises(tmp_path: Path) -> None:
    """Slow, about a quarter of a minute: it simulates two weeks and learns one of them."""
    out = tmp_path / "demo"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer = good("demo", "--seconds", 0, "--out", out)
    files = {path.name for path in out.iterdir()}
    assert files >= {"factory.csv", "factory.csv.faults.csv", "demo.yaml", "model", *outputs(out)}
    assert "alarm budget: asked" in answer.out
    assert "AUC-ROC" in answer.out
    assert f"report: {out / 'report.html'}" in answer.out
    said = metrics(out)
    assert said["windows"]["scored"] == len(scores(out)) > 1_000
    assert said["incidents"]["process"] > 0
    assert said["counts"].get("dead_letters", 0) == 0
    assert " windows\n" not in answer.err.replace(",", "").rstrip("\n")[-1:]
    # the same recording, step by step, gives the same scores; the last line says what it needs
    *_, again, more = answer.out.strip().splitlines()
    good(*again.split("stream-ad ")[1].split())
    assert "--baselines" in more
    assert 'pip install "stream-ad[eval]"' in more
    assert (out / "again" / "scores.csv").read_bytes() == (out / "scores.csv").read_bytes()


@pytest.mark.parametrize("below", ["", "x"])
def test_the_demo_says_at_once_that_a_file_stands_there(tmp_path: Path, below: str) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    answer = run("demo", "--out", taken / below)
    assert answer.code == 2
    (line,) = answer.err.splitlines()  # nothing was drawn
    assert line == (
        f"error: {taken / below}: a file stands where a folder is wanted; name another folder"
    )
    assert answer.out == ""


@pytest.mark.parametrize(
    ("names", "named"),
    [
        (["report.html", "factory.csv"], "factory.csv stands in this one"),
        (["notes.txt", "pictures"], "notes.txt stands in this one"),
        (["demo.yaml", "a.txt"], "demo.yaml stands in this one and is not as a demo writes it"),
    ],
)
def test_the_demo_spares_a_folder_that_is_not_its_own(
    tmp_path: Path, names: list[str], named: str
) -> None:
    for name in names:
        (tmp_path / name).write_text("mine")
    said = refused("demo", "--out", tmp_path)
    allowed = "a new or empty folder, or that of an earlier demo"
    assert said == f"error: --out = {str(tmp_path)!r}: allowed is {allowed}: {named}"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        names, "mine"
    )


def test_the_demo_takes_its_own_folder_again_whatever_lies_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stream_ad import demo

    monkeypatch.setattr(demo, "DAYS", 1.5)
    monkeypatch.setattr(demo, "HISTORY_DAYS", 1.0)
    recording, config = demo.write_factory(demo.DemoOptions(tmp_path, seed=3))
    first = recording.read_bytes(), config.read_bytes()
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "report.html").write_text("of the demo")
    demo.write_factory(demo.DemoOptions(tmp_path, seed=4))
    assert recording.read_bytes() != first[0]
    demo.write_factory(demo.DemoOptions(tmp_path, seed=3))
    assert (recording.read_bytes(), config.read_bytes()) == first
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_demo_that_was_killed_at_its_start_can_be_started_again(tmp_path: Path) -> None:
    from stream_ad import demo

    out = tmp_path / "demo"
    with (
        mock.patch.dict("simulators.writers.WRITERS", csv=mock.Mock(side_effect=KeyboardInterrupt)),
        pytest.raises(KeyboardInterrupt),
    ):
        demo.write_factory(demo.DemoOptions(out))
    demo.claim(out)
    (out / "demo.yaml").rename(out / ".demo.yaml.part")
    demo.claim(out)


def test_an_empty_name_is_not_the_folder_one_is_in(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (
        ("train", plant.recording, "-c", plant.learning, "-o", ""),
        ("replay", plant.recording, "-c", plant.learning, "-o", ""),
        ("demo", "--out", ""),
    ):
        said = refused(*arguments)
        assert "--out = '': allowed is the name of a folder (. is the one you are in)" in said
    assert [*tmp_path.iterdir()] == []
