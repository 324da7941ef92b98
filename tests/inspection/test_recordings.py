from __future__ import annotations

import os
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from simulators import recordings
from simulators.__main__ import main as simulate
from stream_ad.inspection import Inspection, inspect
from stream_ad.transport.files import open_source
from stream_ad.windows import WindowSpec


@pytest.fixture(scope="module")
def data() -> Path:
    """Return the folder of real recordings; where CI is set it must be there."""
    default = Path(__file__).parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("STREAM_AD_DATA", default))
    if not (folder / "skab").is_dir():
        reason = f"real recordings are not in {folder}; STREAM_AD_DATA names another folder"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


def names(found: Inspection) -> list[str]:
    return [sensor.name for sensor in found.config().windows.sensors]


def records(path: Path, found: Inspection) -> int:
    config = found.config()
    batches = list(open_source(path, config, WindowSpec.from_config(config.windows)).batches())
    assert not [letter for batch in batches for letter in batch.dead]
    return sum(len(batch.records) for batch in batches)


def test_skab_is_understood(data: Path) -> None:
    path = data / "skab" / "1.csv"
    found = inspect(path)
    config = found.config()
    assert config.input.csv.delimiter == ";"
    assert (config.input.fields.time, config.input.fields.machine_id) == ("datetime", None)
    assert found.label_columns == ["anomaly", "changepoint"]
    assert names(found) == [
        *("Accelerometer1RMS", "Accelerometer2RMS", "Current", "Pressure"),
        *("Temperature", "Thermocouple", "Voltage", "Volume Flow RateRMS"),
    ]
    assert (config.windows.period_s, config.windows.length) == (1, 16)
    assert any("UTC" in note for note in found.notes)
    assert records(path, found) == len(path.read_text().splitlines()) - 1


@pytest.mark.parametrize(
    ("name", "period_s"),
    [
        ("ambient_temperature_system_failure", 3600),
        ("machine_temperature_system_failure", 300),
    ],
)
def test_nab_is_understood(data: Path, name: str, period_s: float) -> None:
    path = data / "nab" / f"{name}.csv"
    found = inspect(path)
    assert found.config().windows.period_s == period_s
    assert names(found) == ["value"]
    assert records(path, found) == len(path.read_text().splitlines()) - 1


def test_the_shipped_recording_is_understood() -> None:
    path = recordings.path("hydraulic")
    found = inspect(path)
    assert found.config().windows.period_s == 1
    assert found.config().input.fields.machine_id == "machine"
    assert found.label_columns == ["anomaly"]
    assert names(found) == ["TS1", "TS2", "TS3", "TS4", "VS1", "CE", "CP", "SE"]


FACTORY = ["factory", "--machines", "2", "--sensors", "4", "--days", "2", "--period", "120"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.csv", []),
        ("a.csv", ["--delimiter", ";", "--decimal", ",", "--local-time", "Europe/Berlin"]),
        ("a.csv", ["--record", "long"]),
        ("a.jsonl", []),
        ("a.jsonl", ["--record", "long"]),
        ("a.jsonl", ["--record", "window", "--window-length", "32"]),
        ("a.parquet", []),
        ("a.parquet", ["--record", "long"]),
    ],
)
def test_every_dialect_of_the_simulated_factory_is_understood(
    tmp_path: Path, name: str, options: list[str]
) -> None:
    path = tmp_path / name
    faults = ["--faults", "2", "--labels-column", "label"]
    assert simulate([*FACTORY, *faults, *options, "--out", str(path)]) == 0
    found = inspect(path)
    config = found.config()
    shape = options[1] if "--record" in options else "reading"
    assert config.input.format == shape
    assert config.input.fields.machine_id == "machine_id"
    assert config.windows.period_s == 120
    assert len(config.windows.sensors) == 4
    assert config.windows.length == (32 if shape == "window" else 16)
    assert found.label_columns == ["label"]
    assert records(path, found) > 0


def test_disorder_of_the_simulated_factory_is_covered(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    late = ["--disorder", "500", "--out", str(path)]
    assert simulate([*FACTORY, *late]) == 0
    assert 240 <= inspect(path).config().windows.disorder_s <= 600


def test_a_sensor_that_reports_changes_only_gets_a_gap_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    assert simulate([*FACTORY, "--on-change", "pressure", "--out", str(path)]) == 0
    rows = [line.split(",") for line in path.read_text().splitlines()]
    place = rows[0].index("pressure")
    reported = {
        m: [r[0] for r in rows[1:] if r[1] == m and r[place]] for m in {r[1] for r in rows[1:]}
    }
    steps = [
        (datetime.fromisoformat(b) - datetime.fromisoformat(a)).total_seconds()
        for stamps in reported.values()
        for a, b in pairwise(stamps)
    ]
    gaps = {sensor.name: sensor.max_gap_s for sensor in inspect(path).config().windows.sensors}
    usual = sorted(steps)[round(0.95 * len(steps)) - 1]
    assert usual > 240
    assert gaps["pressure"] is not None
    assert gaps["pressure"] >= usual
    assert gaps["vibration"] is None
