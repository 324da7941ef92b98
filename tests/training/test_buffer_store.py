"""A buffer that was saved is the same buffer, or is said to be none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_ad.config import SensorConfig, TrainingConfig
from stream_ad.errors import OutputError, StateError
from stream_ad.training import buffer_store
from stream_ad.training.buffer import SAMPLED, Buffer
from stream_ad.training.buffer_store import load, save
from stream_ad.training.quarantine import Quarantine
from stream_ad.transport.durable import put
from stream_ad.windows import Windows, WindowSpec
from tests.training.told import HOP, WINDOW, WORDS, event, label

SENSORS = (SensorConfig(name="a"), SensorConfig(name="b"))
SPEC = WindowSpec(SENSORS, HOP, WINDOW // HOP, 1, 0, (0, 0), 1000)
REACH, KEPT, LIMIT = WINDOW + 3 * HOP, 200, 60
NAMES = ["press-1", "Drehmaschine Süd", "a\0", "a"]


def empty(record: dict[str, dict[str, object]] | None = None, limit: int = LIMIT) -> Buffer:
    training = TrainingConfig(
        buffer_windows=limit, labelled_windows=12, half_life_s=300e-9, min_windows=10
    )
    known = Quarantine(WINDOW, KEPT, {} if record is None else record, 2 * HOP)
    return Buffer(training, SPEC, REACH, known)


class Stream:
    """Windows, incidents and labels of some machines, batch by batch."""

    def __init__(self, seed: int) -> None:
        self._rng, self.now = np.random.default_rng(seed), 0
        self._open: dict[str, tuple[int, int]] = {}
        self._told: list[tuple[int, str, int]] = []
        self._ends: dict[int, int] = {}

    def batch(self) -> Callable[[Buffer], object]:
        """Return what happens next, to be done to any buffer."""
        rng, told = self._rng, []
        start = self.now + np.arange(int(rng.integers(1, 40))) * HOP
        self.now = int(start[-1]) + HOP
        machine = np.array([NAMES[i] for i in rng.integers(0, len(NAMES), len(start))], object)
        values = rng.random((len(start), SPEC.length, 2), np.float32)
        values[rng.random(values.shape) < 0.1] = np.nan
        name = NAMES[int(rng.integers(0, len(NAMES)))]
        if name in self._open:
            number, since = self._open.pop(name)
            told.append(event(number, name, since, self.now - HOP, "closed"))
            self._ends[number] = self.now - HOP + WINDOW
        else:
            self._open[name] = len(self._told), int(start[0])
            told.append(event(len(self._told), name, int(start[0]), self.now - HOP))
            self._told.append((len(self._told), name, int(start[0])))
        labels = []
        if rng.random() < 0.4:
            number, owner, since = self._told[int(rng.integers(0, len(self._told)))]
            word = WORDS[int(rng.integers(0, 2))]
            labels.append(label(number, owner, since, self._ends.get(number), self.now, word))

        def happen(buffer: Buffer) -> None:
            for one in told:
                buffer.quarantine.tell(one)
            buffer.take(Windows(machine, start, values, np.arange(len(start))))
            for said in labels:  # heard with the next windows
                buffer.quarantine.label(said)

        return happen


def content(buffer: Buffer, now: int) -> list[bytes]:
    """Return all that there is to see, bit by bit."""
    windows, y, _ = buffer.training_set(now)
    seen = [repr(windows.machine.tolist()).encode(), windows.start.tobytes(), y.tobytes()]
    seen += [windows.values.tobytes(), windows.offset.tobytes()]
    return [
        *seen,
        orjson.dumps(buffer.composition(now)),
        repr((buffer.taken, buffer.first)).encode(),
    ]


def copied(buffer: Buffer, folder: Path) -> Buffer:
    """Save a buffer, and return it as another process would find it."""
    save(folder, buffer, {"quarantine": buffer.quarantine.record})
    saved = load(folder, SPEC)
    return saved.fill(empty(saved.extra["quarantine"]))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), at=st.integers(0, 25))
def test_a_buffer_read_back_is_the_same_and_goes_on_alike(
    seed: int, at: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stream, buffer, untouched = Stream(seed), empty(), empty()
    for _ in range(at):
        happen = stream.batch()
        happen(buffer)
        happen(untouched)
    again = copied(buffer, tmp_path_factory.mktemp("saved"))
    assert content(again, stream.now) == content(buffer, stream.now)
    for _ in range(6):
        happen = stream.batch()
        for one in (buffer, untouched, again):
            happen(one)
    expected = content(untouched, stream.now)
    assert content(again, stream.now) == expected
    assert content(buffer, stream.now) == expected


def filled(batches: int = 12) -> tuple[Buffer, int]:
    stream, buffer = Stream(7), empty()
    for _ in range(batches):
        stream.batch()(buffer)
    return buffer, stream.now


def test_windows_lie_in_files_of_bounded_size_and_old_ones_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window of four slots of two sensors has 32 bytes: five of them a file."""
    monkeypatch.setattr(buffer_store, "PART_BYTES", 5 * 32)
    stream, buffer = Stream(7), empty()
    for _ in range(12):
        stream.batch()(buffer)
    assert content(copied(buffer, tmp_path), stream.now) == content(buffer, stream.now)
    first = {path.name for path in tmp_path.iterdir()}
    held = len(buffer.slots.place) - len(buffer.slots.at(0))
    assert len(first) == 1 + -(-held // 5)
    (tmp_path / ".windows-left.safetensors.part").touch()
    stream.batch()(buffer)
    assert content(copied(buffer, tmp_path), stream.now) == content(buffer, stream.now)
    assert len([*tmp_path.iterdir()]) == 1 + -(
        -(len(buffer.slots.place) - len(buffer.slots.at(0))) // 5
    )


def test_smaller_limits_hold_for_what_was_saved_under_larger_ones(tmp_path: Path) -> None:
    buffer, _ = filled()
    save(tmp_path, buffer, {})
    small = load(tmp_path, SPEC).fill(empty(buffer.quarantine.record, limit=20))
    small.trim()
    few, all_of_them = (one.slots.windows(one.slots.at(SAMPLED)) for one in (small, buffer))
    assert len(few) == 20
    places = set(zip(all_of_them.machine, all_of_them.start.tolist(), strict=True))
    assert set(zip(few.machine, few.start.tolist(), strict=True)) < places


def test_nothing_saved_is_said(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no buffer was saved there"):
        load(tmp_path / "none", SPEC)


def test_a_buffer_of_another_window_grid_is_refused(tmp_path: Path) -> None:
    save(tmp_path, filled()[0], {})
    other = WindowSpec(SENSORS, HOP, WINDOW // HOP, 2, 0, (0, 0), 1000)
    with pytest.raises(StateError, match="other window settings"):
        load(tmp_path, other)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b'{"sha256":1}', b'{"sha256":"00","form":1}', b"\xff\x00", b"7"],
)
def test_a_card_that_is_none_is_said_to_be_damaged(tmp_path: Path, content: bytes) -> None:
    save(tmp_path, filled()[0], {})
    (tmp_path / buffer_store.NAME).write_bytes(content)
    with pytest.raises(StateError, match="damaged"):
        load(tmp_path, SPEC)


@settings(max_examples=60, deadline=None)
@given(where=st.floats(0, 0.999), bit=st.integers(0, 7), which=st.integers(0, 1), cut=st.booleans())
def test_any_flipped_bit_or_missing_end_is_said(
    where: float, bit: int, which: int, cut: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("saved")
    save(folder, filled(4)[0], {"position": 3})
    path = sorted(folder.iterdir())[which]
    data = bytearray(path.read_bytes())
    at = int(where * (len(data) - 1))  # the newline at the end of the card means nothing
    data[at] ^= 1 << bit
    path.write_bytes(data[:at] if cut else data)
    with pytest.raises(StateError, match="damaged"):
        load(folder, SPEC).fill(empty())


def test_a_file_that_is_gone_is_said(tmp_path: Path) -> None:
    save(tmp_path, filled()[0], {})
    next(tmp_path.glob(buffer_store.PARTS)).unlink()
    with pytest.raises(StateError, match="damaged"):
        load(tmp_path, SPEC).fill(empty())


def test_a_save_that_ends_at_any_file_leaves_the_buffer_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every write of the second save fails once: the first is still there, whole."""
    monkeypatch.setattr(buffer_store, "PART_BYTES", 40 * 32)
    buffer, now = filled()
    save(tmp_path, buffer, {"position": 1})
    before, writes = content(buffer, now), 0
    later, _ = filled(20)
    while True:
        left = writes

        def failing(path: Path, data: bytes) -> None:
            nonlocal left
            if left == 0:
                raise OutputError(f"{path}: cannot be written")
            left -= 1
            put(path, data)

        monkeypatch.setattr(buffer_store, "put", failing)
        try:
            save(tmp_path, later, {"position": 2})
        except OutputError:
            saved = load(tmp_path, SPEC)
            assert saved.extra == {"position": 1}
            assert content(saved.fill(empty(buffer.quarantine.record)), now) == before
            writes += 1
        else:
            break
    assert writes >= 3
    assert load(tmp_path, SPEC).extra == {"position": 2}


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file stands where a folder is wanted"):
        save(tmp_path / "file", empty(), {})
