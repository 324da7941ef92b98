"""What `stream-ad models show` says of a version: its card, and what was decided about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from stream_ad.cli.model_list import as_json
from stream_ad.training.promotions import Decision, Promotion
from stream_ad.windows import rfc3339
from stream_ad.windows.spec import NS

if TYPE_CHECKING:
    from stream_ad.training.decision_log import DecisionLog

SETTINGS = ("model", "scorer", "network", "scaling", "k", "seed")
LINE = ("line", "median", "p_line", "budget_asked", "budget_supported", "supported_budget", "days")


@dataclass(frozen=True, slots=True)
class Summary:
    """A version, as its card and the decisions stand.

    Parameters
    ----------
    title : str
    card : dict
    decisions : list of Decision
        About it, in order.
    """

    title: str
    card: Mapping[str, Any]
    decisions: list[Decision]

    @classmethod
    def read(cls, log: DecisionLog, version: int, group: str) -> Self:
        """Read a version.

        Raises
        ------
        ConfigError
            It is not there.
        ArtifactError
        """
        log.expect(version, group, "models show")
        card = log.card(version, group)
        mine = [one for one in log.decisions(group) if one.version == version]
        return cls(f"version {version} of {group} in {log.where}", card, mine)

    def lines(self) -> Iterator[str]:
        """Say in lines what it is, how it scores and what was decided about it."""
        yield self.title
        yield from (f"  {heading}: {text}" for heading, text in self._about() if text)
        for one in self.decisions:
            yield _decided(one)
            yield from _gate(one.figures)
        if not self.decisions:
            yield "never promoted, never refused"

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {"card": self.card, "decisions": [as_json(one) for one in self.decisions]}

    def _about(self) -> Iterator[tuple[str, str]]:
        """Yield headings and texts; one whose part the card lacks is empty."""
        settings, history, line = map(self._part, ("settings", "history", "line"))
        yield "model", _pairs({key: settings[key] for key in SETTINGS if key in settings})
        yield "windows", _windows(self._part("windows"))
        yield "sensors", ", ".join(map(_sensor, self.card.get("sensors", ())))
        yield "learned from", _pairs({key: history[key] for key in history if key != "sha256"})
        yield "index", _index(self.card)
        yield "calibration", _pairs(self._part("calibration"))
        yield "line", _pairs({key: line[key] for key in LINE if key in line})
        yield "fit", _pairs(self._part("fit"))
        yield "made by", _pairs(self._part("versions"))
        yield "made because", str(self.card.get("promoted", ""))

    def _part(self, name: str) -> Mapping[str, Any]:
        found = self.card.get(name)
        return found if isinstance(found, Mapping) else {}


def _windows(grid: Mapping[str, Any]) -> str:
    if not grid:
        return ""
    every = grid["hop_ns"] // grid["period_ns"]
    return f"{grid['length']} slots of {grid['period_ns'] / NS:g} s, one every {every} slots"


def _sensor(sensor: Mapping[str, Any]) -> str:
    unit = f" [{sensor['unit']}]" if sensor.get("unit") else ""
    return f"{sensor['name']}{unit}{'' if sensor.get('known', True) else ' (no history)'}"


def _index(card: Mapping[str, Any]) -> str:
    checked = card.get("index_check", {})
    return ", ".join(text for text in (str(card.get("index", "")), _pairs(checked)) if text)


def _decided(decision: Decision) -> str:
    if not isinstance(decision, Promotion):
        return f"refused: {decision.reason}"
    return (
        f"promotion {decision.number}: scores from {rfc3339(decision.effective_from)}, drift is "
        f"judged by version {decision.reference}: {decision.reason}"
    )


def _gate(figures: Mapping[str, Any]) -> Iterator[str]:
    """Say what the gate found, if it was asked."""
    for check in figures.get("gate", figures).get("checks", ()):
        held = "held" if check["passed"] else "MISSED"
        yield f"  gate, {check['name']}: {held}: {check['sentence']}"
        if measured := _pairs(check["figures"]):
            yield f"    {measured}"


def _pairs(values: Mapping[str, Any]) -> str:
    """Write names and values, those that hold others left out."""
    plain = {key: value for key, value in values.items() if not isinstance(value, dict | list)}
    texts = {
        key: format(value, ".4g") if isinstance(value, float) else str(value)
        for key, value in plain.items()
    }
    return ", ".join(f"{key.replace('_', ' ')} {text}" for key, text in texts.items())
