"""The output folder: one commit is kept whole, or the one before it."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partialmethod
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_ad.errors import OutputError, StateError
from stream_ad.records import IncidentEvent
from stream_ad.transport.base import DeadLetter, Held, Outputs, ScoreRow, Told
from stream_ad.transport.durable import AppendFile, put
from stream_ad.transport.sinks import FileSink
from stream_ad.windows.spec import NS, rfc3339

NAMES = ("scores.csv", "alerts.jsonl", "dead_letters.jsonl")
EMPTY = Outputs([], [], [])


def held(position: int, records: Mapping[str, bytes]) -> dict[int, Held]:
    """Return the only partition of a file as it stands at a position."""
    return {0: cast(Held, SimpleNamespace(position=position, records=records, touched={}))}


ROOT = Path(__file__).parents[2]


def incident(machine: str, end: int, **changes: Any) -> IncidentEvent:
    fields: dict[str, Any] = {
        "incident_id": "0123456789abcdef",
        "kind": "process",
        "event": "opened",
        "machine_id": machine,
        "machine_group": "default",
        "started_at": rfc3339(0),
        "window_start": rfc3339(0),
        "window_end": rfc3339(end),
        "score": 1.5,
        "raw_score": 0.1,
        "alarm_line": 0.05,
        "p_value": 0.001,
        "severity": "warning",
        "sensors": [],
        "evidence": None,
        "neighbours": None,
        "missing_share": 0.0,
        "model_id": None,
        "model_version": 1,
    }
    return IncidentEvent(**{**fields, **changes})


def score(machine: str, end: int) -> ScoreRow:
    return ScoreRow(machine, 0, end, 0.1 * end, 0.5, end % 2 == 1, 0.1, 1 / 3, None, 1)


def outputs_at(position: int) -> Outputs:
    """Return the outputs of batch number ``position``: interleaved, late, some quoted."""
    machine, end = ("b", "a", 'c "x", y\nz')[position % 3], (position // 3) * NS // 2
    scores = [score(machine, end)] * (position % 4 > 0)
    incidents = [Told(1, incident(machine, end))] * (position % 5 == 0)
    dead = [DeadLetter.of(position, b"\xff{", "InvalidJson", "no JSON")] * (position % 7 == 0)
    return Outputs(scores, incidents, dead)


class Killed(Exception):
    """Stands for SIGKILL."""


class Clock:
    """A clock that moves by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def sink_in(folder: Path, *, clock: Callable[[], float] | None = None, **run: str) -> FileSink:
    identity, config = run.get("input", "input"), run.get("config", "config")
    windows = run.get("windows", "windows")
    return FileSink(folder, identity, config, window_digest=windows, clock=clock or Clock())


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in NAMES}


def run_through(sink: FileSink, batches: int, clock: Clock, pace: Sequence[float]) -> None:
    """Do what a replay does: restore, go on, commit, finish."""
    restored = sink.restored
    position = 0 if restored is None else restored.position
    counter = 0 if restored is None else int.from_bytes(restored.states["m"], "big")
    assert counter == position  # state and position are of one commit
    assert sink.extra.get("seen", 0) == position
    while position < batches:
        outputs = outputs_at(position)
        position += 1
        sink.extra["seen"] = position
        clock.now += pace[position % len(pace)]
        sink.commit(outputs, held(position, {"m": position.to_bytes(4, "big")}))
    sink.finish()


def expected_run(folder: Path, batches: int) -> dict[str, bytes]:
    clock = Clock()
    run_through(sink_in(folder, clock=clock), batches, clock, [0.0])
    return contents(folder)


