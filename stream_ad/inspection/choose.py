"""The section ``windows``: sensors, period, length, hop, disorder and gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stream_ad.config import SensorConfig, TrainingConfig, WindowsConfig
from stream_ad.errors import InputError
from stream_ad.inspection.describe import Section
from stream_ad.inspection.grid import (
    Period,
    Rows,
    find_disorder,
    find_length,
    find_period,
    long_gaps,
    per_hour,
    sensor_gaps,
)
from stream_ad.inspection.names import listed
from stream_ad.inspection.nice import coarser, spoken
from stream_ad.inspection.roles import Roles
from stream_ad.inspection.sample import Sample
from stream_ad.inspection.shape import Sensors
from stream_ad.windows.spec import NS

_DISORDER_WINDOWS = 10
_NEWEST_FIRST = 0.9


def choose_windows(
    path: Path, sample: Sample, roles: Roles, rows: Rows, sensors: Sensors
) -> Section[WindowsConfig]:
    """Return the section ``windows``.

    Raises
    ------
    InputError
        Where no machine has two different times, or the file is sorted newest first.
    """
    period = find_period(rows)
    if period is None:
        who = "the machine" if roles.machine is None else f"each {roles.machine.name!r}"
        raise InputError(
            f"{path}: {who} has one time only, so there is no stream to watch; check"
            f" --time-column ({roles.time.name!r} was taken) and --machine-column"
        )
    notes = [period.mixed] if period.mixed else []
    if period.max_gap_s is not None:
        notes.append(
            f"readings come irregularly: a grid of {spoken(period.seconds)} was chosen, and a"
            f" value stands for up to {spoken(period.max_gap_s)}"
        )
    history = _history_rows(sample, rows, period)
    length, hop = find_length(history, period.seconds)
    disorder_s, disorder_why = _disorder(path, rows, period, length, notes)
    usual = period.max_gap_s or 2 * period.seconds
    gaps, rare = _gaps(roles, rows, sensors, usual)
    if rare:
        notes.append(
            f"too few values to tell how often they report: {listed(rare)}; for a sensor that"
            " only reports changes, max_gap_s: .inf keeps its last value"
        )
    _note_history(history, length, hop, len(np.unique(rows.machine)), notes)
    if roles.long is None:
        _note_repeats(rows, roles, notes)
    why = {
        "windows.period_s": period.why,
        "windows.length": f"slots, so {spoken(length * period.seconds)}: 16 for less than 2,000"
        f" readings of history per machine, 32 for less than 20,000, else 64; here {history:,.0f}",
        "windows.hop": _hop_why(length, hop, period.seconds),
        "windows.disorder_s": disorder_why,
        "windows.max_gap_s": "99 % of the steps are shorter",
    }
    windows = WindowsConfig(
        sensors=tuple(SensorConfig(name=n, max_gap_s=gaps.get(n)) for n in sensors.names),
        period_s=period.seconds,
        length=length,
        hop=hop,
        disorder_s=disorder_s,
        max_gap_s=period.max_gap_s,
    )
    return Section(windows, why, notes)


def _hop_why(length: int, hop: int, period_s: float) -> str:
    about = "a quarter" if 4 * hop == length else "about a quarter"
    hour = ", a part of the hour" if per_hour(hop, period_s) else ""
    return f"{about} of length, {spoken(hop * period_s)}{hour}; shorter finds earlier, costs more"


def _history_rows(sample: Sample, rows: Rows, period: Period) -> float:
    """Estimate how many slots of the grid with readings a machine has in its history."""
    slots = rows.time // round(period.seconds * NS)
    filled = len(np.unique(np.stack((rows.machine, slots)), axis=1).T)
    per_row = filled / len(sample)
    machines = len(np.unique(rows.machine))
    return sample.rows * per_row / machines * TrainingConfig().history_share


def _disorder(
    path: Path, rows: Rows, period: Period, length: int, notes: list[str]
) -> tuple[float, str]:
    late_s, back = find_disorder(rows, period.seconds)
    if back > _NEWEST_FIRST and len(rows.time) > 10:
        raise InputError(f"{path}: the times run backwards; sort the file with the oldest first")
    longest = _DISORDER_WINDOWS * length * period.seconds
    if not back:
        return 0.0, "no time goes back"
    if not late_s:
        notes.append("fewer than 1 in 1,000 rows come late; they are counted and not used")
        return 0.0, "late rows are fewer than 1 in 1,000"
    if late_s > longest:
        notes.append(
            f"times go back by up to {spoken(late_s)}: waiting is limited to ten windows"
            f" ({spoken(longest)}), later rows are counted and not used; sorting the file, or"
            " naming the machine column, may help"
        )
        return longest, "ten windows, though times go back farther"
    return coarser(late_s), f"99.9 % of the rows are at most {spoken(late_s)} late"


def _gaps(
    roles: Roles, rows: Rows, sensors: Sensors, usual_s: float
) -> tuple[dict[str, float], list[str]]:
    if roles.long is None:
        return sensor_gaps(rows, sensors.values, usual_s)
    gaps, rare = long_gaps(rows, roles.long[0].codes()[1], usual_s)
    known = set(sensors.names)
    return gaps, [name for name in rare if name in known]


def _note_history(history: float, length: int, hop: int, machines: int, notes: list[str]) -> None:
    windows = machines * max(0, (history - length) // hop + 1)
    wanted = 2 * TrainingConfig().min_windows
    if windows < wanted:
        notes.append(
            f"short: about {windows:.0f} windows of history, {wanted} or more are wanted; a"
            f" longer recording, or a windows.length below {length}, may help"
        )


def _note_repeats(rows: Rows, roles: Roles, notes: list[str]) -> None:
    order = np.lexsort((rows.time, rows.group))
    again = (np.diff(rows.time[order]) == 0) & (np.diff(rows.group[order]) == 0)
    share = again.mean() if len(again) else 0.0
    if share > 0.1:
        hint = "; is there a machine column?" if roles.machine is None else ""
        notes.append(
            f"{share:.0%} of the rows repeat a time of their machine: the last value of a slot"
            f" counts{hint}"
        )
