"""Every exception of the client has one consequence."""

from __future__ import annotations

import inspect

import pytest
from kafka import errors

from stream_ad.errors import BrokerError
from stream_ad.transport.kafka.failures import (
    LONGEST,
    Displaced,
    Healing,
    classify,
    displacement,
    refusal,
    sentence,
)

EVERY = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.KafkaError) and kind is not errors.LogTruncationError
]


@pytest.mark.parametrize(
    ("error", "healing"),
    [
        (errors.CommitFailedError("UnknownMemberIdError"), Healing.ABORT),
        (errors.FencedInstanceIdError(), Healing.ABORT),
        (errors.IllegalGenerationError(), Healing.ABORT),
        (errors.ProducerFencedError(), Healing.REBUILD),
        (errors.InvalidTxnStateError(), Healing.REBUILD),
        (errors.InvalidProducerEpochError(), Healing.REBUILD),
        (errors.KafkaTimeoutError(), Healing.REBUILD),
        (
            errors.KafkaError("Invalid transition attempted from state A to B"),
            Healing.REBUILD,
        ),
        (
            errors.KafkaError(
                "Cannot execute transactional method because we are in an error state: "
                "[Error 25] UnknownMemberIdError"
            ),
            Healing.REBUILD,
        ),
        (
            errors.KafkaError(
                "Could not execute transactional request for unknown reasons: RequestTimedOutError"
            ),
            Healing.REBUILD,
        ),
        (errors.TopicAuthorizationFailedError("t"), Healing.FATAL_CONFIG),
        (errors.GroupAuthorizationFailedError("g"), Healing.FATAL_CONFIG),
        (errors.TransactionalIdAuthorizationFailedError(), Healing.FATAL_CONFIG),
        (errors.ClusterAuthorizationFailedError(), Healing.FATAL_CONFIG),
        (errors.InvalidTransactionTimeoutError(), Healing.FATAL_CONFIG),
        (errors.MessageSizeTooLargeError(), Healing.FATAL_CONFIG),
        (
            errors.KafkaError(
                "Cannot execute transactional method because we are in an error state: "
                "[Error 29] TopicAuthorizationFailedError: {'alerts'}"
            ),
            Healing.FATAL_CONFIG,
        ),
        (OSError("too many open files"), Healing.REBUILD),
    ],
)
def test_an_exception_asks_for_what_was_seen_to_heal_it(
    error: BaseException, healing: Healing
) -> None:
    assert classify(error) is healing


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_class_of_the_client_is_classified_and_said_in_a_line(
    kind: type[errors.KafkaError],
) -> None:
    error = kind("x\ny")
    assert isinstance(classify(error), Healing)
    if kind.retriable:
        assert classify(error) is not Healing.FATAL_CONFIG
    for text in (sentence(error), str(refusal(error))):
        assert text
        assert "\n" not in text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errors.TopicAuthorizationFailedError({"b", "a"}), "topic a, b: READ"),
        (errors.TopicAuthorizationFailedError("a"), "topic a: READ"),
        (errors.TopicAuthorizationFailedError(), "topic: READ"),
        (errors.GroupAuthorizationFailedError("line-4"), "READ on the consumer group line-4"),
        (errors.InvalidTransactionTimeoutError(), "kafka.transaction_timeout_s"),
        (errors.InvalidSessionTimeoutError(), "kafka.session_timeout_s"),
        (errors.KafkaError("in an error state: GroupAuthorizationFailedError"), "consumer group"),
        (errors.UnknownError("odd"), "the brokers refuse the service: UnknownError: odd"),
    ],
)
def test_a_refusal_says_what_is_missing(error: BaseException, words: str) -> None:
    refused = refusal(error)
    assert isinstance(refused, BrokerError)
    assert words in str(refused)


IN_TEXT = errors.KafkaError("in an error state: [Error 90] ProducerFencedError")


@pytest.mark.parametrize(
    ("error", "or_a_pause"),
    [
        (errors.FencedInstanceIdError(), False),
        (errors.ProducerFencedError(), True),
        (errors.InvalidProducerEpochError(), True),
        (IN_TEXT, True),
    ],
)
def test_who_lost_its_identity_is_told_which_key_to_change(
    error: BaseException, or_a_pause: bool
) -> None:
    said = displacement(error, "plant-here-0")
    assert said is not None
    assert "another process" in said
    assert "plant-here-0" in said
    assert "kafka.instance" in said
    assert ("kafka.transaction_timeout_s" in said) == or_a_pause
    assert str(Displaced(said)) == said
    assert classify(Displaced(said)) is Healing.REBUILD


@pytest.mark.parametrize("error", [errors.KafkaTimeoutError(), errors.CommitFailedError()])
def test_other_failures_blame_nobody(error: BaseException) -> None:
    assert displacement(error, "plant-here-0") is None


def test_a_sentence_is_short_and_says_the_class_once() -> None:
    assert sentence(errors.KafkaTimeoutError()) == "KafkaTimeoutError"
    assert sentence(errors.KafkaTimeoutError("a\n  b")) == "KafkaTimeoutError: a b"
    assert len(sentence(errors.KafkaError("x" * 10_000))) == LONGEST
