"""One message of a command, on its topic when the command ends."""

from __future__ import annotations

from kafka.errors import KafkaError, KafkaTimeoutError

from stream_ad.config import KafkaConfig
from stream_ad.errors import BrokerError
from stream_ad.transport.kafka.clients import plain_producer
from stream_ad.transport.kafka.delivery import TooLarge, send
from stream_ad.transport.kafka.failures import refusal
from stream_ad.transport.kafka.outgoing import Message
from stream_ad.transport.kafka.patience import patiently
from stream_ad.transport.kafka.waits import ANSWER_MS, CLOSE_S


def say(config: KafkaConfig, message: Message, doing: str) -> None:
    """Write a message; returns when all replicas have it.

    Parameters
    ----------
    config : KafkaConfig
    message : Message
    doing : str
        For errors: what cannot be done.

    Raises
    ------
    BrokerError
        There is no such topic, it may not be written, or the brokers do not answer.
    """
    producer = patiently(
        lambda: plain_producer(config), doing, config, until=lambda: True, log=lambda _: None
    )
    try:
        send(producer, [message], ANSWER_MS / 1000)
    except TooLarge as error:
        raise BrokerError(f"{doing}: {error}") from error
    except KafkaTimeoutError as error:
        raise BrokerError(
            f"{doing}: topic {message.topic} does not exist or its broker does not answer; "
            "`stream-ad topics create` makes it"
        ) from error
    except KafkaError as error:
        raise refusal(error) from error
    finally:
        producer.close(timeout=CLOSE_S)
