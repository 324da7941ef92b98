"""Labels, in whatever words a recording has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream_ad.errors import InputError
from stream_ad.transport.labels import is_anomaly, read_labels
from tests.transport.recordings import config_of, read, readings

CONFIG = config_of(time_unit="s")


@pytest.mark.parametrize("label", [1, 1.0, "1", "1.0", -1, True, "TRUE", " Anomaly ", "attack", 7])
def test_true_numbers_and_words_are_anomalies(label: object) -> None:
    assert is_anomaly(label) is True


@pytest.mark.parametrize("label", [0, 0.0, "0", "-0.0", False, "false", "Normal", "", None, "NaN"])
def test_false_zero_nothing_and_words_are_normal(label: object) -> None:
    assert is_anomaly(label) is False


def test_other_words_are_neither() -> None:
    assert is_anomaly("maybe") is None


def write(folder: Path, kind: str, labels: list[str]) -> Path:
    path = folder / f"a.{kind}"
    rows = [("m", f"{second}", label) for second, label in enumerate(labels)]
    if kind == "csv":
        path.write_text("machine_id,time,fault\n" + "".join(f"{m},{t},{x}\n" for m, t, x in rows))
    elif kind == "jsonl":
        line = '{{"machine_id": "{}", "time": {}, "fault": "{}"}}\n'
        path.write_text("".join(line.format(*row) for row in rows))
    else:
        names = ("machine_id", "time", "fault")
        columns = dict(zip(names, zip(*rows, strict=True), strict=True))
        pq.write_table(pa.table({name: list(column) for name, column in columns.items()}), path)
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_every_kind_of_file_has_the_same_labels(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind, ["normal", "Fault", "0", "1", ""])
    machine, time, label = read_labels(path, CONFIG, "fault")
    assert machine.tolist() == ["m"] * 5
    assert time.tolist() == [second * 10**9 for second in range(5)]
    assert label.tolist() == [0, 1, 0, 1, 0]
    assert time.dtype == np.dtype(np.int64)
    assert label.dtype == np.dtype(np.int8)


def test_labels_of_the_history_are_dropped_as_they_are_read(tmp_path: Path) -> None:
    path = write(tmp_path, "csv", ["1", "0", "1", "0"])
    machine, time, label = read_labels(path, CONFIG, "fault", after=10**9)
    assert (len(machine), time.tolist(), label.tolist()) == (2, [2 * 10**9, 3 * 10**9], [1, 0])


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_an_absent_label_column_is_an_input_error(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind, ["0"])
    with pytest.raises(InputError, match="'foult'"):
        read_labels(path, CONFIG, "foult")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_an_unknown_word_is_an_input_error_that_names_it(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind, ["0", "perhaps"])
    with pytest.raises(InputError, match="fault = 'perhaps': allowed is 0, another number"):
        read_labels(path, CONFIG, "fault")


def test_rows_without_machine_or_time_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("machine_id,time,fault\nm,1,1\n,2,1\nm,soon,1\nm,4\nm,5,0\n")
    _, time, label = read_labels(path, CONFIG, "fault")
    assert (time // 10**9).tolist() == [1, 5]
    assert label.tolist() == [1, 0]


def test_true_and_false_of_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    columns = {"machine_id": ["m"] * 3, "time": [1, 2, 3], "fault": [True, False, None]}
    pq.write_table(pa.table(columns), path)
    assert read_labels(path, CONFIG, "fault")[2].tolist() == [1, 0, 0]


def test_what_decodes_as_a_record_keeps_its_label(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    line = '{"machine_id": "m", "time": %d, "values": {"a": %s}, "fault": 1}\n'
    cells = ("NaN", "1", "-Infinity", "1e999")
    path.write_text("".join(line % found for found in enumerate(cells)))
    assert len(readings(read(path, CONFIG))) == 4
    assert read_labels(path, CONFIG, "fault")[2].tolist() == [1, 1, 1, 1]


def test_broken_json_lines_and_one_machine_without_a_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"time": 1, "x": {"y": true}}\n{broken\n[]\n{"time": 2, "x": {"y": 0}}\n')
    config = config_of(time_unit="s", fields={"machine_id": None})
    machine, _, label = read_labels(path, config, "x.y")
    assert machine.tolist() == ["machine"] * 2
    assert label.tolist() == [1, 0]
