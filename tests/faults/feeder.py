"""The load on its way into the input topic, at a pace."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from kafka import KafkaProducer

from tests.faults.background import Background
from tests.faults.load import Record
from tests.faults.outcome import LONGEST_MESSAGE

AT_ONCE = 50
TRICKLE = 100.0  # records a second when the allowance is used up: whoever waits for one gets one


class Feeder(Background):
    """Sends records from a thread of its own, in their order, by the key's partition.

    Parameters
    ----------
    bootstrap, topic : str
    records : sequence of Record
    rate : float
        Records a second, as long as the allowance lasts; beyond it they trickle.

    Attributes
    ----------
    bad : dict of (int, int) to Record
        The records that cannot be used, by partition and offset; whole once `finish` has
        returned.
    """

    def __init__(self, bootstrap: str, topic: str, records: Sequence[Record], rate: float) -> None:
        super().__init__()
        self.bad: dict[tuple[int, int], Record] = {}
        self.sent = 0
        self._topic, self._records, self._rate = topic, records, rate
        self._allowance = 0
        self._resting_until = 0.0
        self._pending: list[tuple[Any, Record]] = []
        self._failure: BaseException | None = None
        self._producer = KafkaProducer(
            bootstrap_servers=bootstrap,
            acks="all",
            compression_type="lz4",
            linger_ms=5,
            max_request_size=LONGEST_MESSAGE,
            allow_auto_create_topics=False,
        )

    def allow(self, share: float) -> None:
        """Let this share of all records go at full rate."""
        self._allowance = round(share * len(self._records))

    def rest(self, seconds: float) -> None:
        """Send nothing at all for a while, so that machines fall silent by the clock."""
        self._resting_until = time.monotonic() + seconds

    def finish(self, rate: float) -> None:
        """Send the rest at a rate and wait until all records are acknowledged."""
        self._rate = rate
        self.allow(1)
        self.join()
        if self._failure is not None:
            raise self._failure

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        self._producer.close(timeout=0 if kind else 10)

    def _work(self) -> None:
        try:
            while self.sent < len(self._records) and not self.over.is_set():
                self.over.wait(max(0.0, self._resting_until - time.monotonic()))
                self._send(self._records[self.sent : self.sent + AT_ONCE])
                self._settle()
            self._producer.flush()
            self._settle()
        except Exception as error:  # handed to whoever finishes
            self._failure = error

    def _send(self, records: Sequence[Record]) -> None:
        began = time.monotonic()
        for record in records:
            future = self._producer.send(self._topic, record.value, key=record.key)
            self._pending.append((future, record))
        self.sent += len(records)
        rate = self._rate if self.sent < self._allowance else TRICKLE
        self._pause(began + len(records) / rate)

    def _pause(self, until: float) -> None:
        while time.monotonic() < until and not self.over.is_set():
            if self._allowance > self.sent and until - time.monotonic() > AT_ONCE / self._rate:
                return  # the allowance was raised while this one trickled
            self.over.wait(min(0.05, max(0.0, until - time.monotonic())))

    def _settle(self) -> None:
        """Look at what is acknowledged; the first failure ends everything."""
        left = []
        for future, record in self._pending:
            if not future.is_done:
                left.append((future, record))
            elif record.cause is not None or future.failed():
                metadata = future.get(timeout=0)  # or its error
                self.bad[metadata.partition, metadata.offset] = record
        self._pending = left
