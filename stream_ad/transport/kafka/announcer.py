"""Announcements of the trainer that leads: a trainer that was displaced tells nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from kafka import KafkaProducer
from kafka.errors import KafkaError

from stream_ad.config import KafkaConfig
from stream_ad.records import ModelRecord
from stream_ad.transport.kafka.announcements import announcement
from stream_ad.transport.kafka.delivery import Undelivered, send
from stream_ad.transport.kafka.failures import Healing, classify, displacement, refusal, sentence
from stream_ad.transport.kafka.waits import CLOSE_S


class Fenced(Exception):
    """Another trainer leads by now."""


class Announcer:
    """Tells of promotions, all of a call or none.

    Parameters
    ----------
    config : KafkaConfig
    make : callable
        Returns a transactional producer, the same name for all trainers of a service: its
        `init_transactions`, called here, fences those before.
    """

    def __init__(self, config: KafkaConfig, make: Callable[[], KafkaProducer]) -> None:
        self._config, self._producer = config, make()
        try:
            self._producer.init_transactions()
        except BaseException:
            self.close()  # whoever tries again makes another
            raise

    def tell(self, records: Sequence[ModelRecord]) -> None:
        """Tell of promotions in this order; returns when all replicas have them.

        Raises
        ------
        Fenced
            Another trainer has come since: nothing is told.
        Undelivered
            The brokers did not take it. Close this one, and let another one try.
        BrokerError
            They never will.
        """
        try:
            self._tell(records)
        except KafkaError as error:
            if classify(error) is Healing.FATAL_CONFIG:
                raise refusal(error) from error
            if displacement(error, None) is not None:
                raise Fenced("another trainer leads by now") from error
            raise Undelivered(f"announcing a promotion: {sentence(error)}") from error

    def _tell(self, records: Sequence[ModelRecord]) -> None:
        messages = [announcement(self._config, record) for record in records]
        self._producer.begin_transaction()
        send(self._producer, messages, self._config.transaction_timeout_s)
        self._producer.commit_transaction()

    def close(self) -> None:
        """End the producer."""
        with suppress(KafkaError):
            self._producer.close(timeout=CLOSE_S)