def _forward(owner: Any, method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    return method(owner, *arguments, **options)


class DyingWrites:
    """Counts writes and kills the run within one of them, after some of its bytes."""

    def __init__(self, patch: pytest.MonkeyPatch, left: int, share: float) -> None:
        self.left, self._share = left, share
        self._append, self._replace, self._unlink = AppendFile.append, Path.replace, Path.unlink
        self._write_bytes = Path.write_bytes
        for owner, name in (
            (AppendFile, "append"),
            *((Path, name) for name in ("replace", "unlink", "write_bytes")),
        ):
            patch.setattr(owner, name, partialmethod(_forward, getattr(self, name)))

    def _dies(self) -> bool:
        self.left -= 1
        return self.left == 0

    def append(self, file: AppendFile, data: bytes) -> None:
        if self._dies():
            self._append(file, data[: int(len(data) * self._share)])
            raise Killed
        self._append(file, data)

    def write_bytes(self, path: Path, data: bytes) -> int:
        if self._dies():
            self._write_bytes(path, data[: int(len(data) * self._share)])
            raise Killed
        return self._write_bytes(path, data)

    def replace(self, path: Path, target: Path) -> Path:
        if self._dies():
            if self._share > 0.5:
                self._replace(path, target)
            raise Killed
        return self._replace(path, target)

    def unlink(self, path: Path, **options: bool) -> None:
        if self._dies():
            raise Killed
        self._unlink(path, **options)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 90), st.floats(0, 1)), max_size=6),
    st.lists(st.sampled_from([0.0, 2.0, 6.0]), min_size=1, max_size=4),
)
def test_killed_at_any_write_and_resumed_gives_the_same_bytes(
    deaths: list[tuple[int, float]], pace: list[float]
) -> None:
    with (
        tempfile.TemporaryDirectory() as one,
        tempfile.TemporaryDirectory() as other,
        pytest.MonkeyPatch.context() as quick,
    ):
        quick.setattr(os, "fsync", lambda handle: None)
        expected = expected_run(Path(one), 40)
        folder, clock = Path(other), Clock()
        for left, share in deaths:
            with pytest.MonkeyPatch.context() as patch:
                DyingWrites(patch, left, share)
                sink: FileSink | None = None
                try:
                    sink = sink_in(folder, clock=clock)
                    run_through(sink, 40, clock, pace)
                except Killed:
                    pass
                if sink is not None:
                    sink.abort()  # the system releases the files of a killed process
        run_through(sink_in(folder, clock=clock), 40, clock, pace)
        assert contents(folder) == expected
        assert not list(folder.glob(".*"))


def test_a_file_is_put_whole_or_the_former_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    put(path, b"first")
    put(path, b"second")
    assert path.read_bytes() == b"second"

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match=r"metrics\.json: cannot be written \(No space"):
            put(path, b"third")
    assert path.read_bytes() == b"second"
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.json"]
    with pytest.raises(OutputError, match=r"none/a\.json: cannot be written \(No such"):
        put(tmp_path / "none" / "a.json", b"")


