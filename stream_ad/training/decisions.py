"""The decisions of a registry: promotions, refusals, rollbacks, and what may be removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stream_ad.errors import ArtifactCorrupt, ArtifactNotFound, ConfigError, RegistryConflict
from stream_ad.training.decision_log import ADVICE, DEFAULT_GROUP, DecisionLog
from stream_ad.training.promotions import (
    PROMOTIONS,
    REFUSALS,
    Promotion,
    Refusal,
    loadable,
    now_text,
    previous,
)
from stream_ad.training.store import CARD, folder_of
from stream_ad.windows.spec import parse_rfc3339


class Decisions(DecisionLog):
    """Decides over the versions of a store; needs no detector in memory.

    Whoever dies between any two steps leaves what was there before or what is there after.
    """

    def promote(
        self,
        version: int,
        effective_from: int,
        reason: str,
        group: str = DEFAULT_GROUP,
        *,
        reference: int | None = None,
        accepted: Sequence[str] = (),
        figures: Mapping[str, Any] | None = None,
        after: int | None = None,
        takes_back: int = 0,
    ) -> Promotion:
        """Let a version score what ends at ``effective_from`` or later.

        Parameters
        ----------
        version : int
        effective_from : int
            In ns.
        reason : str
            A sentence.
        group : str
        reference : int, optional
            Version that drift is judged by; by default the one that it is judged by already, or
            this one where it is the first or something is accepted.
        accepted : sequence of str
            Machines whose new normal an operator accepted with it, ``*`` for all of them.
        figures : dict, optional
            JSON values: what it was judged by.
        after : int, optional
            Number of the newest promotion that this decision knew of, 0 for none.
        takes_back : int
            Of a rollback: number of the promotion that scored till then.

        Raises
        ------
        ArtifactError
            The version or its reference is not there or not whole, or has changed since it was
            promoted before.
        RegistryConflict
            Another promotion came since ``after``, or at the same moment.
        OutputError, RegistryError
            It cannot be written.
        """
        with self._store.turn(group):
            made = self.promotions(group)
            newest = made[-1].number if made else 0
            if after is not None and after != newest:
                raise RegistryConflict(
                    f"{self.where}/{group}: promotion {newest} came after promotion {after}, the "
                    f"newest that the decision about version {version} knew of: decide anew"
                )
            if reference is None:
                reference = made[-1].reference if made and not accepted else version
            promotion = Promotion(
                number=newest + 1,
                group=group,
                version=version,
                effective_from=effective_from,
                reason=reason,
                card_sha256=self._whole(version, made, group),
                reference=reference,
                made_at=now_text(),
                accepted=tuple(accepted),
                figures=dict(figures or {}),
                takes_back=takes_back,
            )
            if reference not in self.numbers(group):
                raise ArtifactNotFound(
                    f"{self.where}/{group}: version {reference}, which drift would be judged by, "
                    "is not there"
                )
            name = f"{group}/{PROMOTIONS}/{promotion.number:06d}.json"
            self._store.create(name, promotion.to_json())
        return promotion

    def refuse(
        self,
        reason: str,
        figures: Mapping[str, Any] | None = None,
        group: str = DEFAULT_GROUP,
        *,
        version: int | None = None,
    ) -> Refusal:
        """Note that a detector was trained and is not promoted.

        Parameters
        ----------
        reason : str
            A sentence.
        figures : dict, optional
            JSON values: what it was judged by.
        group : str
        version : int, optional
            Where it lies, if it was added.

        Raises
        ------
        OutputError, RegistryError
        """
        with self._store.turn(group):
            after = max((one.number for one in self.promotions(group)), default=0)
            earlier = [one.number for one in self._refusals(group) if one.after == after]
            refusal = Refusal(
                after=after,
                number=max(earlier, default=0) + 1,
                group=group,
                reason=reason,
                made_at=now_text(),
                figures=dict(figures or {}),
                version=version,
            )
            name = f"{group}/{REFUSALS}/{after:06d}-{refusal.number:06d}.json"
            self._store.create(name, refusal.to_json())
        return refusal

    def rollback(
        self, group: str = DEFAULT_GROUP, to: int | None = None, reason: str = "by hand"
    ) -> Promotion:
        """Promote the version that scored before, or another one that did once.

        It takes effect from when on the one that scores now did, and drift is judged as it was.
        Another rollback goes back one more, never to a version that one went back from.

        Parameters
        ----------
        group : str
        to : int, optional
            A version; by default the one before.
        reason : str
            A sentence.

        Raises
        ------
        ArtifactNotFound
            There is none to go back to.
        ArtifactError
            It is not whole any more, or has changed.
        RegistryConflict
            Another promotion came meanwhile.
        OutputError, RegistryError
            It cannot be written.
        """
        made = self.promotions(group)
        target, now = self._target(made, to, group), made[-1]
        return self.promote(
            target.version,
            now.effective_from,
            f"back from version {now.version} of promotion {now.number}: {reason}",
            group,
            reference=target.reference,
            after=now.number,
            takes_back=now.number,
        )

    def promote_by_hand(
        self, version: int, reason: str = "by hand", group: str = DEFAULT_GROUP
    ) -> Promotion:
        """Promote a version without asking the gate.

        It takes effect right after what it learned from, and not before the one that scores now
        did. Drift is judged as it was when the version scored before; else as it is now.

        Parameters
        ----------
        version : int
            Another one than that which scores now.
        reason : str
            A sentence.
        group : str

        Raises
        ------
        ArtifactError, RegistryConflict, OutputError
            As `promote`.
        ConfigError
            It scores already, or is not there.
        """
        made = self.promotions(group)
        now = made[-1] if made else None
        if now is not None and now.version == version:
            allowed = f"another version of {group}: it scores since promotion {now.number}"
            raise ConfigError("models promote", version, allowed)
        self.expect(version, group, "models promote")
        since = self._learned_until(version, group) + 1
        earlier = [one.reference for one in made if one.version == version]
        return self.promote(
            version,
            since if now is None else max(since, now.effective_from),
            reason,
            group,
            reference=earlier[-1] if earlier else None,
            after=0 if now is None else now.number,
        )

    def retain(self, keep: int, group: str = DEFAULT_GROUP) -> list[int]:
        """Remove all but the newest versions; every decision stays.

        The version that scores, the one before it and those that drift is judged by always stay.

        Parameters
        ----------
        keep : int
            At least 1.
        group : str

        Returns
        -------
        list of int
            The versions removed.

        Raises
        ------
        ArtifactError, OutputError
        """
        with self._store.turn(group):
            numbers, made = self.numbers(group), self.promotions(group)
            kept = needed(made, {*numbers[-keep:]})
            removed = [number for number in numbers if number not in kept]
            for number in removed:
                self._store.remove(folder_of(number, group))
        return removed

    def _learned_until(self, version: int, group: str) -> int:
        try:
            return parse_rfc3339(self.card(version, group)["history"]["to"])
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactCorrupt(
                f"{self.where}/{folder_of(version, group)}: its card does not say until when it "
                f"learned: {ADVICE}"
            ) from error

    def _target(self, made: Sequence[Promotion], to: int | None, group: str) -> Promotion:
        found = previous(made)
        if to is not None:
            found = next((one for one in made[::-1] if to == one.version != made[-1].version), None)
        there = {*self.numbers(group)}
        if found is not None and found.version in there:
            return found
        others = sorted({one.version for one in made[:-1]} - {one.version for one in made[-1:]})
        listed = ", ".join(f"{n}{'' if n in there else ' (removed)'}" for n in others)
        if found is not None:
            lack = f"version {found.version}, which scored before, was removed (registry.keep)"
        elif to is not None:
            lack = f"no version to go back to of number {to}"
        else:
            lack = _all_taken_back([number for number in others if number in there])
        raise ArtifactNotFound(
            f"{self.where}/{group}: {lack}; versions that scored before: {listed or 'none'}"
        )

    def _whole(self, version: int, made: Sequence[Promotion], group: str) -> str:
        """Return the digest of a version's card, if all its files are as they were made."""
        from stream_ad.detector.artifact import read_artifact

        digest = self._card(version, group)[1]
        for earlier in made:
            if earlier.version == version:
                self._unchanged(earlier, digest)
        read_artifact(self._store.fetch(folder_of(version, group), digest))
        return digest

    def _unchanged(self, promotion: Promotion, digest: str) -> None:
        if digest != promotion.card_sha256:
            raise ArtifactCorrupt(
                f"{self.where}/{folder_of(promotion.version, promotion.group)}/{CARD} was changed: "
                f"its SHA-256 is {digest}, and {promotion.card_sha256} in promotion "
                f"{promotion.number}: {ADVICE}"
            )


def _all_taken_back(there: Sequence[int]) -> str:
    """Say why `previous` finds none, and how the newest of those that are there scores again."""
    lack = "no version to go back to"
    for number in there[-1:]:
        lack += f" but what was rolled back from: `--to {number}` brings version {number} back"
    return lack


def needed(promotions: Sequence[Promotion], newest: set[int]) -> set[int]:
    """Return the versions that must stay, so that the newest, a rollback and drift have theirs.

    Parameters
    ----------
    promotions : sequence of Promotion
        In order.
    newest : set of int
        Versions that stay whatever was promoted.

    Examples
    --------
    >>> made = [Promotion(n, "default", n, n, "", "", 2, "") for n in (2, 3, 4, 5)]
    >>> sorted(needed(made, {5}))
    [2, 4, 5]
    """
    pair = [one for one in (*promotions[-1:], previous(promotions)) if one is not None]
    kept = newest | {version for one in pair for version in (one.version, one.reference)}
    while True:  # a version that stays as a reference can let an earlier promotion score again
        more = {one.reference for one in loadable(promotions, kept)} - kept
        if not more:
            return kept
        kept |= more
