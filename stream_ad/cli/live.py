"""The demo's live view: what every machine is doing, and what was just found."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from stream_ad.cli.screen import Screen
from stream_ad.records import IncidentEvent
from stream_ad.transport.base import Outputs
from stream_ad.windows import rfc3339

BAR, LAST_EVENTS = 30, 6
COLOURS = {"info": "blue", "warning": "yellow", "error": "red", "critical": "bold red"}


@dataclass(slots=True)
class Row:
    """What is shown of one machine."""

    end: int
    score: float
    windows: int = 0
    incidents: int = 0


class LiveScreen(Screen):
    """Bars, a row per machine and the latest incident events.

    Parameters
    ----------
    console : Console, optional
        Where to draw.
    """

    def __init__(self, console: Console | None = None) -> None:
        super().__init__(console)
        self._rows: dict[str, Row] = {}
        self._events: deque[IncidentEvent] = deque(maxlen=LAST_EVENTS)
        self._live = Live(self, console=self.console, refresh_per_second=8)

    def _start(self) -> None:
        self._live.start()

    def _stop(self) -> None:
        self._live.stop()
        if not self.console.is_interactive:  # what is live ends without a line break
            self.console.print()

    def watch(self, outputs: Outputs) -> None:
        """Take in what one step gave."""
        for score in outputs.scores:
            row = self._rows.setdefault(score.machine_id, Row(0, 0.0))
            row.end, row.score = score.window_end, score.score
            row.windows += 1
        for event in (told.event for told in outputs.incidents):
            if event.event == "opened" and event.machine_id in self._rows:
                self._rows[event.machine_id].incidents += 1
            self._events.append(event)

    def __rich__(self) -> RenderableType:
        """Return everything as it stands now."""
        return Group(self.bars, self._machines(), *map(_line, self._events))

    def _machines(self) -> Table:
        table = Table("machine", "simulated time", "score (the line is 1)", "windows", "incidents")
        for name, row in sorted(self._rows.items()):
            filled = min(BAR, max(0, round(row.score * BAR / 3)))
            style = "red" if row.score > 1 else "green"
            bar = Text(f"{row.score:6.2f} " + "█" * filled, style=style)
            table.add_row(name, rfc3339(row.end), bar, str(row.windows), str(row.incidents))
        return table


def _line(event: IncidentEvent) -> Text:
    sensors = ", ".join(sensor.name for sensor in event.sensors[:2])
    text = f"{event.window_end} {event.machine_id} {event.kind} {event.event}: {sensors}"
    return Text(text, style=COLOURS[event.severity])