def test_finished_outputs_are_sorted_and_checkpointed(tmp_path: Path) -> None:
    with sink_in(tmp_path) as sink:
        late, early = score("a", 2 * NS), score("b", NS)
        end, half = incident("a", NS), incident("a", NS // 2)
        sink.commit(Outputs([late, early], [Told(1, end), Told(1, half)], []), held(2, {}))
        sink.finish()
    rows = (tmp_path / "scores.csv").read_text().splitlines()
    assert rows[0] == (
        "machine_id,window_start,window_end,score,p_value,alarm,static_score,raw_score,"
        "incident_id,model_version"
    )
    assert [row.split(",")[0] for row in rows[1:]] == ["b", "a"]
    lines = (tmp_path / "alerts.jsonl").read_bytes().splitlines()
    ends = [orjson.loads(line)["window_end"] for line in lines]
    assert ends == ["1970-01-01T00:00:00.5Z", "1970-01-01T00:00:01Z"]
    assert orjson.loads((tmp_path / "checkpoint.json").read_bytes())["finished"] is True


def test_a_finished_folder_starts_anew_and_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    first = expected_run(tmp_path, 20)
    sink = sink_in(tmp_path, input="another input")
    assert sink.restored is None
    sink.abort()
    assert expected_run(tmp_path, 20) == first
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_finished_folder_stays_whole_until_the_first_commit(tmp_path: Path) -> None:
    expected_run(tmp_path, 20)
    (tmp_path / "report.html").write_text("said at the end")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    sink = FileSink(tmp_path, "other", "config", said_at_end=["report.html"])
    sink.close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    sink = FileSink(tmp_path, "other", "config", said_at_end=["report.html"])
    sink.commit(EMPTY, held(0, {}))
    sink.abort()
    assert {path.name for path in tmp_path.iterdir()} == {*NAMES}
    assert (tmp_path / "alerts.jsonl").read_bytes() == b""


@pytest.mark.parametrize("name", NAMES)
def test_an_output_that_cannot_be_written_is_told_before_anything_is_scored(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match=rf"{name}: cannot be written \(Is a directory\)"):
        sink_in(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_commits_are_grouped_by_the_clock(tmp_path: Path) -> None:
    clock = Clock()
    sink = sink_in(tmp_path, clock=clock)
    reads = []

    class States(dict[str, bytes]):
        def __getitem__(self, machine: str) -> bytes:
            reads.append(clock.now)
            return b"state"

    for position in range(12):
        clock.now = float(position)
        sink.commit(EMPTY, held(position, States(m=b"")))
    sink.abort()
    assert reads == [5.0, 10.0]
    with sink_in(tmp_path) as resumed:
        assert resumed.restored is not None
        assert resumed.restored.position == 10


def test_closing_keeps_every_commit_and_aborting_the_last_checkpoint(tmp_path: Path) -> None:
    with sink_in(tmp_path) as sink:
        sink.commit(outputs_at(0), held(1, {"m": b"1"}))
    with contextlib.suppress(Killed), sink_in(tmp_path) as sink:
        sink.commit(outputs_at(1), held(2, {"m": b"2"}))
        raise Killed
    with sink_in(tmp_path) as sink:
        assert sink.restored is not None
        assert (sink.restored.position, sink.restored.states) == (1, {"m": b"1"})


def unfinished(folder: Path) -> Path:
    with sink_in(folder) as sink:
        sink.commit(outputs_at(0), held(1, {"m": b"\x00\xff"}))
        sink.commit(outputs_at(1), held(2, {"m": b"\x00\xff"}))
    return folder / "checkpoint.json"


@pytest.mark.parametrize("part", ["input", "config", "windows"])
def test_a_checkpoint_of_another_run_is_refused_by_name(tmp_path: Path, part: str) -> None:
    unfinished(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(StateError, match=f"another {part}; use another folder, or delete"):
        sink_in(tmp_path, clock=None, **{part: "other"})
    assert contents(tmp_path) == before
    sink_in(tmp_path).abort()


def test_a_damaged_checkpoint_is_a_state_error(tmp_path: Path) -> None:
    path = unfinished(tmp_path)
    sound = path.read_bytes()
    tree = orjson.loads(sound)
    swapped = orjson.dumps({**tree, "position": tree["position"] + 1})
    for damaged in (b"", b"{}", b"[]", b"\xff", sound[:-20], swapped, sound.replace(b"m", b"n")):
        path.write_bytes(damaged)
        with pytest.raises(StateError, match=r"checkpoint\.json: damaged"):
            sink_in(tmp_path)
    path.write_bytes(sound)
    sink_in(tmp_path).abort()


@pytest.mark.parametrize("name", NAMES)
def test_an_output_shorter_than_its_checkpoint_is_a_state_error(tmp_path: Path, name: str) -> None:
    unfinished(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StateError, match=f"{name}: has .* bytes where the checkpoint knows"):
        sink_in(tmp_path)
    path.unlink()
    with pytest.raises(StateError, match=f"{name}: has 0 bytes"):
        sink_in(tmp_path)


def test_two_runs_cannot_write_one_folder(tmp_path: Path) -> None:
    with sink_in(tmp_path), pytest.raises(OutputError, match="another run is writing"):
        sink_in(tmp_path)


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file/out: a file stands where a folder is wanted"):
        sink_in(tmp_path / "file" / "out")


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Let no file grow beyond some bytes: the kernel's own refusal, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_an_output_error_and_the_run_resumes(
    tmp_path: Path, small_files: Callable[[int], None]
) -> None:
    expected = expected_run(tmp_path / "expected", 40)
    folder, clock = tmp_path / "out", Clock()
    small_files(1500)
    sink = sink_in(folder, clock=clock)
    with pytest.raises(OutputError, match=r"cannot be written \(.*\); free space") as caught:
        run_through(sink, 40, clock, [6.0])
    sink.abort()
    assert "run the same command again: it resumes" in str(caught.value)
    small_files(resource.RLIM_INFINITY)
    sink = sink_in(folder, clock=clock)
    assert sink.restored is not None
    run_through(sink, 40, clock, [6.0])
    assert contents(folder) == expected


def test_a_disk_that_fills_while_bytes_settle_is_an_output_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    sink = sink_in(tmp_path)
    sink.commit(outputs_at(0), held(1, {}))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        sink.close()
    sink.abort()


KILLED = """
import sys
from pathlib import Path
from tests.transport.test_sinks import Clock, run_through, sink_in
clock = Clock()
sink = sink_in(Path(sys.argv[1]), clock=clock)
print("ready", flush=True)
run_through(sink, 100_000, clock, [0.5])
"""


def test_a_process_killed_while_it_writes_leaves_what_resumes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    process.stdout.readline()
    while not (tmp_path / "checkpoint.json").exists():
        assert process.poll() is None
    process.kill()
    process.communicate()
    clock = Clock()
    sink = sink_in(tmp_path, clock=clock)
    assert sink.restored is not None
    batches = sink.restored.position + 50
    run_through(sink, batches, clock, [0.0])
    assert contents(tmp_path) == expected_run(tmp_path / "expected", batches)


def test_states_are_read_at_the_checkpoint_they_belong_to(tmp_path: Path) -> None:
    states: dict[str, bytes] = {}
    view: Mapping[str, bytes] = states
    with sink_in(tmp_path) as sink:
        for position in range(1, 4):
            states["m"] = bytes([position])
            sink.commit(EMPTY, held(position, view))
    with sink_in(tmp_path) as sink:
        assert sink.restored is not None
        assert (sink.restored.position, sink.restored.states["m"]) == (3, b"\x03")
