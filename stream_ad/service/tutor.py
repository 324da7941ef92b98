"""One machine group in the trainer: what scores it, and the trainings that it gives cause for."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from stream_ad.config import Config
from stream_ad.service.keeping import Keeping
from stream_ad.service.leadership import NotLeading
from stream_ad.service.snapshots import Known, caught_up, taken_back
from stream_ad.service.trainer_remarks import Notes, TrainerRemarks
from stream_ad.training.promotions import Decision, Promotion
from stream_ad.training.registry import Registry
from stream_ad.training.retraining import Retraining
from stream_ad.versions import Version
from stream_ad.windows import WindowSpec

MOST_TRIED = 20  # trainings that are remembered here; the registry has them all


class Tutor:
    """What the trainer that leads does for a group.

    Parameters
    ----------
    config : Config
        As it holds in the group.
    spec : WindowSpec
    group : str
    registry : Registry
    remarks : TrainerRemarks
    require : callable
        Raises where this trainer leads no more.

    Attributes
    ----------
    promotions : list of Promotion
        As they stood when the registry was looked at last.
    versions : list of Version
        Of them, those that may still score.
    """

    def __init__(  # noqa: PLR0917 - what it works with
        self,
        config: Config,
        spec: WindowSpec,
        group: str,
        registry: Registry,
        remarks: TrainerRemarks,
        require: Callable[[], None],
    ) -> None:
        self._config, self._spec, self.group = config, spec, group
        self._registry, self._remarks = registry, remarks
        self._keeping = Keeping(registry, group, require, config.registry.keep)
        self.promotions: list[Promotion] = []
        self.versions: list[Version] = []
        self._unknown: list[Decision] = []  # that what is known may be older than
        self._retraining: Retraining | None = None

    def look(self) -> None:
        """Take note of what was promoted since, by whomever.

        Raises
        ------
        ArtifactError
        """
        promotions = self._registry.promotions(self.group)
        if promotions != self.promotions:
            self.versions = self._registry.load(self._spec, self._config, self.group)
            self._remarks.metrics.promoted(self.group, promotions[-1].version)
        self.promotions = promotions
        self._keeping.after = promotions[-1].number if promotions else 0
        if self._retraining is not None:
            self._retraining.champion = self._champion
            taken_back(self._retraining.record, promotions)
        else:
            self._unknown = self._registry.decisions(self.group)

    def begin(self, known: Known, newest: Callable[[], int]) -> None:
        """Go on with what is known, after a first `look`.

        Parameters
        ----------
        known : Known
        newest : callable
            Asked for the newest event time once more when a training is over.
        """
        self._retraining = Retraining(
            self._config,
            self._spec,
            self._keeping,
            self._champion,
            known.buffer,
            known.record,
            Notes(self._remarks.log, self.group),
            newest,
            self.group,
        )

    def forget(self) -> None:
        """Know nothing any more: another trainer has gone on meanwhile."""
        self._retraining = None

    def train(self, newest: int, at_once: Callable[[], AbstractContextManager[None]]) -> bool:
        """Train if there is a cause; return whether there was one.

        Parameters
        ----------
        newest : int
            The newest event time accepted, in ns.
        at_once : callable
            Returns a block that an end of the process breaks off.

        Raises
        ------
        NotLeading
            Another trainer leads: what was trained is dropped.
        """
        retraining = self.retraining
        # after all that they were about was taken in once more
        caught_up(retraining.record, self._unknown, self._config)
        self._unknown = []
        progress = retraining.progress_of(newest)
        self._remarks.progress(self.group, progress, first=retraining.champion is None)
        tried, began = retraining.record["tried"], time.monotonic()
        before = len(tried)
        try:
            with at_once():
                retraining.turn(newest)
        except NotLeading:
            raise
        except Exception as error:  # whatever a training meets, what scored goes on
            if len(tried) == before:
                raise
            tried[-1]["failed"] = f"{type(error).__name__}: {error}"
        if len(tried) == before:
            return False
        self._remarks.trained(self.group, tried[-1], time.monotonic() - began)
        del tried[:-MOST_TRIED]
        return True

    def known(self) -> Known:
        """Return what another trainer needs to go on."""
        return Known(self.retraining.buffer, self.retraining.record)

    @property
    def retraining(self) -> Retraining:
        """What takes in what may teach, from `begin` on."""
        assert self._retraining is not None
        return self._retraining

    @property
    def _champion(self) -> Version | None:
        return self.versions[-1] if self.versions else None
