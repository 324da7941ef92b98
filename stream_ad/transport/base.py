"""The seam between the program and the world: batches come in, one commit goes out.

A ``Source`` yields validated records with their positions. A ``Sink`` takes the outputs of a
batch together with the machine states and the input position they stand for, so that all
three are kept or none is. Files implement both today.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from stream_ad.records import IncidentEvent
from stream_ad.windows.batches import Readings, Windows

DEAD_LETTER_BYTES = 64_000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An input record that could not be used, and why.

    Parameters
    ----------
    offset : int
        Position in the input.
    value : bytes
        The original bytes, cut after 64 kB.
    length : int
        Length of the original in bytes.
    sha256 : str
        Digest of the original.
    error_class, error_message : str
        The cause.

    Examples
    --------
    >>> DeadLetter.of(7, b"{", "InvalidJson", "unexpected end of data").length
    1
    """

    offset: int
    value: bytes
    length: int
    sha256: str
    error_class: str
    error_message: str

    @classmethod
    def of(cls, offset: int, value: bytes, error_class: str, error_message: str) -> DeadLetter:
        """Build one from the original bytes."""
        digest = hashlib.sha256(value).hexdigest()
        return cls(
            offset, value[:DEAD_LETTER_BYTES], len(value), digest, error_class, error_message
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """What one read of the input gave.

    Parameters
    ----------
    records : Readings or Windows
        The good records, in order of arrival.
    dead : sequence of DeadLetter
        The others.
    position : int
        The position to go on from after this batch.
    counts : mapping of str to int
        What was masked while reading, by reason, such as ``not_a_number``.
    """

    records: Readings | Windows
    dead: Sequence[DeadLetter]
    position: int
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One row of ``scores.csv``; times in nanoseconds, written as RFC 3339."""

    machine_id: str
    window_start: int
    window_end: int
    score: float
    p_value: float
    alarm: bool
    static_score: float
    raw_score: float
    incident_id: str | None
    model_version: int


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the pipeline made of one batch, per machine in order of window end."""

    scores: Sequence[ScoreRow]
    incidents: Sequence[IncidentEvent]
    dead: Sequence[DeadLetter]


class Source(Protocol):
    """Where records come from."""

    def batches(self, position: int = 0) -> Iterator[Batch]:
        """Yield all batches from a position on; the end of the iterator is the end of input."""
        ...


class Sink(Protocol):
    """Where outputs, states and positions go, together."""

    def commit(
        self,
        outputs: Outputs,
        states: Mapping[str, bytes],
        changed: Collection[str],
        position: int,
    ) -> None:
        """Keep outputs, machine states and the input position as one step.

        ``states`` is a view over all machines that serialises a state when it is read;
        ``changed`` names those whose state this batch changed. An implementation may group
        several commits, as long as what it restores later is one earlier commit, whole.
        """
        ...
