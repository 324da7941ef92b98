"""A small plant: three machines, three sensors that move together, one fault."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

SENSORS = ("a", "b", "c")
MACHINES = ("m1", "m2", "m3")
START, PERIOD = 1_704_067_200, 60  # seconds; on the grid
STEPS, LEARNED = 320, 160
FAULT = ("m2", range(240, 264))
LENGTH, HOP = 8, 4

Row = list[Any]  # machine_id, time in ms, one cell per sensor


def time_of(step: float) -> int:
    """Return the time of a step in milliseconds."""
    return round((START + step * PERIOD) * 1000)


def text_of(step: float) -> str:
    """Return the time of a step as the outputs write it."""
    return f"{datetime.fromtimestamp(time_of(step) / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def plant(steps: int = STEPS, machines: Sequence[str] = MACHINES, seed: int = 1) -> list[Row]:
    """Return rows in order of time, cells as the text that a file holds."""
    rng = np.random.default_rng(seed)
    rows = []
    for step in range(steps):
        for number, machine in enumerate(machines):
            level = np.sin(2 * np.pi * step / 40 + number)
            values = level * np.array([1, -2, 0.5]) + rng.normal(0, 0.05, 3)
            if machine == FAULT[0] and step in FAULT[1]:
                values[1] += 6
            rows.append([machine, time_of(step), *(f"{value:.4f}" for value in values)])
    return rows


def write_csv(path: Path, rows: Iterable[Row], sensors: Sequence[str] = SENSORS) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["machine_id", "time", *sensors])
        table.writerows(rows)
    return path


def write_config(path: Path, **sections: dict[str, Any]) -> Path:
    """Write settings for the plant; sections are laid over them key by key."""
    tree: dict[str, dict[str, Any]] = {
        "windows": {
            "sensors": list(SENSORS),
            "period_s": PERIOD,
            "length": LENGTH,
            "hop": HOP,
        },
        "detector": {"model": "ae", "scorer": "ares", "epochs": 2, "bank_windows": 100},
        "alarm": {"budget_per_machine_day": 50},
    }
    for name, keys in sections.items():
        tree[name] = tree.get(name, {}) | keys
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return path
