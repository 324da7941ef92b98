"""How far an alarm line may follow its machine."""

from __future__ import annotations

from stream_ad.config.section import NotNegative, Section


class DriftConfig(Section):
    """How far the alarm line of a machine may follow what is ordinary there; a 0 holds it still."""

    max_per_day: NotNegative = 2.0
    """Most that the line moves in a day of event time, in units of `static_score`."""
    max_total: NotNegative = 3.0
    """Most that it moves at all; a machine that drifts beyond opens an incident of kind `drift`."""
    report: NotNegative = 0.5
    """Every further move by so much is counted and shown."""
