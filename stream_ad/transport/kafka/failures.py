"""What an exception of the Kafka client asks for: the one place that knows its classes."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable

from kafka import errors
from kafka.errors import KafkaError

from stream_ad.errors import BrokerError

LONGEST = 300  # characters of a sentence; the client pastes whole requests into some


class Healing(enum.Enum):
    """What makes the work go on after a failure."""

    ABORT = "abort"
    """Abort the transaction, forget the partitions' state and read it again."""
    REBUILD = "rebuild"
    """The producer cannot be trusted any more: a new one, or a new process."""
    FATAL_CONFIG = "fatal_config"
    """It would fail again: somebody has to change a right, a setting or a topic."""


_ABORT = (
    errors.CommitFailedError,
    errors.FencedInstanceIdError,
    errors.IllegalGenerationError,
    errors.UnknownMemberIdError,
    errors.RebalanceInProgressError,
)

# Of the first it is sure; the others a transaction that timed out gives, too.
_TAKEN = (errors.FencedInstanceIdError,)
_MAYBE_TAKEN = (errors.ProducerFencedError, errors.InvalidProducerEpochError)


class Displaced(errors.KafkaError):  # type: ignore[misc]  # the library has no types
    """Somebody else has this worker's identity now; the text says what to change."""

    def __str__(self) -> str:
        return str(self.args[0])  # without the class, which the library puts before


_FATAL: dict[type[BaseException], str] = {
    errors.TopicAuthorizationFailedError: (
        "this user may not use topic {about}: READ on what is read, WRITE on what is written"
    ),
    errors.GroupAuthorizationFailedError: "this user lacks READ on the consumer group {about}",
    errors.TransactionalIdAuthorizationFailedError: (
        "this user lacks WRITE on the transactional ids that begin with kafka.group_id"
    ),
    errors.ClusterAuthorizationFailedError: "this user lacks a right on the cluster",
    errors.InvalidTransactionTimeoutError: (
        "kafka.transaction_timeout_s is longer than the brokers allow (transaction.max.timeout.ms)"
    ),
    errors.InvalidSessionTimeoutError: (
        "kafka.session_timeout_s is outside what the brokers allow "
        "(group.min.session.timeout.ms to group.max.session.timeout.ms)"
    ),
    errors.MessageSizeTooLargeError: (
        "a record is larger than its topic allows (max.message.bytes); "
        "`stream-ad topics check` names the topic"
    ),
    errors.RecordListTooLargeError: "a batch is larger than a segment of its topic (segment.bytes)",
    errors.InconsistentGroupProtocolError: (
        "the consumer group has members that share out partitions in another way: "
        "another program, or another version, uses the same kafka.group_id"
    ),
    errors.GroupMaxSizeReachedError: "the consumer group has as many members as it may",
    errors.UnsupportedSaslMechanismError: "the brokers do not offer kafka.security.mechanism",
    errors.UnsupportedCodecError: "records are compressed in a way that is not installed here",
    errors.UnsupportedVersionError: "the brokers are too old for transactions (Kafka 2.5 or later)",
    errors.UnsupportedForMessageFormatError: "the topic keeps an old format without transactions",
    errors.PolicyViolationError: "a policy of the brokers refuses it",
    errors.InvalidTopicError: "a topic of this name cannot be",
    errors.KafkaConfigurationError: "the client refuses its settings",
}
_NOT_MADE = (
    "cannot be made: this user lacks CREATE on it or on the cluster, or may not see it; "
    "`stream-ad topics plan` lists the rights"
)
_BY_NAME = {kind.__name__: kind for kind in _FATAL}


def classify(error: BaseException) -> Healing:
    """Say what heals an exception of the client; what is unknown asks for a new producer.

    The classes follow what each was seen to leave behind: `Healing.ABORT` only where the
    producer stays usable. Where the client buries the cause in the text of a general error, the
    text is read.

    Examples
    --------
    >>> classify(errors.CommitFailedError())
    <Healing.ABORT: 'abort'>
    >>> classify(errors.ProducerFencedError())
    <Healing.REBUILD: 'rebuild'>
    """
    if _cause(error) is not None:
        return Healing.FATAL_CONFIG
    return Healing.ABORT if isinstance(error, _ABORT) else Healing.REBUILD


def heals_alone(error: KafkaError) -> bool:
    """Return whether asking again is enough, outside a transaction: brokers start, or elect.

    Examples
    --------
    >>> heals_alone(errors.MetadataEmptyBrokerList()), heals_alone(errors.UnknownError())
    (True, False)
    """
    return bool(error.retriable)


def displacement(error: BaseException, identity: str | None) -> str | None:
    """Say who took a worker's identity and what to change; None for another failure.

    Examples
    --------
    >>> displacement(errors.FencedInstanceIdError(), "plant-here-0")
    'another process uses the same identity, plant-here-0: give each its own kafka.instance'
    >>> displacement(errors.KafkaTimeoutError(), "plant-here-0")
    """
    names = {type(error).__name__, *_named(error)}
    taken = f"another process uses the same identity, {identity}: give each its own kafka.instance"
    if names & {kind.__name__ for kind in _TAKEN}:
        return taken
    if names & {kind.__name__ for kind in _MAYBE_TAKEN}:
        return f"{taken}; or this worker stood still for longer than kafka.transaction_timeout_s"
    return None


def refusal(error: BaseException, *, making: str | None = None) -> BrokerError:
    """Return a failure that needs a person as an error of ours, with what is missing.

    ``making`` names a topic that was to be made, which takes other rights than its use.
    """
    if making is not None and isinstance(error, errors.AuthorizationError):
        return BrokerError(f"topic {making} {_NOT_MADE}")
    cause = _cause(error)
    if cause is None:
        return BrokerError(f"the brokers refuse the service: {sentence(error)}")
    about = _in_one_line(_about(error)) if isinstance(error, cause) else ""
    text = _FATAL[cause].format(about=about).replace(" :", ":").rstrip()
    rights = "; `stream-ad topics plan` lists the rights"
    said = rights if issubclass(cause, errors.AuthorizationError) else f" ({sentence(error)})"
    return BrokerError(f"{text}{said}")


def sentence(error: BaseException) -> str:
    """Say an exception in one short line for a log.

    Examples
    --------
    >>> sentence(errors.KafkaTimeoutError("no answer"))
    'KafkaTimeoutError: no answer'
    """
    name = type(error).__name__
    # not str(error), in which the client says the class a second time
    text = _in_one_line(" ".join(map(str, error.args)))
    line = f"{name}: {text}" if text else name
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def _cause(error: BaseException) -> type[BaseException] | None:
    for kind in _FATAL:
        if isinstance(error, kind):
            return kind
    return next((_BY_NAME[name] for name in _named(error) if name in _BY_NAME), None)


def _named(error: BaseException) -> list[str]:
    """Return the classes that a general error names in its text."""
    if type(error) in {errors.KafkaError, errors.CommitFailedError}:
        return re.findall(r"\b[A-Z][A-Za-z]+Error\b", str(error))
    return []


def _about(error: BaseException) -> str:
    """Return the names that the client put into the exception."""
    subject = error.args[0] if error.args else None
    if isinstance(subject, str):
        return subject
    return ", ".join(sorted(map(str, subject))) if isinstance(subject, Iterable) else ""
