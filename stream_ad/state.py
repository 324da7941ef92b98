"""The state of one machine: everything that accumulates while scoring, in one record.

The law of state: ``(artifact, machine state, record) -> (machine state, outputs)``. Nothing
else adapts, nothing is shared between machines, and no clock is read. Whoever holds a
machine's record goes on exactly where the last one stopped.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

import orjson

from stream_ad.alerting import AlertState, Rules, close_all
from stream_ad.errors import StateError
from stream_ad.records import IncidentEvent
from stream_ad.windows import WindowSpec
from stream_ad.windows.assembler import Assembler, RecordGate

VERSION = 1
Shape = Literal["window", "reading", "long"]
DAMAGE = ValueError, KeyError, TypeError, AttributeError  # what a damaged record raises


@dataclass(slots=True)
class MachineState:
    """All of one machine's state.

    Parameters
    ----------
    grid : Assembler or RecordGate
        Open slots, last values, watermark, a reading that waits.
    alerts : AlertState
        Memory of the last n hops, open incidents, how long sensors have stood still; apart
        from these, a silence that was noticed.
    through : int
        Position of the last input record of this machine that is in this state.
    counts : Counter of str
        What was counted for this machine, by reason.

    Examples
    --------
    >>> from stream_ad.config import WindowsConfig
    >>> spec = WindowSpec.from_config(WindowsConfig(sensors=["a"], period_s=1, length=2))
    >>> state = MachineState.fresh(spec, "reading")
    >>> record = state.to_bytes(spec)
    >>> MachineState.from_bytes(record, spec, "reading").to_bytes(spec) == record
    True
    """

    grid: Assembler | RecordGate
    alerts: AlertState = field(default_factory=AlertState)
    through: int = -1
    counts: Counter[str] = field(default_factory=Counter)

    @classmethod
    def fresh(cls, spec: WindowSpec, shape: Shape) -> MachineState:
        """Return the state of a machine that was never seen."""
        return cls(RecordGate(spec) if shape == "window" else Assembler(spec))

    def to_bytes(self, spec: WindowSpec) -> bytes:
        """Return the state record: JSON, keys sorted, equal states give equal bytes."""
        return orjson.dumps(
            {
                "version": VERSION,
                "windows": spec.digest(),
                "through": self.through,
                "grid": self.grid.to_dict(),
                "alerts": self.alerts.to_dict(),
                "counts": dict(self.counts),
            },
            option=orjson.OPT_SORT_KEYS,
        )

    @classmethod
    def from_bytes(cls, record: bytes, spec: WindowSpec, shape: Shape) -> MachineState:
        """Restore a state record.

        Raises
        ------
        StateError
            For a record of another window config, of another version, or a damaged one.
        """
        try:
            tree = orjson.loads(record)
            if (tree["version"], tree["windows"]) != (VERSION, spec.digest()):
                raise StateError(
                    "a machine state was made with other window settings "
                    f"(theirs {tree['windows']}, now {spec.digest()}): use the old settings, "
                    "or start without the states (--reset-state)"
                )
            grid = RecordGate if shape == "window" else Assembler
            return cls(
                grid.from_dict(spec, tree["grid"]),
                AlertState.from_dict(tree["alerts"]),
                tree["through"],
                Counter(tree["counts"]),
            )
        except DAMAGE as error:
            raise StateError(f"a machine state record is damaged: {error}") from error

    @classmethod
    def reset_from(
        cls, record: bytes, machine_id: str, spec: WindowSpec, shape: Shape, rules: Rules
    ) -> tuple[MachineState, list[tuple[int, IncidentEvent]]]:
        """Begin anew in place of a record, whatever its window settings, and close its incidents.

        Parameters
        ----------
        record : bytes
            Of one that is damaged, or of another version, no incident can be told.
        machine_id : str
        spec, shape
            As `fresh`.
        rules : Rules
            Now in force: name the machine group.

        Returns
        -------
        MachineState
            Keeps only ``through``, so that no record is read twice, and from which number on
            events go, so that no ``ce_id`` repeats although windows may start where some did.
        list of (int, IncidentEvent)
            The incidents that were open, closed with reason ``reset``, each with its number.
        """
        state = cls.fresh(spec, shape)
        alerts = AlertState()
        events: list[tuple[int, IncidentEvent]] = []
        with suppress(*DAMAGE):
            tree = orjson.loads(record)
            state.through = int(tree["through"])
            if tree["version"] == VERSION:
                alerts = AlertState.from_dict(tree["alerts"])
                events = close_all(alerts, machine_id, "reset", rules)
        state.alerts.base = state.alerts.most = alerts.most
        state.alerts.silence = alerts.silence
        return state, events
