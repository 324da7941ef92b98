"""What the detector says about an alarming window, in the words of the alerts topic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stream_ad.alerting import Details
from stream_ad.records import ChannelEvidence, Neighbour, SensorEvidence
from stream_ad.versions import Judge
from stream_ad.windows import Windows, WindowSpec, rfc3339

if TYPE_CHECKING:
    from stream_ad.detector.explanation import Explanation

TOP_SENSORS = 5


@dataclass(frozen=True, slots=True)
class Describe:
    """One window's description, put into words only when an incident needs it.

    Parameters
    ----------
    explanation : Explanation
        Of a whole batch.
    row : int
        This window's row in it.
    spec : WindowSpec
    channels : tuple of str
        Names of the evidence channels.
    """

    explanation: Explanation
    row: int
    spec: WindowSpec
    channels: tuple[str, ...]

    @classmethod
    def many(
        cls,
        detector: Judge,
        spec: WindowSpec,
        windows: Windows,
    ) -> Sequence[Describe]:
        """Explain windows in one go."""
        explanation = detector.explain(windows.values, windows.start, windows.machine)
        return [cls(explanation, row, spec, detector.channels) for row in range(len(windows))]

    @property
    def sensor_share(self) -> NDArray[np.float64]:
        """Each sensor's share of the evidence, (C,)."""
        share: NDArray[np.float64] = self.explanation.share[self.row]
        return share

    def __call__(self) -> Details:
        """Return the sensors that lead, the evidence and the nearest normal windows."""
        e, row = self.explanation, self.row
        # constructed, not validated: these are our own figures, and there are many of them
        leading = np.argsort(-e.share[row], kind="stable")[:TOP_SENSORS]
        sensors = [
            SensorEvidence.model_construct(
                name=self.spec.sensors[c].name,
                unit=self.spec.sensors[c].unit,
                share=float(e.share[row, c]),
                expected=_number(e.expected[row, c]),
                actual=_number(e.actual[row, c]),
            )
            for c in leading
            if e.share[row, c] > 0
        ]
        evidence = [
            ChannelEvidence.model_construct(channel=name, share=float(share))
            for name, share in zip(self.channels, e.evidence[row], strict=True)
        ]
        near = zip(
            e.neighbour_machine[row], e.neighbour_start[row], e.neighbour_distance[row], strict=True
        )
        neighbours = [
            Neighbour.model_construct(
                machine_id=str(machine), start=rfc3339(int(start)), distance=float(distance)
            )
            for machine, start, distance in near
        ]
        return Details(sensors, evidence, neighbours)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
