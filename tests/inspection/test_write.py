from __future__ import annotations

from pathlib import Path

import yaml
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.config import (
    CsvConfig,
    FieldsConfig,
    InputConfig,
    LimitsConfig,
    SensorConfig,
    WindowsConfig,
    load_config,
    parse_config,
)
from stream_ad.inspection import Inspection, inspect
from tests.inspection.files import csv, iso, temp

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
FIELD = TEXT.filter(lambda text: not text.startswith("$"))
SECONDS = st.integers(1, 10**9).map(lambda micro: micro / 1e6)


@given(
    names=st.lists(TEXT, min_size=1, max_size=40, unique=True),
    parts=st.lists(FIELD, min_size=3, max_size=3, unique=True),
    alone=st.booleans(),
    good=st.none() | st.lists(st.integers(0, 255) | TEXT, min_size=1, max_size=3),
    gap=st.none() | SECONDS | st.just(float("inf")),
    period=SECONDS,
    delimiter=st.sampled_from(",;\t|"),
    pattern=st.none() | TEXT,
    notes=st.lists(TEXT, max_size=3),
)
def test_whatever_the_names_the_yaml_says_the_same_config(
    names: list[str],
    parts: list[str],
    alone: bool,
    good: list[int | str] | None,
    gap: float | None,
    period: float,
    delimiter: str,
    pattern: str | None,
    notes: list[str],
) -> None:
    machine, time, quality = parts
    fields = FieldsConfig(
        machine_id=None if alone else machine, time=time, quality=quality if good else None
    )
    own = InputConfig(
        fields=fields,
        time_format=pattern,
        good_quality=None if good is None else tuple(good),
        csv=CsvConfig(delimiter=delimiter),
    )
    sensors = tuple(SensorConfig(name=name, max_gap_s=gap) for name in names)
    windows = WindowsConfig(sensors=sensors, period_s=period, length=32, hop=8, max_gap_s=gap)
    limits = LimitsConfig(sensors=2_000)
    why = dict.fromkeys(["input.csv", "windows.hop", "input.time_zone"], notes[0] if notes else "")
    found = Inspection(Path("a\n.csv"), "rows", own, windows, limits, why, names[:1], notes)
    config = found.config()
    assert (config.input, config.windows, config.limits) == (own, windows, limits)


def test_the_written_file_loads_as_the_config(tmp_path: Path) -> None:
    found = inspect(csv(tmp_path / "a.csv", ["time", "temp"], [iso(300), temp(300)]))
    path = tmp_path / "stream-ad.yaml"
    path.write_text(found.to_yaml(), encoding="utf-8")
    assert load_config(path, {}) == found.config()


def test_every_chosen_value_has_a_reason(tmp_path: Path) -> None:
    found = inspect(csv(tmp_path / "a.csv", ["time", "temp"], [iso(300), temp(300)], delimiter=";"))
    lines = found.to_yaml().splitlines()
    for key in ("format", "machine_id", "time", "csv", "period_s", "length", "hop", "disorder_s"):
        (place,) = (n for n, line in enumerate(lines) if line.strip().startswith(f"{key}:"))
        assert "#" in lines[place] or lines[place - 1].strip().startswith("#")


def test_commented_defaults_are_keys_that_may_be_uncommented(tmp_path: Path) -> None:
    found = inspect(csv(tmp_path / "a.csv", ["time", "temp"], [iso(300), temp(300)]))
    lines = []
    for line in found.to_yaml().splitlines():
        key = line.strip().removeprefix("# ").partition(":")[0]
        commented = line.startswith("  # ") and key.isidentifier()
        lines.append(line.replace("# ", "", 1) if commented else line)
    tree = yaml.safe_load("\n".join(lines))
    assert {"max_gap_s", "max_missing"} < set(tree["windows"])
    assert {"m", "n", "close_after"} < set(tree["alarm"])
    assert "network" in tree["detector"]
    parse_config(tree)


def test_a_line_is_never_long_unless_a_name_is(tmp_path: Path) -> None:
    names = [f"sensor_{n}" for n in range(100)]
    found = inspect(csv(tmp_path / "a.csv", ["time", *names], [iso(300), *[temp(300)] * 100]))
    assert max(map(len, found.to_yaml().splitlines())) <= 100
