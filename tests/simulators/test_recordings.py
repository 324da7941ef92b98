import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from simulators import recordings
from simulators.recordings import build_hydraulic

SENSORS = ["TS1", "TS2", "TS3", "TS4", "VS1", "CE", "CP", "SE"]


@pytest.fixture(scope="module")
def hydraulic() -> pa.Table:
    return pyarrow.csv.read_csv(recordings.path("hydraulic"))


def test_the_recording_has_the_documented_columns_and_rows(hydraulic: pa.Table) -> None:
    assert hydraulic.column_names == ["time", "machine", *SENSORS, "anomaly"]
    assert hydraulic.num_rows == 14_400
    assert set(hydraulic["machine"].to_pylist()) == {"rig"}
    assert all(pa.types.is_floating(hydraulic[name].type) for name in SENSORS)
    assert sum(column.null_count for column in hydraulic.columns) == 0


def test_the_recording_is_contiguous_at_one_hertz(hydraulic: pa.Table) -> None:
    time = hydraulic["time"].cast(pa.timestamp("s", "UTC")).cast(pa.int64()).to_numpy()
    assert time[0] == np.datetime64("2024-01-08T06:00:00", "s").astype(int)
    assert (np.diff(time) == 1).all()


def test_three_clean_hours_are_followed_by_one_of_faults(hydraulic: pa.Table) -> None:
    assert hydraulic["anomaly"].to_pylist() == [0] * 10_800 + [1] * 3_600


def test_the_leak_shows_in_the_efficiency(hydraulic: pa.Table) -> None:
    """Its mean over each cycle falls by more than it ever varied before."""
    cycles = hydraulic["SE"].to_numpy().reshape(240, 60).mean(axis=1)
    assert cycles[180:].max() < cycles[:180].min()


def test_the_recording_is_small() -> None:
    assert recordings.path("hydraulic").stat().st_size < 1_200_000


def test_the_licence_travels_with_the_recording() -> None:
    text = recordings.about().read_text(encoding="utf-8")
    for needed in (
        "CC BY 4.0",
        "https://creativecommons.org/licenses/by/4.0/",
        "10.24432/C5CW21",
        "Nikolai Helwig",
        "Eliseo Pignanelli",
        "Andreas Schütze",
        "ZeMA",
        "What was changed",
    ):
        assert needed in text


def test_the_columns_are_explained() -> None:
    text = recordings.about().read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in [*SENSORS, "time", "machine", "anomaly"])


def test_an_unknown_recording_is_named() -> None:
    with pytest.raises(ValueError, match="recording: 'oil' is not one of hydraulic"):
        recordings.path("oil")


def test_the_cut_keeps_order_rounds_and_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(40, 5, (2205, 60, 8)).astype(np.float32)
    profile = np.tile(np.array([100, 100, 0, 90, 1]), (2205, 1))
    profile[1500, 0], profile[1501, 1], profile[1502, 2], profile[1503, 3] = 20, 73, 2, 130
    np.savez(tmp_path / "all.npz", X=values, profile=profile)
    out = tmp_path / "cut.csv"
    arguments = ["build_hydraulic", str(tmp_path / "all.npz"), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", arguments)
    build_hydraulic.main()
    table = pyarrow.csv.read_csv(out)
    cut = np.column_stack([table[name].to_numpy() for name in SENSORS])
    assert np.abs(cut - values[1494:1734].reshape(-1, 8)).max() <= 0.005 + 1e-9
    faulty = np.flatnonzero(table["anomaly"].to_numpy().reshape(240, 60).all(axis=1))
    assert (faulty + 1494).tolist() == [1500, 1501, 1502]
    assert table["anomaly"].to_numpy().sum() == 3 * 60
