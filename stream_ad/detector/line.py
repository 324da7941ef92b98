"""The alarm line: from a budget of false alarms to a raw score, from a raw score to p."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from stream_ad.config import AlarmConfig
from stream_ad.detector.calibration import DAY, Calibration
from stream_ad.detector.rates import HeldOut, IncidentRate
from stream_ad.detector.tail import Floats, ParetoTail, PValues


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """Median, line and p-values of a detector on one machine group.

    A window alarms when its raw score is above ``line``: the level that the budget or rate
    asks for, raised by `small_sample_margin`. The line lies above the median by at least a
    millionth of the median's size (or 1e-9), so that the score is defined.

    Parameters
    ----------
    p_values : PValues
    incidents : IncidentRate or None
        None for a line by window rate: then every alarm counts as an incident.
    median : float
        Median normal raw score.
    level : float
        What the budget or rate asks for; p-values and budgets are told of it.
    line : float
        The level, raised for the few windows that it is taken from.
    p_floor : float
        ``1 / (max_extrapolation * independent windows)``: no p-value is below it.
    days, independent : float
        Scored machine-days and independent windows of the calibration.
    per_day : float
        Windows per machine-day over m: incidents if all alarmed and every m made one.
    budget_asked : float or None
        Incidents per machine-day; None for a line by window rate.
    budget_supported : bool
        Whether the asked budget (or rate) needs no p-value below the floor.
    supported_budget : float
        Incidents per machine-day expected at the tightest line that this calibration supports.
    needed_days : float or None
        Held-out scored machine-days that would support what was asked; None if it is.

    Examples
    --------
    >>> n = 1000
    >>> normal = Calibration(np.array(["a"] * n, object), np.arange(n) * 60 * 10**9,
    ...                      np.random.default_rng(0).exponential(size=n),
    ...                      hop_ns=60 * 10**9, window_ns=60 * 10**9)
    >>> line = AlarmLine.for_rate(normal, rate=0.01, max_extrapolation=10)
    >>> bool(4 < line.line < 5.2), round(line.p_line, 3)
    (True, 0.01)
    >>> line.static_score(np.array([line.median, line.line]))
    array([0., 1.])
    """

    p_values: PValues
    incidents: IncidentRate | None
    median: float
    level: float
    line: float
    p_floor: float
    days: float
    independent: float
    per_day: float
    budget_asked: float | None
    budget_supported: bool
    supported_budget: float
    needed_days: float | None

    @classmethod
    def for_rate(cls, calibration: Calibration, rate: float, max_extrapolation: float) -> AlarmLine:
        """Place the line where a normal window alarms with probability ``rate``.

        Parameters
        ----------
        calibration : Calibration
        rate : float
            Above 0, below 1.
        max_extrapolation : float
            At least 1.
        """
        return cls._place(calibration, max_extrapolation, rate)

    @classmethod
    def for_budget(cls, calibration: Calibration, alarm: AlarmConfig) -> AlarmLine:
        """Place the line where the alarm rule opens as many incidents as the budget allows.

        Parameters
        ----------
        calibration : Calibration
        alarm : AlarmConfig
            Budget, ``m``, ``n``, ``close_after``, ``max_extrapolation``.

        Notes
        -----
        Two curves decide. The incidents that the rule would have opened on the calibration
        at each level, with a generalised Pareto tail of their highest u, u being the m-th
        largest of the last n raw scores. And, since an incident takes m alarms, never more
        than windows per day x p / m. The line is the lowest level at which either is within
        the budget. If its p-value would be below the floor, it is the level at the floor.
        Works badly when held-out time is short beside a day of the asked budget: the run
        says so with ``budget_supported``.
        """
        code, start, raw = calibration.ordered()
        held_out = HeldOut(code, start, raw, alarm, alarm.n * calibration.hop_ns)
        incidents = IncidentRate.fit(held_out, calibration.days, calibration.independent)
        rate = min(1.0, alarm.budget_per_machine_day * alarm.m * calibration.hop_ns / DAY)
        return cls._place(
            calibration, alarm.max_extrapolation, rate, incidents=incidents, alarm=alarm
        )

    @classmethod
    def _place(
        cls,
        calibration: Calibration,
        max_extrapolation: float,
        rate: float,
        *,
        incidents: IncidentRate | None = None,
        alarm: AlarmConfig | None = None,
    ) -> AlarmLine:
        """Take the lowest level within the budget or the rate, unless it is too far out."""
        raw, independent = calibration.ordered()[2], calibration.independent
        p_values, floor = PValues.fit(raw, independent), 1 / (max_extrapolation * independent)
        asked, tightest = p_values.where(rate), p_values.tightest(floor)
        if incidents is not None and alarm is not None:
            asked = min(asked, incidents.where(alarm.budget_per_machine_day))
            asked = max(asked, min(incidents.lowest, tightest))
        supported = asked <= tightest
        median = float(np.median(raw))
        level = max(asked if supported else tightest, median + max(1e-6 * abs(median), 1e-9))
        days, n = calibration.days, len(raw)
        placed = cls(
            p_values=p_values,
            incidents=incidents,
            median=median,
            level=level,
            line=median + (level - median) * small_sample_margin(independent),
            p_floor=min(1.0, floor),
            days=days,
            independent=independent,
            per_day=n / days / (alarm.m if alarm else 1),
            budget_asked=alarm.budget_per_machine_day if alarm else None,
            budget_supported=supported,
            supported_budget=math.nan,
            needed_days=None if supported else days * _growth(p_values, asked, rate, floor),
        )
        return replace(placed, supported_budget=placed.expected_per_day(tightest))

    @property
    def p_line(self) -> float:
        """p-value just above the level: an alarm has it or a lower one."""
        above = float(self.p_values.at(np.array([self.level]), "right")[0])
        return min(1.0, max(above, self.p_floor))

    def expected_per_day(self, line: float) -> float:
        """Return the incidents per machine-day of scored time to expect at a line.

        Not floored: far beyond the calibration it is as good as the tail's fit.
        """
        by_alarms = self.per_day * float(self.p_values.at(np.array([line]), "right")[0])
        return by_alarms if self.incidents is None else min(by_alarms, self.incidents.at(line))

    def p_value(self, raw: ArrayLike) -> Floats:
        """Return the p-value of each raw score, floored; elementwise, NaN stays NaN.

        Parameters
        ----------
        raw : float array (n,)

        Returns
        -------
        float64 array (n,), above 0, at most 1
        """
        scores = np.ascontiguousarray(raw, np.float64)
        p = np.minimum(np.maximum(self.p_values.at(scores), self.p_floor), 1.0)
        return np.where(np.isnan(scores), np.nan, p)

    def static_score(self, raw: ArrayLike) -> Floats:
        """Return ``(raw - median) / (line - median)``: ordinary 0, the line 1, no ceiling.

        Parameters
        ----------
        raw : float array (n,)

        Returns
        -------
        float64 array (n,)
        """
        scores = np.asarray(raw, np.float64)
        return np.asarray((scores - self.median) / (self.line - self.median))

    def to_card(self) -> dict[str, Any]:
        """Return everything but the arrays as JSON values."""
        card: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        card["p_values"] = self.p_values.tail and self.p_values.tail.to_list()
        rate = self.incidents
        card["incidents"] = rate and {"tail": rate.tail and rate.tail.to_list()}
        return card | {"p_line": self.p_line}

    def arrays(self) -> dict[str, Floats]:
        """Return the arrays that belong to the card."""
        arrays = {"raw": self.p_values.raw}
        if self.incidents is not None:
            arrays |= {"levels": self.incidents.levels, "rates": self.incidents.rates}
        return arrays

    @classmethod
    def from_card(cls, card: Mapping[str, Any], arrays: Mapping[str, Floats]) -> AlarmLine:
        """Build the line again from what ``to_card`` and ``arrays`` gave.

        Raises
        ------
        KeyError
            If a field or an array is not there.
        """
        values = {f.name: card[f.name] for f in fields(cls)}
        tail, rate = card["p_values"], card["incidents"]
        values["p_values"] = PValues(arrays["raw"], tail and ParetoTail(*tail))
        if rate is not None:
            fitted = rate["tail"] and ParetoTail(*rate["tail"])
            values["incidents"] = IncidentRate(arrays["levels"], arrays["rates"], fitted)
        return cls(**values)


def small_sample_margin(independent: float) -> float:
    """Return by how much the line is raised, as a multiple of its distance to the median.

    ``1 + 2 / I``: what I looks foretell of the next one is wider than what they showed, by
    about the ratio of Student's t to the normal distribution. With hundreds of looks nothing
    is added; with a handful the line would otherwise break its budget on the first day.

    Parameters
    ----------
    independent : float
        Independent windows I, above 0.

    Examples
    --------
    >>> [small_sample_margin(n) for n in (4, 100)]
    [1.5, 1.02]
    """
    return 1 + 2 / independent


def _growth(p_values: PValues, asked: float, rate: float, floor: float) -> float:
    """Return by how much the held-out time must grow until it supports what was asked.

    Either so far that ``rate`` itself can be counted and lies above the floor, which always
    does; or, where the fitted curves say which level was asked, until its p reaches the floor.
    """
    n = len(p_values.raw)
    counted = max(1 / rate - 1, n * floor / rate) / n
    p = float(p_values.at(np.array([asked]), "right")[0])
    return counted if asked == math.inf or p == 0 else min(counted, floor / p)
