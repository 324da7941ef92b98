"""The trainer: follows what was scored, trains when there is a cause, promotes what may score.

A process of its own: scoring never waits for it. It may end at any time: what it knows is saved
now and then, and follows from the topics where it is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from stream_ad.config import Config
from stream_ad.errors import (
    ArtifactMismatch,
    BrokerError,
    ConfigError,
    MissingDependency,
    StateError,
    StreamAdError,
)
from stream_ad.groups import Groups
from stream_ad.service.announcing import Announcing
from stream_ad.service.intake import Intake
from stream_ad.service.leadership import Leadership, NotLeading
from stream_ad.service.readiness import await_topics
from stream_ad.service.shell import Shell
from stream_ad.service.snapshots import Snapshots
from stream_ad.service.stop import Stopped
from stream_ad.service.trainer_metrics import TrainerMetrics
from stream_ad.service.trainer_remarks import TrainerRemarks
from stream_ad.service.tutor import Tutor
from stream_ad.training.registry import Registry
from stream_ad.transport.kafka.announcer import Fenced
from stream_ad.transport.kafka.clients import candidate
from stream_ad.transport.kafka.delivery import Undelivered
from stream_ad.transport.kafka.patience import LONGEST_PAUSE_S, patiently
from stream_ad.windows import WindowSpec

PACE_S = 1.0  # between two looks at the topics
REGISTRY_S = 10.0  # between two looks at the registry, to which others write as well
SAVE_S = 60.0  # between two snapshots,
SAVE_SHARE = 0.05  # which take at most so much of the time
FATAL = BrokerError, ConfigError, ArtifactMismatch, MissingDependency  # a person has to act


def run_trainer(config: Config, *, shell: Shell, metrics: TrainerMetrics) -> None:
    """Train until asked to stop.

    Parameters
    ----------
    config : Config
        Checked: brokers, input topic, sensors and registry are named.
    shell : Shell
        The process around it.
    metrics : TrainerMetrics

    Raises
    ------
    StreamAdError
        What another start would not heal.
    KafkaError
        What one may.
    """
    with suppress(Stopped):
        with shell.at_once():
            topics = config.kafka.topics
            await_topics(config, shell, also=(topics.labels, topics.models))
        trainer = Trainer(config, shell, metrics)
        try:
            trainer.run()
        finally:
            trainer.close()


class Trainer:
    """The loop of one process; of several, one works and the others wait.

    Parameters
    ----------
    config : Config
    shell : Shell
    metrics : TrainerMetrics
    """

    def __init__(self, config: Config, shell: Shell, metrics: TrainerMetrics) -> None:
        self._config, self._shell = config, shell
        self._spec, self._groups = WindowSpec.from_config(config.windows), Groups(config)
        self._remarks = TrainerRemarks(shell.log, metrics)
        self._snapshots = Snapshots(config, self._spec, self._groups)
        assert config.registry.uri is not None
        registry = Registry(config.registry.uri)
        self._tutors = [
            Tutor(
                self._groups.config(name), self._spec, name, registry, self._remarks, self._require
            )
            for name in self._groups.names
        ]
        self._intake: Intake | None = None
        self._announcing: Announcing | None = None
        self._looked = float("-inf")
        self._saved, self._save_took = time.monotonic(), 0.0
        self._pause = config.kafka.retry_backoff_s
        self._term: int | None = None
        kafka = config.kafka
        self._leadership = Leadership(self._candidate, kafka.topics.models, kafka.session_timeout_s)
        shell.health.ready(1, model=True)

    def run(self) -> None:
        """Work, or wait until another one ends, until the shell says stop."""
        self._say_whether()
        while not self._shell.stopping:
            self._shell.turn()
            pause = PACE_S
            if self._leads():
                try:
                    self._work()
                except FATAL:
                    raise
                except (Undelivered, NotLeading, Fenced, StreamAdError) as error:
                    pause = self._trouble(error)
                else:
                    self._remarks.well()
                    self._pause = self._config.kafka.retry_backoff_s
            self._shell.wait(pause)
        if self._term is not None:  # else another one keeps its own
            self._save()

    def close(self) -> None:
        """Let another one lead, and end the clients."""
        self._leadership.close()
        self._stand_down()
        if self._intake is not None:
            self._intake.close()

    # ------------------------------------------------------------------ one turn

    def _work(self) -> None:
        if self._announcing is None:
            # first of all, as it ends what a predecessor left open
            self._announcing = Announcing(self._config, self._shell)
        if time.monotonic() >= self._looked + REGISTRY_S:
            self._look()
        begins = self._intake is None
        intake = self._begin() if self._intake is None else self._intake
        self._follow(intake, self._save_if_due)
        self._remarks.metrics.intake(intake.records, intake.lag)
        if self._train(intake):
            self._look()
            self._save()
        elif begins:
            self._save()

    def _look(self) -> None:
        """See what was promoted, and tell of it what nobody has told."""
        for tutor in self._tutors:
            tutor.look()
        self._require()
        assert self._announcing is not None
        try:
            self._announcing.tell([one for tutor in self._tutors for one in tutor.promotions])
        except (Undelivered, Fenced):
            self._stand_down()  # its producer cannot be trusted any more
            raise
        self._looked = time.monotonic()

    def _follow(self, intake: Intake, rest: Callable[[], None]) -> None:
        pupils = {tutor.group: tutor.retraining for tutor in self._tutors}
        versions = [version for tutor in self._tutors for version in tutor.versions]
        intake.follow(pupils, versions, rest)

    def _train(self, intake: Intake) -> bool:
        """Return whether there was a cause, in any group."""
        at_once, newest = self._shell.at_once, intake.newest
        if newest is None:
            return False
        trained = [tutor.train(newest, at_once) for tutor in self._tutors]
        return any(trained)

    def _newest(self) -> int:
        """Return the newest event time, once more: a training may have taken long."""
        assert self._intake is not None
        with suppress(Undelivered):
            self._follow(self._intake, lambda: None)  # in the midst of a training nothing is saved
        assert self._intake.newest is not None
        return self._intake.newest

    # ------------------------------------------------------------------ what is known

    def _begin(self) -> Intake:
        """Go on where a snapshot stands, or begin with the earliest records that there are."""
        config, spec, groups, shell = self._config, self._spec, self._groups, self._shell
        try:
            known, state = self._snapshots.load()
            intake = Intake(config, spec, groups, shell, state)
            held = {name: one.buffer.taken for name, one in known.items()}
            shell.log.info("goes on from its snapshot", windows=held)
        except StateError as error:
            known, intake = self._snapshots.fresh(), Intake(config, spec, groups, shell)
            shell.log.warning(
                "learns from the earliest records that the topics still have", reason=str(error)
            )
        for tutor in self._tutors:
            tutor.begin(known[tutor.group], self._newest)
        self._intake = intake
        return intake

    def _save_if_due(self) -> None:
        if time.monotonic() - self._saved >= max(SAVE_S, self._save_took / SAVE_SHARE):
            self._save()

    def _save(self) -> None:
        """Keep what is known; a failure is told and changes nothing else."""
        if self._intake is None:
            return
        began = time.monotonic()
        try:
            known = {tutor.group: tutor.known() for tutor in self._tutors}
            self._snapshots.save(known, self._intake.state())
        except StreamAdError as error:
            self._remarks.trouble(error, "no snapshot: a restart will read more")
        self._saved = time.monotonic()
        self._save_took = self._saved - began

    # ------------------------------------------------------------------ who leads

    def _leads(self) -> bool:
        term = self._leadership.term
        if term != self._term:
            self._stand_down()
            self._forget()
            self._term = term
            self._say_whether()
        self._remarks.metrics.leads(term is not None)
        return term is not None

    def _say_whether(self) -> None:
        if self._term is None:
            self._shell.log.info("another trainer leads, or may: this one waits")
        else:
            self._shell.log.info("this trainer leads")

    def _require(self) -> None:
        if self._term is None:
            raise NotLeading("another trainer leads by now")
        self._leadership.require(self._term)

    def _stand_down(self) -> None:
        if self._announcing is not None:
            self._announcing.close()
        self._announcing, self._looked = None, float("-inf")

    def _forget(self) -> None:
        """Begin anew from the snapshot: whoever led meanwhile knows more."""
        if self._intake is not None:
            self._intake.close()
        self._intake = None
        for tutor in self._tutors:
            tutor.forget()

    def _trouble(self, error: Exception) -> float:
        """Tell of it; return how long to pause."""
        self._remarks.trouble(error, "the trainer tries again; what scores goes on")
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE_S)
        return pause

    def _candidate(self) -> Any:
        kafka, shell = self._config.kafka, self._shell
        return patiently(
            lambda: candidate(kafka),
            "joining the trainers",
            kafka,
            until=lambda: shell.stopping,
            log=shell.log.warning,
        )
