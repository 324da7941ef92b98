"""What `stream-ad models list` shows of a group."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from stream_ad.errors import ArtifactError
from stream_ad.training.promotions import Decision, Promotion, Refusal, not_replaced
from stream_ad.windows import rfc3339

if TYPE_CHECKING:
    from stream_ad.training.decision_log import DecisionLog

HEADINGS = ("promotion", "version", "scores from", "model", "state")
INDENT = " " * 4


@dataclass(frozen=True, slots=True)
class Listing:
    """A group as it stood when it was read.

    Parameters
    ----------
    group, where : str
    decisions : list of Decision
        In order.
    models : dict of int to str
        Model and scorer of each version that is there.
    """

    group: str
    where: str
    decisions: list[Decision]
    models: dict[int, str]

    @classmethod
    def read(cls, log: DecisionLog, group: str) -> Self:
        """Read a group.

        Raises
        ------
        ArtifactError
        """
        models = {number: _model(log, number, group) for number in log.numbers(group)}
        return cls(group, log.where, log.decisions(group), models)

    @property
    def promotions(self) -> list[Promotion]:
        """Those of the decisions, in order."""
        return [one for one in self.decisions if isinstance(one, Promotion)]

    def states(self) -> dict[int, str]:
        """Say of each promotion what it is worth today."""
        made = self.promotions
        scoring = {one.number for one in not_replaced(made)}
        states = {one.number: "scored" if one.number in scoring else "replaced" for one in made}
        for one in made[-1:]:
            states[one.number] = "scores now"
            held = [other.number for other in made if other.version == one.reference]
            states |= {number: f"{states[number]}, reference" for number in held[-1:]}
        gone = {one.number: "removed" for one in made if one.version not in self.models}
        return states | gone

    def headline(self) -> str:
        """Say in a line which version scores."""
        place = f"{self.group} in {self.where}"
        for now in self.promotions[-1:]:
            return (
                f"{place}: version {now.version} scores since promotion {now.number}; drift is "
                f"judged by version {now.reference}"
            )
        numbers = ", ".join(map(str, self.models))
        return f"{place}: {f'version {numbers}, not promoted' if numbers else 'no detectors'}"

    def lines(self, width: int | None = None) -> Iterator[str]:
        """Say of each promotion and refusal what it is, and why.

        Parameters
        ----------
        width : int, optional
            Of the screen: reasons stand below, broken to it. None: a line each, however long.
        """
        rows = [HEADINGS, *self._rows()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        reasons = ["reason", *(" ".join(one.reason.split()) for one in self.decisions)]
        for row, reason in zip(rows, reasons, strict=True):
            cells = map(str.ljust, row, widths)
            if width is None:
                yield "  ".join((*cells, reason))
                continue
            yield "  ".join(cells).rstrip()
            yield from textwrap.wrap(reason, width, initial_indent=INDENT, subsequent_indent=INDENT)

    def _rows(self) -> Iterator[tuple[str, ...]]:
        states = self.states()
        for one in self.decisions:
            number, since, state = "-", "-", "refused"
            if isinstance(one, Promotion):
                number, since = str(one.number), _short(one.effective_from)
                state = states[one.number]
            version, model = str(one.version or "-"), self.models.get(one.version or 0, "-")
            yield number, version, since, model, state

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        now, states = self.promotions[-1:], self.states()
        return {
            "registry": self.where,
            "group": self.group,
            "version": now[0].version if now else None,
            "promotion": now[0].number if now else None,
            "reference": now[0].reference if now else None,
            "versions": [{"version": n, "model": model} for n, model in self.models.items()],
            "decisions": [
                {"decision": "refused", **as_json(one)}
                if isinstance(one, Refusal)
                else {"decision": "promoted", "state": states[one.number], **as_json(one)}
                for one in self.decisions
            ],
        }


def as_json(decision: Decision) -> dict[str, Any]:
    """Return a decision as JSON values."""
    tree = asdict(decision)
    if isinstance(decision, Promotion):
        tree["effective_from"] = rfc3339(decision.effective_from)
    return tree


def _short(time: int) -> str:
    """Write a time to the millisecond: one by hand is a nanosecond after what it learned."""
    return rfc3339(time // 10**6 * 10**6)


def _model(log: DecisionLog, number: int, group: str) -> str:
    try:
        settings = log.card(number, group)["settings"]
        return f"{settings['model']}+{settings['scorer']}"
    except (ArtifactError, LookupError, TypeError):  # a damaged one must not hide the others
        return "unreadable"
