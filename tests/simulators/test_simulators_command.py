import subprocess
import sys
from pathlib import Path

import pyarrow.csv
import pytest

from simulators import recordings
from simulators.__main__ import main


def run(*arguments: str) -> object:
    try:
        return main(list(arguments))
    except SystemExit as stop:
        return stop.code


def test_the_command_writes_a_stream_and_its_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "plant.csv"
    options = ["--machines", "2", "--days", "3", "--faults", "3", "--labels-column"]
    assert run("factory", *options, "--out", str(out)) == 0
    table = pyarrow.csv.read_csv(out)
    assert table.num_rows == 2 * 3 * 1440
    assert table.column_names[-1] == "label"
    truth = (tmp_path / "plant.csv.faults.csv").read_text(encoding="utf-8").splitlines()
    assert len(truth) == 1 + 3
    said = capsys.readouterr().out
    assert "8640 readings of 2 machines" in said
    assert "3 faults" in said


def test_the_format_follows_the_ending_and_the_option_wins(tmp_path: Path) -> None:
    common = ["--machines", "1", "--days", "0.1", "--faults", "0", "--out"]
    assert run("factory", *common, str(tmp_path / "a.jsonl")) == 0
    assert (tmp_path / "a.jsonl").read_bytes().startswith(b'{"machine_id"')
    assert run("factory", *common, str(tmp_path / "a.parquet")) == 0
    assert (tmp_path / "a.parquet").read_bytes().startswith(b"PAR1")
    assert run("factory", *common, str(tmp_path / "a.txt"), "--format", "csv") == 0
    assert (tmp_path / "a.txt").read_bytes().startswith(b"time,machine_id,")


def test_the_same_command_writes_the_same_bytes(tmp_path: Path) -> None:
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for file in files:
        assert run("factory", "--days", "1", "--disorder", "90", "--out", str(file)) == 0
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--days", "0"], "argument --days: '0' is not allowed; give a number above 0"),
        (["--period", "often"], "argument --period: 'often' is not allowed"),
        (["--machines", "0"], "machines: 0 is not allowed; give 1 to 100000"),
        (["--days", "1", "--faults", "999"], "count: so many faults have no room"),
        (["--decimal", ","], "delimiter: ',' is not allowed beside decimal ','"),
        (["--local-time", "Mars/Olympus"], "time zone 'Mars/Olympus' is not known"),
        (["--start", "2024-01-01"], "no offset from UTC"),
        (["--kinds", "rust"], "invalid choice: 'rust'"),
        (["--clean-days", "99"], "clean_until_s: 8553600 s is not allowed"),
        (["--record", "window"], "window exists as jsonl only"),
        (["--record", "window", "--format", "jsonl", "--disorder", "5"], "window has neither"),
        (["--labels-column", "time"], "label: 'time' is not allowed"),
    ],
)
def test_a_bad_argument_ends_with_code_2_and_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run("factory", *arguments, "--out", str(tmp_path / "a.csv")) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--out: give a file, or --kafka and --topic"),
        (["--topic", "t", "--out", "a.csv"], "--topic and --speed: only with --kafka"),
        (["--speed", "2", "--out", "a.csv"], "--topic and --speed: only with --kafka"),
        (["--kafka", "h:1", "--topic", "t", "--out", "a.csv"], "--kafka: not beside --out"),
        (["--kafka", "h:1", "--topic", "t", "--format", "csv"], "--kafka: not beside --out"),
        (["--kafka", "h:1"], "--topic: give the topic's name"),
        (["--kafka", "h:1", "--topic", "a/b"], "--topic: give the topic's name"),
        (["--kafka", "h:1", "--topic", "t", "--speed", "0"], "argument --speed: '0'"),
    ],
)
def test_a_stream_goes_to_a_file_or_to_a_topic(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run("factory", *arguments) == 2
    assert message in capsys.readouterr().err


def test_without_the_client_a_topic_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kafka", None)
    assert run("factory", "--days", "0.1", "--faults", "0", "--kafka", "h:1", "--topic", "t") == 2
    assert "--kafka needs kafka-python: pip install kafka-python" in capsys.readouterr().err


def test_an_unknown_ending_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("factory", "--out", str(tmp_path / "a.xls")) == 2
    assert "give --format" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_ends_with_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run("factory", "--days", "0.1", "--faults", "0", "--out", str(tmp_path / "no" / "a.csv"))
        == 1
    )
    assert "No such file or directory" in capsys.readouterr().err
    assert run("recording", "hydraulic", "--out", str(tmp_path)) == 1


def test_a_recording_is_copied_out_unchanged(tmp_path: Path) -> None:
    out = tmp_path / "rig.csv"
    assert run("recording", "hydraulic", "--out", str(out)) == 0
    assert out.read_bytes() == recordings.path("hydraulic").read_bytes()


def test_help_names_every_command() -> None:
    command = [sys.executable, "-m", "simulators", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "factory" in shown
    assert "recording" in shown


def test_importing_the_simulators_imports_nothing_heavy() -> None:
    program = (
        "import sys, simulators, simulators.__main__, simulators.writers, simulators.recordings; "
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "numpy" in loaded
    heavy = {"torch", "pandas", "pyarrow", "scipy", "stream_ad", "pydantic", "kafka"}
    assert not heavy & set(loaded)
