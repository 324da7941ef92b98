"""What a registry says of its past: which version scores from when on, what was refused, why."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from stream_ad.config.groups import DEFAULT as DEFAULT_GROUP
from stream_ad.errors import ArtifactCorrupt, ArtifactMismatch, ArtifactNotFound, ConfigError
from stream_ad.records import ModelRecord
from stream_ad.training.promotions import (
    PROMOTIONS,
    REFUSALS,
    Decision,
    Promotion,
    Refusal,
    in_order,
)
from stream_ad.training.store import CARD, Store, folder_of

__all__ = ["ADVICE", "DEFAULT_GROUP", "DecisionLog", "effective_from"]

ADVICE = "copy the whole folder again from where it is sound, or promote another version"


class DecisionLog:
    """The promotions and refusals over the versions of a store, as they stand there now.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def where(self) -> str:
        """The registry's place, as messages name it."""
        return self._store.where

    def numbers(self, group: str = DEFAULT_GROUP) -> list[int]:
        """Return the version numbers of a group, ascending."""
        return self._store.versions(group)

    def card(self, number: int, group: str = DEFAULT_GROUP) -> dict[str, Any]:
        """Return what a version says of itself; its other files are not looked at.

        Raises
        ------
        ArtifactError
        """
        return self._card(number, group)[0]

    def expect(self, version: int, group: str, asked: str) -> None:
        """Refuse a version that is not there, by those that are.

        Parameters
        ----------
        version : int
        group : str
        asked : str
            What names it, for the error.

        Raises
        ------
        ConfigError
            It was removed, or never made.
        ArtifactError
            A decision cannot be read.
        """
        there, place = self.numbers(group), f"{self.where}/{group}"
        if version in there:
            return
        allowed = f"a version of {place}: {', '.join(map(str, there))}"
        if not there:
            train = f"`stream-ad train FILE --config C --out {self.where}`"
            allowed = f"nothing yet: no detector is in {place}: train one with {train}"
        if any(one.version == version for one in self.decisions(group)):
            allowed += f"; version {version} was removed (registry.keep)"
        raise ConfigError(asked, version, allowed)

    def promotions(self, group: str = DEFAULT_GROUP) -> list[Promotion]:
        """Return all promotions of a group, in order.

        Raises
        ------
        ArtifactError
            When one cannot be read.
        """
        found = [
            Promotion.from_json(data, f"{self.where}/{group}/{PROMOTIONS}/{name}")
            for name, data in self._store.read_all(f"{group}/{PROMOTIONS}").items()
        ]
        made = sorted(found, key=lambda one: one.number)
        return made if made and made[0].number == 1 else [*self._from_before(group), *made]

    def promotion(self, number: int, group: str = DEFAULT_GROUP) -> Promotion:
        """Return one promotion of a group.

        Raises
        ------
        ArtifactNotFound
            It was never made.
        """
        for one in self.promotions(group):
            if one.number == number:
                return one
        raise ArtifactNotFound(f"{self.where}/{group}: there is no promotion {number}")

    def announced(self, record: ModelRecord) -> Promotion:
        """Return the promotion that was announced.

        Raises
        ------
        ArtifactNotFound
            It is not in this registry.
        ArtifactMismatch
            The registry has another one of that number.
        """
        promotion = self.promotion(record.promotion, record.machine_group)
        if promotion.record() != record:
            raise ArtifactMismatch(
                f"{self.where}/{promotion.group}: promotion {promotion.number} is of version "
                f"{promotion.version} (card {promotion.card_sha256:.12}), announced was version "
                f"{record.model_version} (card {record.card_sha256:.12}): the announcement came "
                "from another registry"
            )
        return promotion

    def decisions(self, group: str = DEFAULT_GROUP) -> list[Decision]:
        """Return all promotions and refusals of a group, in order.

        Raises
        ------
        ArtifactError
        """
        return in_order([*self.promotions(group), *self._refusals(group)])

    def _refusals(self, group: str) -> list[Refusal]:
        found = self._store.read_all(f"{group}/{REFUSALS}")
        place = f"{self.where}/{group}/{REFUSALS}"
        return [Refusal.from_json(data, f"{place}/{name}") for name, data in found.items()]

    def _from_before(self, group: str) -> list[Promotion]:
        """Return the promotions of versions that came before there were any.

        Such a version says in its own card from when on it scores, and nothing of its group. It
        counts as a promotion of its own number, later ones count on from there; and as its own
        reference, since somebody had trained it by hand.
        """
        found = []
        for number in self.numbers(group):
            card, digest = self._card(number, group)
            if "group" in card:
                continue
            place = f"{self.where}/{folder_of(number, group)}"
            since, reason = effective_from(card, place), str(card.get("promoted", ""))
            found.append(Promotion(number, group, number, since, reason, digest, number, ""))
        return found

    def _card(self, number: int, group: str) -> tuple[dict[str, Any], str]:
        path = f"{folder_of(number, group)}/{CARD}"
        data = self._store.read(path)
        try:
            card = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise ArtifactCorrupt(
                f"{self.where}/{path} is not readable JSON ({error}): {ADVICE}"
            ) from error
        if not isinstance(card, dict):
            raise ArtifactCorrupt(f"{self.where}/{path} is not the card of a detector: {ADVICE}")
        return card, hashlib.sha256(data).hexdigest()


def effective_from(card: Mapping[str, Any], place: str) -> int:
    """Return the first window end that a saved detector scores, by its own card.

    Raises
    ------
    ArtifactMismatch
        For one that was saved without it, by another program than this one's training.
    """
    since = card.get("effective_from")
    if type(since) is not int:
        raise ArtifactMismatch(
            f"{place}: effective_from = {since!r} in its card: allowed is a time in ns; "
            "`stream-ad train` writes it"
        )
    return since
