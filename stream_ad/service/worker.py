"""A worker: poll, take over, process, commit. One thread, and no output without a commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar, cast

from stream_ad.config import Config
from stream_ad.errors import ArtifactError
from stream_ad.pipeline import Pipeline
from stream_ad.records import ActivationRecord
from stream_ad.service.holdings import Holdings
from stream_ad.service.loader import Loader
from stream_ad.service.readiness import await_topics, await_versions, insistently
from stream_ad.service.remarks import Remarks
from stream_ad.service.shell import Shell
from stream_ad.service.stop import Stopped
from stream_ad.training.registry import Registry
from stream_ad.transport.base import Batch, DeadLetter, Outputs
from stream_ad.transport.kafka import clients, reasons
from stream_ad.transport.kafka.delivery import (
    AtLeastOnce,
    Delivery,
    ExactlyOnce,
    Undelivered,
    is_traced,
)
from stream_ad.transport.kafka.incoming import Incoming
from stream_ad.transport.kafka.membership import Group, Polled
from stream_ad.transport.kafka.restore import StateReader
from stream_ad.transport.kafka.sink import KafkaSink
from stream_ad.versions import Version
from stream_ad.windows import WindowSpec
from stream_ad.windows.spec import NS

T = TypeVar("T")
FEW = 1_000  # records; a transaction costs about the same whatever is in it
MOST_WINDOWS = 100_000  # in a transaction: some seconds of work, far below any time-out
SAY_S = 1.0  # least time between two log lines about commits
HEALTH_S = 1.0
QUIET_S = 15.0  # without trouble: brokers are back


def run_worker(config: Config, slot: int, *, reset_state: bool, shell: Shell) -> None:
    """Score the input until asked to stop.

    Parameters
    ----------
    config : Config
        Checked: brokers, input topic, sensors and registry are named.
    slot : int
        Which of the workers on this machine; it is part of the worker's identity.
    reset_state : bool
        Whether machine states made with other window settings are replaced by fresh ones.
    shell : Shell
        The process around it.

    Raises
    ------
    StreamAdError
        What another start would not heal.
    KafkaError
        What one may.
    """
    spec = WindowSpec.from_config(config.windows)
    assert config.registry.uri is not None
    registry = Registry(config.registry.uri)
    with suppress(Stopped):
        with shell.at_once():
            versions = await_versions(registry, config, spec, shell)
            await_topics(config, shell)
            worker = Worker(config, slot, registry, versions, shell, reset_state=reset_state)
        worker.run()
        worker.close()  # not after an error: a client in trouble may not let go, the process does


class Unloadable(Exception):
    """A detector that is not in memory any more cannot be loaded again, as an old window asks."""


class Worker:
    """The loop of one process, and the clients it holds.

    Parameters
    ----------
    config : Config
    slot : int
    registry : Registry
        Where detectors are loaded from that are promoted from now on.
    versions : sequence of Version
        What it holds already.
    shell : Shell
    reset_state : bool
    """

    def __init__(
        self,
        config: Config,
        slot: int,
        registry: Registry,
        versions: Sequence[Version],
        shell: Shell,
        *,
        reset_state: bool,
    ) -> None:
        self._config, self._slot, self._shell = config, slot, shell
        self._spec = WindowSpec.from_config(config.windows)
        kafka = config.kafka
        # first of all, as it ends what a predecessor of the same name left open
        self._delivery = self._patiently(self._make_delivery, "starting to write")
        self._states = self._patiently(
            lambda: StateReader(kafka, shell.go_on), "starting to read states"
        )
        self._pipeline = Pipeline(config, self._spec, versions)
        self._incoming = Incoming(config, self._spec)
        self._sink = KafkaSink(kafka, self._delivery)
        assert kafka.topics.input is not None
        self._group = Group(self._make_consumer, kafka.topics.input, kafka.session_timeout_s)
        self._holdings = Holdings(
            self._pipeline,
            self._group,
            self._states,
            self._sink,
            shell,
            reset_state=reset_state,
        )
        loaded = {group: one.promotion for group, one in self._holdings.counting.newest().items()}
        loaded = dict.fromkeys(self._pipeline.groups.names, 0) | loaded
        self._loader = Loader(config, self._spec, registry, loaded, shell.log, shell.metrics)
        self._again: set[int] = set()  # partitions whose memory is not what was committed
        self._failed = 0  # commits in a row that came to nothing
        self._pace = self._say = self._checked = float("-inf")
        self._heard, self._trouble = time.monotonic(), cast("float | None", None)
        self._remarks = Remarks(shell.log, kafka.topics.input, versions[0].effective_from - 1)
        self._unready = shell.health.not_ready()  # told already that it joins the group
        asked = config.alarm.budget_per_machine_day
        shell.metrics.budget(asked, self._spec.hop_ns / NS)
        self._tell_of_models()

    def run(self) -> None:
        """Work until the shell says stop; what was polled last is committed then."""
        self._loader.start()
        while not self._shell.stopping:
            self._shell.turn()
            self._shell.wait(self._pace - time.monotonic())
            began = time.monotonic()
            polled = self._group.poll()
            self._take_promotions()
            try:
                self._holdings.release(polled.gone)
                if polled.stable:
                    self._follow(polled)
                    self._score(polled, time.monotonic())
                self._tell_health(began, polled)
            except Undelivered as error:
                self._start_over(error)

    def close(self) -> None:
        """Leave in order: what is committed is all there is."""
        self._loader.stop()
        self._group.close()
        self._delivery.close()
        self._states.close()
        self._loader.close()

    def _take_promotions(self) -> None:
        """Take what was loaded meanwhile; it counts from the next batch of each partition on."""
        loaded = self._loader.take()
        for version in loaded:
            self._pipeline.lineup.offer(version)
        if loaded:
            self._shell.metrics.promoted(len(loaded))

    def _follow(self, polled: Polled) -> None:
        """Take over what the group, or a failure, asks for."""
        again = self._again & self._group.held
        self._holdings.release(again)
        self._again = set()
        new = polled.new | again
        missing = self._holdings.without_states(new) | self._holdings.without_model(new)
        for partition in missing:
            polled.records.pop(partition, None)
        lost = {partition: at for partition, at in polled.lost.items() if partition not in new}
        new -= missing
        self._holdings.find_again(lost)
        if polled.gone or new or lost:
            self._rebalanced(new, polled)
        self._again = missing | (new & self._holdings.counting.ahead.keys())

    def _rebalanced(self, new: set[int], polled: Polled) -> None:
        for partition in new:
            polled.records.pop(partition, None)  # from before its position was known
        self._again = set(new)  # until they are restored, whatever happens meanwhile
        told = self._holdings.take_over(new) if new else []
        self._again = set()
        for beyond in self._holdings.counting.ahead.values():
            for group, promotion in beyond.items():
                self._loader.expect(group, promotion)
        if self._pipeline_changed():
            self._commit(Outputs([], told, []), polled)
            self._pipeline.settle()
        self._shell.metrics.rebalanced(len(self._group.held))
        self._shell.metrics.incidents_open(self._holdings.open_incidents())

    def _score(self, polled: Polled, came: float) -> None:
        activations = self._holdings.activate(polled.records)
        batches = self._batches(polled)
        outputs = self._process(batches)
        by_the_clock = self._holdings.look(came)
        if by_the_clock:
            outputs = replace(outputs, incidents=[*outputs.incidents, *by_the_clock])
        if not batches and not self._pipeline_changed() and not self._sink.is_due():
            return
        self._commit(outputs, polled, batches, came, activations)
        if activations:
            self._tell_of_activations(activations)
        records = sum(map(len, polled.records.values()))
        if records < FEW:
            self._pace = came + self._config.kafka.batch_s
        self._tell(batches, outputs.dead, polled, records)
        self._pipeline.settle()

    def _process(self, batches: Sequence[Batch]) -> Outputs:
        try:
            return self._pipeline.process(batches)
        except ArtifactError as error:
            raise Unloadable(f"{error}; another start goes on with what there is") from error

    def _pipeline_changed(self) -> bool:
        """Return whether states have to be saved though no record came: by clock or reset."""
        return any(machines.touched for machines in self._pipeline.partitions.values())

    def _batches(self, polled: Polled) -> list[Batch]:
        partitions = self._pipeline.partitions
        machines = sum(len(held.states) for held in partitions.values())
        batches = []
        for partition in sorted(polled.records):
            batch = self._batch(partition, polled, machines)
            machines += len(set(batch.records.machine) - partitions[partition].states.keys())
            batches.append(batch)
        return batches

    def _batch(self, partition: int, polled: Polled, machines: int) -> Batch:
        records = polled.records[partition]
        mark = self._sink.mark(partition)
        position = max(self._group.position(partition), records[-1].offset + 1)
        batch = self._incoming.batch(partition, records, position, mark.through)
        known = self._pipeline.partitions[partition].states
        batch = self._incoming.within_limit(batch, records, known, machines, mark.through)
        self._sink.say(partition, replace(mark, through=max(mark.through, records[-1].offset)))
        return batch

    def _commit(
        self,
        outputs: Outputs,
        polled: Polled,
        batches: Sequence[Batch] = (),
        came: float = 0.0,
        activations: Mapping[int, Sequence[ActivationRecord]] = MappingProxyType({}),
    ) -> None:
        began = time.monotonic()
        self._sink.member = polled.membership
        self._sink.commit(outputs, self._pipeline.partitions, activations)
        self._failed = 0
        now = time.monotonic()
        self._shell.metrics.delivered(outputs, now - began, [now - came] if batches else [])

    def _start_over(self, error: Exception) -> None:
        """Forget all that was not committed; the next turn reads it again."""
        self._shell.metrics.aborted()
        self._shell.log.warning("a transaction came to nothing; reading again", reason=str(error))
        self._failed += 1
        if self._failed > 1:  # the group has given this member up, and its client does not know
            self._holdings.release([*self._pipeline.partitions])
            self._group.replace()
        self._again = set(self._group.held)
        self._shell.wait(self._config.kafka.retry_backoff_s)

    def _make_delivery(self) -> Delivery:
        kafka, slot = self._config.kafka, self._slot
        flush_s = kafka.transaction_timeout_s
        trace = partial(self._shell.log.info, trace=True) if is_traced() else None

        def exactly() -> ExactlyOnce:
            make = partial(clients.transactional_producer, kafka, slot)
            return ExactlyOnce(make, flush_s, trace)

        if kafka.delivery == "exactly_once":
            return exactly()
        return AtLeastOnce(lambda: clients.plain_producer(kafka), exactly, flush_s)

    def _make_consumer(self) -> Any:
        kafka, slot = self._config.kafka, self._slot
        most = max(1, MOST_WINDOWS // self._spec.overlap)
        self._shell.health.ready(0, model=True, stable=False)  # however long brokers are away
        return self._patiently(
            lambda: clients.group_consumer(kafka, slot, most), "joining the group"
        )

    def _patiently(self, make: Callable[[], T], what: str) -> T:
        return insistently(make, what, self._config, self._shell)

    def _tell_of_models(self) -> None:
        for group, newest in self._holdings.counting.newest().items():
            self._shell.metrics.model(group, newest.number, newest.effective_from, newest.promotion)

    def _tell_of_activations(self, made: Mapping[int, Sequence[ActivationRecord]]) -> None:
        self._tell_of_models()
        by_promotion: dict[tuple[str, int, int], dict[int, int]] = {}
        for partition, records in made.items():
            for one in records:
                key = one.machine_group, one.promotion, one.model_version
                by_promotion.setdefault(key, {})[partition] = one.first_offset
        for (group, promotion, version), offsets in by_promotion.items():
            self._shell.log.info(
                "a promotion counts",
                machine_group=group,
                promotion=promotion,
                version=version,
                first_offsets=offsets,
            )

    def _tell(
        self, batches: Sequence[Batch], dead: Sequence[DeadLetter], polled: Polled, records: int
    ) -> None:
        """Say what a commit held: to the metrics, and now and then to the log."""
        metrics, times = self._shell.metrics, list[int | None]()
        for batch in batches:
            machines = self._pipeline.partitions[batch.partition]
            newest = machines.newest(machines.touched)
            times.append(newest)
            lag = self._group.lag(batch.partition) or 0
            metrics.polled(batch.partition, len(polled.records[batch.partition]), lag, newest)
            for reason, n in batch.counts.items():
                metrics.counted(reason, n)
        for reason, n in self._pipeline.counted.items():
            metrics.counted(reason, n)
        self._remarks.committed(dead, self._pipeline.counted, times)
        metrics.two_partitions(len(self._holdings.astray()))
        self._shell.health.took(records)
        if records and time.monotonic() >= self._say:
            self._say = time.monotonic() + SAY_S
            self._shell.log.info("committed", records=records, partitions=sorted(polled.records))

    def _tell_health(self, began: float, polled: Polled) -> None:
        if began < self._checked + HEALTH_S:
            return
        self._checked = began
        held = self._group.held
        lags = {p: self._group.lag(p) or 0 for p in self._pipeline.partitions if p in held}
        for partition, lag in lags.items():
            self._shell.metrics.polled(partition, 0, lag)
        self._shell.health.lag(sum(lags.values()))
        self._tell_of_brokers(began)
        heard = self._group.is_heard()
        model = not held or not held <= self._holdings.counting.ahead.keys()
        self._shell.health.ready(len(held), model=model, stable=polled.stable, heard=heard)
        self._tell_whether_ready()
        offsets = [state.alerts.line.offset for state in self._pipeline.states()]
        self._shell.metrics.machines(len(offsets))
        self._shell.metrics.line_offset(max(offsets, default=0.0))

    def _tell_whether_ready(self) -> None:
        why = self._shell.health.not_ready()
        if why != self._unready:
            if why is None:
                self._shell.log.info("ready")
            else:
                self._shell.log.warning("not ready", reason=why)
        self._unready = why

    def _tell_of_brokers(self, now: float) -> None:
        """Say once that brokers are away, since the client itself only gives nothing."""
        why = reasons.reason(since=self._heard)
        if why is not None:
            if self._trouble is None:
                where = ",".join(self._config.kafka.bootstrap_servers)
                self._shell.log.warning("a broker does not answer", brokers=where, reason=why)
            self._trouble = self._heard = now
        elif self._trouble is not None and now - self._trouble > QUIET_S:
            self._trouble = None
            self._shell.log.info("no more trouble with brokers")
