"""Which version scores from when on, and why: the decisions of a registry, each a small file.

::

    ROOT/GROUP/
    ├── 000001/                      a version: an artifact that never changes
    ├── promotions/000001.json       from when on which version scores
    └── refusals/000001-000001.json  after promotion 1: what was not promoted, and why
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, PlainSerializer, TypeAdapter, ValidationError

from stream_ad.errors import ArtifactCorrupt
from stream_ad.records import ModelRecord
from stream_ad.versions import scoring
from stream_ad.windows import rfc3339
from stream_ad.windows.spec import parse_rfc3339

PROMOTIONS, REFUSALS = "promotions", "refusals"  # folders of a group


def _ns(value: object) -> object:
    return parse_rfc3339(value) if isinstance(value, str) else value


# in ns inside, a text that people read in the file
Time = Annotated[int, BeforeValidator(_ns), PlainSerializer(rfc3339, when_used="json")]


class _InFile:
    """What a decision and its file have to do with each other."""

    __slots__ = ()

    def to_json(self) -> bytes:
        """Return the content of its file."""
        return TypeAdapter(type(self)).dump_json(self, indent=2) + b"\n"

    @classmethod
    def from_json(cls, data: bytes, where: str = "a decision") -> Self:
        """Read the content of its file.

        Parameters
        ----------
        data : bytes
        where : str
            The file, for the error.

        Raises
        ------
        ArtifactCorrupt
        """
        try:
            return TypeAdapter(cls).validate_json(data, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise ArtifactCorrupt(
                f"{where}: {place + ': ' if place else ''}{first['msg']}: not what `stream-ad` "
                "wrote; put the file back as it was"
            ) from error


@dataclass(frozen=True, slots=True)
class Promotion(_InFile):
    """From ``effective_from`` on a version scores its group; a rollback is one as well.

    Parameters
    ----------
    number : int
        Counts the promotions of a group from 1.
    group : str
    version : int
    effective_from : int
        First window end in ns that it may score; RFC 3339 in the file. What an earlier promotion
        says of the same time or later is replaced: see `not_replaced`.
    reason : str
        A sentence.
    card_sha256 : str
        Digest of the artifact's card, which holds those of its other files.
    reference : int
        Version that drift is judged by.
    made_at : str
        RFC 3339, by the clock on the wall: for people, nothing is decided by it.
    accepted : tuple of str
        Machines whose new normal an operator accepted with it, ``*`` all of them.
    figures : dict
        JSON values: what the gate measured.
    takes_back : int
        Of a rollback: number of the promotion that scored till then; otherwise 0.

    Examples
    --------
    >>> one = Promotion(1, "default", 1, 60 * 10**9, "the first", "ab12", 1, "2024-01-01T00:00:00Z")
    >>> Promotion.from_json(one.to_json()) == one
    True
    >>> one.record().effective_from
    '1970-01-01T00:01:00Z'
    """

    number: int
    group: str
    version: int
    effective_from: Time
    reason: str
    card_sha256: str
    reference: int
    made_at: str
    accepted: tuple[str, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    takes_back: int = 0

    def record(self) -> ModelRecord:
        """Return its announcement."""
        return ModelRecord(
            machine_group=self.group,
            promotion=self.number,
            model_version=self.version,
            card_sha256=self.card_sha256,
            effective_from=rfc3339(self.effective_from),
            reference=self.reference,
            reason=self.reason,
        )


@dataclass(frozen=True, slots=True)
class Refusal(_InFile):
    """A detector that was trained and not promoted.

    Parameters
    ----------
    after : int
        Number of the promotion that stood then; 0 before any.
    number : int
        Counts the refusals after that promotion from 1.
    group, reason, made_at, figures
        As of a `Promotion`.
    version : int or None
        Where the refused detector lies, if it was kept.
    """

    after: int
    number: int
    group: str
    reason: str
    made_at: str
    figures: dict[str, Any] = field(default_factory=dict)
    version: int | None = None


Decision = Promotion | Refusal


def in_order(decisions: Sequence[Decision]) -> list[Decision]:
    """Return decisions in the order in which they were made."""
    return sorted(decisions, key=_place)


def _place(decision: Decision) -> tuple[int, int]:
    if isinstance(decision, Refusal):
        return decision.after, decision.number
    return decision.number, 0


def now_text() -> str:
    """Return the time of the clock on the wall, to the second, as RFC 3339."""
    return rfc3339(time.time_ns() // 10**9 * 10**9)


def not_replaced(promoted: Sequence[Promotion]) -> list[Promotion]:
    """Leave out what never scores; see `stream_ad.versions.scoring`."""
    return [promoted[place] for place in scoring(promoted)]


def standing(promotions: Sequence[Promotion]) -> list[Promotion]:
    """Return the promotions that no rollback took back, the one that scores now last.

    A rollback stands where the version stood that it went back to.

    Parameters
    ----------
    promotions : sequence of Promotion
        All of a group, in order.

    Examples
    --------
    >>> def made(*acts):
    ...     return [Promotion(n, "", v, 0, "", "", 1, "", takes_back=b) for n, v, b in acts]
    >>> [one.version for one in standing(made((1, 1, 0), (2, 2, 0), (3, 3, 0), (4, 2, 3)))]
    [1, 2]
    >>> [one.version for one in standing(made((1, 1, 0), (2, 2, 0), (3, 1, 0)))]
    [1, 2, 1]
    """
    kept: list[Promotion] = []
    for one in promotions:
        if one.takes_back:
            known = [place for place, other in enumerate(kept) if other.version == one.version]
            kept = kept[: known[-1]] if known else kept
        kept = [*kept, one]
    return kept


def previous(promotions: Sequence[Promotion]) -> Promotion | None:
    """Return the promotion that a rollback goes back to: of the version that scored before.

    Parameters
    ----------
    promotions : sequence of Promotion
        All of a group, in order.
    """
    others = (one for one in standing(promotions)[::-1] if one.version != promotions[-1].version)
    return next(others, None)


def loadable(promotions: Sequence[Promotion], versions: set[int]) -> list[Promotion]:
    """Return the promotions that can still score: those after the last one whose version is gone.

    Earlier ones could be loaded at times, but what a version that is gone scored would then be
    scored by another one.

    Parameters
    ----------
    promotions : sequence of Promotion
        In order.
    versions : set of int
        Those that are there.
    """
    found = not_replaced(promotions)
    gone = [place for place, one in enumerate(found) if one.version not in versions]
    return found[gone[-1] + 1 :] if gone else found
