"""What a trainer knows, kept so that a restart is no cold start.

::

    FOLDER/
    ├── current           number of the snapshot that counts
    └── 12/GROUP/...      a buffer of each machine group, as of `stream_ad.training.buffer_store`

The buffers are written first and ``current`` last: whoever reads finds the whole of a snapshot,
or of the one before.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from stream_ad.config import Config
from stream_ad.errors import StateError
from stream_ad.groups import Groups
from stream_ad.training.artifact_cache import ArtifactCache
from stream_ad.training.buffer import Buffer
from stream_ad.training.buffer_store import load, save
from stream_ad.training.labels import forget
from stream_ad.training.learning import buffer_of
from stream_ad.training.promotions import Decision, Promotion
from stream_ad.training.triggers import Triggers
from stream_ad.transport.durable import put, writing
from stream_ad.windows import WindowSpec
from stream_ad.windows.spec import parse_rfc3339

HIDDEN = ".trainer"  # whoever lists the registry's groups passes over it
CURRENT = "current"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a machine group.

    Parameters
    ----------
    buffer : Buffer
    record : dict
        As of `Retraining`; it holds what the buffer's quarantine knows.
    """

    buffer: Buffer
    record: dict[str, Any]

    def forget(self, now: int) -> None:
        """Drop what is known of incidents and labels of which no window is held any more.

        Parameters
        ----------
        now : int
            Event time in ns.
        """
        first = self.buffer.earliest()
        self.buffer.forget(now)
        forget(self.record, first)


class Snapshots:
    """Saves what is known beside the detectors, or on this machine where those lie elsewhere.

    Parameters
    ----------
    config : Config
    spec : WindowSpec
    groups : Groups
    """

    def __init__(self, config: Config, spec: WindowSpec, groups: Groups) -> None:
        self._spec, self._groups = spec, groups
        self.folder = _folder(config)
        members = {name: list(group.match) for name, group in config.groups.items()}
        self._members = hashlib.sha256(orjson.dumps(members)).hexdigest()[:16]

    def fresh(self) -> dict[str, Known]:
        """Return what is known of each group at the very beginning."""
        return {name: self._known(name, {}) for name in self._groups.names}

    def load(self) -> tuple[dict[str, Known], dict[str, Any]]:
        """Return what was saved last, of each group and of the intake.

        Raises
        ------
        StateError
            Nothing was, or it is damaged, or it was saved with other windows or groups.
        """
        folder = self.folder / self._current()
        found, rest = {}, dict[str, Any]()
        for name in self._groups.names:
            saved = load(folder / name, self._spec)
            rest = rest or saved.extra
            if saved.extra.get("members") != self._members:
                raise StateError(f"{folder}: it was saved with other machine groups")
            known = self._known(name, saved.extra["record"])
            found[name] = Known(saved.fill(known.buffer), known.record)
        return found, rest["intake"]

    def save(self, known: Mapping[str, Known], intake: Mapping[str, Any]) -> None:
        """Save it, but for what matters no more: all of it or nothing.

        Raises
        ------
        OutputError
            The one before stays.
        """
        folder = self.folder / str(self._next())
        newest = intake["newest"]
        for one in known.values() if newest is not None else ():
            one.forget(newest)
        for place, (name, one) in enumerate(known.items()):
            extra = {"members": self._members, "record": one.record}
            save(folder / name, one.buffer, extra if place else extra | {"intake": intake})
        put(self.folder / CURRENT, folder.name.encode())
        for old in self.folder.iterdir():
            if old.name.isdecimal() and old != folder:
                shutil.rmtree(old, ignore_errors=True)

    def _known(self, group: str, record: dict[str, Any]) -> Known:
        quarantine = record.setdefault("quarantine", {})
        return Known(buffer_of(self._groups.config(group), self._spec, quarantine), record)

    def _current(self) -> str:
        try:
            number = (self.folder / CURRENT).read_text(encoding="ascii")
        except FileNotFoundError as error:
            raise StateError(f"{self.folder}: nothing was saved there") from error
        except (OSError, ValueError) as error:
            raise StateError(f"{self.folder / CURRENT}: not readable ({error})") from error
        if not number.isdecimal():
            raise StateError(f"{self.folder / CURRENT}: not the number of a snapshot")
        return number

    def _next(self) -> int:
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            there = [int(one.name) for one in self.folder.iterdir() if one.name.isdecimal()]
        return max(there, default=0) + 1


def _folder(config: Config) -> Path:
    uri, service = config.registry.uri or "", quote(config.kafka.group_id, safe="")
    if "://" in uri and not uri.startswith("file://"):
        return ArtifactCache(uri).place(f"{HIDDEN}/{service}")
    return Path(uri.removeprefix("file://")) / HIDDEN / service


def caught_up(
    record: dict[str, Any], decisions: Sequence[Decision], config: Config
) -> dict[str, Any]:
    """Let a record know of the trainings that were decided after it was saved.

    Whoever dies between a decision and the next snapshot would otherwise train once more for the
    same cause, and forget how far machines have moved.

    Parameters
    ----------
    record : dict
        As of `Retraining`; changed in place.
    decisions : sequence of Promotion or Refusal
        Of the registry, in order.
    config : Config
        As it holds in the group.
    """
    triggers = Triggers(config.training, record.setdefault("triggers", {}))
    for decision in decisions:
        said = decision.figures
        if "at" not in said:
            continue  # made by hand
        at, last = parse_rfc3339(said["at"]), triggers.record["last"]
        if last is not None and at <= last:
            continue
        triggers.trained(at)
        if isinstance(decision, Promotion) and "moved" in said.get("gate", {}):
            record["moved"] = said["gate"]["moved"]
            record["known"] = said.get("known")
            learned = {*record.get("confirmed", ()), *said.get("confirmed", ())}
            record["confirmed"] = sorted(learned)
    taken_back(record, [one for one in decisions if isinstance(one, Promotion)])
    return record


def taken_back(record: dict[str, Any], promotions: Sequence[Promotion]) -> None:
    """Let a record count drift from where the version stood that an operator went back to.

    Parameters
    ----------
    record : dict
        As of `Retraining`; changed in place where the last promotion was made by hand.
    promotions : sequence of Promotion
        In order.
    """
    if not promotions or "at" in promotions[-1].figures:
        return
    version, record["moved"] = promotions[-1].version, None
    for one in promotions:
        if one.version == version and "moved" in one.figures.get("gate", {}):
            record["moved"] = one.figures["gate"]["moved"]
