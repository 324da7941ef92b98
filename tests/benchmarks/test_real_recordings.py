"""The five families, held against what their files hold when read by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stream_ad.windows.spec import NS
from tests.benchmarks.recordings import FAMILIES, Recording, load

OIL = {  # rows kept, training rows, anomalous rows
    "1/WELL-00001_20140124213136": (6959, 575, 6000),
    "1/WELL-00002_20140126200050": (7138, 682, 6000),
    "1/WELL-00006_20170801063614": (12000, 3600, 6000),
    "1/WELL-00006_20170802123000": (12000, 3600, 6000),
    "1/WELL-00006_20180618060245": (12000, 3600, 6000),
    "2/WELL-00002_20131104014101": (9062, 2253, 5306),
    "2/WELL-00003_20141122214325": (8401, 1440, 6000),
    "2/WELL-00003_20170728150240": (6861, 1399, 4528),
    "2/WELL-00009_20170313160804": (6698, 2113, 3175),
}


def _named(recordings: list[Recording], name: str) -> Recording:
    return next(r for r in recordings if r.name == name)


@pytest.mark.parametrize(
    ("family", "streams", "sensors", "period_s", "hop"),
    [
        ("skab", 25, 8, 1, 1),
        ("smd", 4, 38, 60, 4),
        ("asd", 6, 19, 300, 4),
        ("tep", 11, 52, 180, 1),
        ("oil_3w", 9, 8, 1, 4),
    ],
)
def test_streams_sensors_period_and_hop(
    real_data: Path, family: str, streams: int, sensors: int, period_s: int, hop: int
) -> None:
    recordings = load(family, real_data)
    assert len(recordings) == streams
    for r in recordings:
        assert (len(r.sensors), r.period_s, r.hop) == (sensors, period_s, hop)
        assert r.values.shape == (len(r.time), sensors)
        assert r.label[r.history :].any()
        assert (np.diff(r.time) > 0).all()


def test_there_is_no_sixth_family() -> None:
    assert list(FAMILIES) == ["skab", "smd", "asd", "tep", "oil_3w"]


def test_skab_is_as_in_its_file(real_data: Path) -> None:
    r = _named(load("skab", real_data), "valve1/0")
    assert (len(r.time), r.history, r.label.sum()) == (1147, 400, 401)
    assert r.values[0, :3].tolist() == pytest.approx([0.0265878, 0.0401113, 1.3302])
    assert r.values[-1, -1] == np.float32(32.0015)
    assert r.time[-1] - r.time[0] == (19 * 60 + 59) * NS  # 10:14:33 to 10:34:32


def test_smd_is_the_end_of_its_training_file_and_the_start_of_its_test_file(
    real_data: Path,
) -> None:
    r = _named(load("smd", real_data), "machine-1-2")
    assert (len(r.time), r.history, r.label.sum()) == (32_000, 12_000, 412)
    assert np.flatnonzero(r.label)[[0, -1]].tolist() == [12_000 + 4_629, 12_000 + 18_800]
    assert r.values[0, :4].tolist() == pytest.approx([0.01, 0.006553, 0.005936, 0.003417])
    assert r.values[-1, :4].tolist() == pytest.approx([0.1, 0.04925, 0.064309, 0.06544])


def test_asd_is_all_that_its_files_hold(real_data: Path) -> None:
    recordings = load("asd", real_data)
    assert {(len(r.time), r.history) for r in recordings} == {(8_640 + 4_320, 8_640)}
    assert [r.label.sum() for r in recordings] == [441, 55, 146, 151, 74, 198]
    first = recordings[0]
    assert np.flatnonzero(first.label)[[0, -1]].tolist() == [8_640 + 760, 8_640 + 3_638]
    assert first.values[0, :4].tolist() == pytest.approx([0.49, 0.5, 0.5, 0.55])
    assert set(np.diff(first.time)) == {300 * NS}


def test_tep_is_the_normal_run_and_then_each_fault(real_data: Path) -> None:
    recordings = load("tep", real_data)
    faults = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 14]
    assert [r.name for r in recordings] == [f"d{fault:02}" for fault in faults]
    assert {(len(r.time), r.history, r.label.sum()) for r in recordings} == {(1_460, 500, 800.0)}
    first = recordings[0]
    assert first.values[0, :3] == pytest.approx([0.24987, 3642.6, 4539.6])
    assert first.values[-1, :3] == pytest.approx([0.78337, 3648.9, 4532.8])


def test_oil_3w_is_cut_around_the_first_anomalous_row(real_data: Path) -> None:
    recordings = load("oil_3w", real_data)
    assert {r.name: (len(r.time), r.history, r.label.sum()) for r in recordings} == OIL
    for r in recordings:
        assert set(np.diff(r.time)) == {NS}  # unlabelled rows are gone, and no gap in their place
        assert np.all(np.diff(r.label) >= 0)  # once anomalous, always, transients too
    r = _named(recordings, "1/WELL-00006_20170801063614")
    assert r.values[0, 1:4] == pytest.approx([18_373_110, 118.5905, 2_531_049])
    assert r.values[-1, 1:4] == pytest.approx([18_302_960, 118.7858, 2_518_416])


def test_oil_3w_values_that_no_float32_holds_are_missing_like_any_other(real_data: Path) -> None:
    r = _named(load("oil_3w", real_data), "1/WELL-00006_20180618060245")
    silent = [name for i, name in enumerate(r.sensors) if np.isnan(r.values[:, i]).all()]
    assert silent == ["P-PDG", "T-JUS-CKGL"]
    assert not np.isinf(r.values).any()
    assert r.values[0, 1] == pytest.approx(20_787_460)
