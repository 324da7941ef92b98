"""Records of the client to batches of the pipeline."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from stream_ad.config import Config
from stream_ad.transport.base import Batch, DeadLetter
from stream_ad.transport.decode import Decoder
from stream_ad.windows.spec import WindowSpec

HEADROOM = 16_384  # of a message: key, headers, framing


class Incoming:
    """Decodes what a poll brought.

    Parameters
    ----------
    config : Config
    spec : WindowSpec
    """

    def __init__(self, config: Config, spec: WindowSpec) -> None:
        keep = config.limits.record_bytes + HEADROOM
        self._decoder = Decoder(config.input, config.limits, spec, keep=keep)
        self._most_machines = config.limits.machines_per_worker

    def batch(self, partition: int, records: Sequence[Any], position: int, through: int) -> Batch:
        """Return the batch of one partition.

        Parameters
        ----------
        partition : int
        records : sequence of ConsumerRecord
            In order of offset, at least one.
        position : int
            Where the partition goes on after them.
        through : int
            Dead letters up to this offset were told by a predecessor.
        """
        needed = self._decoder.needs_envelope
        batch = self._decoder.decode(
            [(record.offset, record.value) for record in records],
            position,
            [(record.key, record.headers) for record in records] if needed else None,
        )
        dead: Sequence[DeadLetter] = ()
        if batch.dead:
            keys = {record.offset: record.key for record in records}
            dead = [
                replace(letter, partition=partition, key=keys[letter.offset])
                for letter in batch.dead
                if letter.offset > through
            ]
        return replace(batch, dead=dead, partition=partition)

    def within_limit(
        self,
        batch: Batch,
        records: Sequence[Any],
        known: Collection[str],
        machines: int,
        through: int,
    ) -> Batch:
        """Turn records of machines beyond the limit into dead letters.

        Parameters
        ----------
        batch : Batch
        records : sequence of ConsumerRecord
            That it was made of.
        known : collection of str
            Machines of its partition.
        machines : int
            How many the worker has in all.
        through : int
            As `batch`.

        Notes
        -----
        The only output that depends on what else a worker holds; it keeps hostile input from
        filling the memory.
        """
        room = self._most_machines - machines
        if room >= len(batch.records):
            return batch
        fresh = [name for name in dict.fromkeys(batch.records.machine) if name not in known]
        refused = set(fresh[max(room, 0) :])
        if not refused:
            return batch
        bad = np.fromiter((name in refused for name in batch.records.machine), bool)
        message = (
            f"the worker has {machines} machines: allowed are limits.machines_per_worker = "
            f"{self._most_machines}"
        )
        raw = {record.offset: record for record in records}
        dead = [
            replace(
                DeadLetter.of(
                    offset, raw[offset].value, "TooManyMachines", message, keep=self._decoder.keep
                ),
                partition=batch.partition,
                key=raw[offset].key,
            )
            for offset in batch.records.offset[bad].tolist()
            if offset > through
        ]
        every = sorted([*batch.dead, *dead], key=lambda letter: letter.offset)
        return replace(batch, records=batch.records.take(~bad), dead=every)
