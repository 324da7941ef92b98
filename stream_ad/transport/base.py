"""The seam between the program and the world: batches come in, one commit goes out.

A ``Source`` yields validated records with their positions. A ``Sink`` takes the outputs of a
batch together with the machine states and the input position they stand for, so that all
three are kept or none is. Files implement both; the service on Kafka, whose partitions come
and go, has a loop of its own around the same pipeline and the same commit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
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
        The original bytes, cut where they are too many: after 64 kB in files.
    length : int
        Length of the original in bytes.
    sha256 : str
        Digest of the original.
    error_class, error_message : str
        The cause.
    partition : int
        Of the input; 0 for files.
    key : bytes or None
        The record's key, where the input has keys.

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
    partition: int = 0
    key: bytes | None = None

    @classmethod
    def of(
        cls,
        offset: int,
        value: bytes,
        error_class: str,
        error_message: str,
        keep: int = DEAD_LETTER_BYTES,
    ) -> DeadLetter:
        """Build one from the original bytes, of which the first ``keep`` are kept."""
        digest = hashlib.sha256(value).hexdigest()
        return cls(offset, value[:keep], len(value), digest, error_class, error_message)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one read of one partition of the input gave.

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
    partition : int
        Of the input; files have one.
    promotions : mapping of str to int, or None
        By machine group the newest that counts for it, where that is known of another run; None:
        all that there are.
    """

    records: Readings | Windows
    dead: Sequence[DeadLetter]
    position: int
    counts: Mapping[str, int] = field(default_factory=dict)
    partition: int = 0
    promotions: Mapping[str, int] | None = None


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
class Told:
    """An incident event and its number within the incident, from 1: together they name it."""

    number: int
    event: IncidentEvent


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the pipeline made of some batches, per machine in order of window end."""

    scores: list[ScoreRow]
    incidents: list[Told]
    dead: Sequence[DeadLetter]


@dataclass(frozen=True, slots=True)
class Touched:
    """A machine that had records in the last batches.

    Parameters
    ----------
    first : int
        Offset of the first of them.
    closed : bool
        Whether they closed a window, or made the machine known: its state has to be kept.
    """

    first: int
    closed: bool


class Held(Protocol):
    """One partition as it stands after a batch: what has to be kept with the outputs."""

    @property
    def position(self) -> int:
        """The position to go on from."""
        ...

    @property
    def records(self) -> Mapping[str, bytes]:
        """The state records of all machines, serialised when read."""
        ...

    @property
    def touched(self) -> Mapping[str, Touched]:
        """The machines whose state the last batch changed, in order of ``first``."""
        ...


class Source(Protocol):
    """Where records come from."""

    def batches(self, position: int = 0) -> Iterator[Batch]:
        """Yield all batches from a position on; the end of the iterator is the end of input."""
        ...


class Sink(Protocol):
    """Where outputs, states and positions go, together."""

    def commit(self, outputs: Outputs, held: Mapping[int, Held]) -> None:
        """Keep outputs, machine states and input positions as one step.

        ``held`` has the partitions of the batches that the outputs were made of. An
        implementation may group several commits, as long as what it restores later is one
        earlier commit, whole.
        """
        ...
