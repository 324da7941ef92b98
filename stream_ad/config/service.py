"""The service on Kafka: brokers, topics, credentials, endpoints."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from stream_ad.config.section import Address, Count, NotNegative, Positive, Section, Topic


class TopicsConfig(Section):
    """Names of the topics; `stream-ad topics plan` says what each needs."""

    model_config = ConfigDict(validate_default=True)  # a name may be the default of another key

    input: Topic | None = None
    """Records of the machines; the key is the machine id. `run` cannot do without."""
    alerts: Topic = "stream-ad.alerts"
    """Incident events."""
    scores: Topic | None = None
    """One record for each scored window; null: none are written."""
    dead_letter: Topic = "stream-ad.dead-letters"
    """Records that could not be used, with the cause."""
    state: Topic = "stream-ad.state"
    """Machine states; compacted, as many partitions as the input."""
    labels: Topic = "stream-ad.labels"
    """What operators say of incidents; compacted, one partition."""
    models: Topic = "stream-ad.models"
    """Announcements of new detectors; compacted, one partition."""

    @field_validator("*")
    @classmethod
    def _is_no_other(cls, name: str | None, info: ValidationInfo) -> str | None:
        # a service that reads what it writes never comes to an end
        same = [key for key, other in info.data.items() if name is not None and other == name]
        if same:
            raise ValueError(f"a topic of its own (kafka.topics.{same[0]} is the same)")
        return name


class SecurityConfig(Section):
    """How to prove who one is to the brokers; secrets come from the environment or files."""

    protocol: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    """`sasl_ssl` for SCRAM over TLS, `ssl` with `cert_file` for mutual TLS."""
    mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] = "SCRAM-SHA-512"
    """Of the SASL protocols."""
    username: str | None = None
    """Of the SASL protocols."""
    password: SecretStr | None = None
    """Only through `STREAM_AD__KAFKA__SECURITY__PASSWORD`."""
    password_file: str | None = None
    """A file whose first line is the password."""
    ca_file: str | None = None
    """PEM file of the authorities that the brokers' certificates are checked against."""
    cert_file: str | None = None
    """PEM file of the own certificate, for mutual TLS."""
    key_file: str | None = None
    """PEM file of its private key."""
    key_password: SecretStr | None = None
    """Only through `STREAM_AD__KAFKA__SECURITY__KEY_PASSWORD`."""
    key_password_file: str | None = None
    """A file whose first line is the password of the private key."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        for name in ("password", "key_password"):
            if getattr(self, name) is not None and getattr(self, f"{name}_file") is not None:
                raise ValueError(f"{name} or {name}_file, not both")
        named = self.password is not None or self.password_file is not None
        if self.protocol.startswith("sasl") and not (self.username and named):
            raise ValueError(f"username and a password with protocol {self.protocol}")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file, or neither")
        return self


class ClientConfig(Section):
    """Settings of the Kafka client that may be passed through."""

    client_id: str = "stream-ad"
    """How brokers name this program in their logs."""
    request_timeout_ms: Annotated[int, Field(ge=1_000)] = 30_000
    """Longest wait for one answer."""
    compression_type: Literal["none", "gzip", "lz4", "zstd"] = "lz4"
    """Of what is written."""
    fetch_max_wait_ms: Annotated[int, Field(ge=1)] = 100
    """Longest wait of a broker for `fetch_min_bytes`."""
    fetch_min_bytes: Annotated[int, Field(ge=1)] = 1
    """Least bytes of an answer."""
    max_partition_fetch_bytes: Annotated[int, Field(ge=1 << 10)] = 32 << 20
    """Most bytes of one partition in an answer, and 50 MiB of all; twice that is held in memory."""
    metadata_max_age_ms: Annotated[int, Field(ge=1_000)] = 30_000
    """How soon new partitions are seen."""


class KafkaConfig(Section):
    """The service on Kafka: `stream-ad run`."""

    bootstrap_servers: Annotated[
        tuple[Address, ...],
        Field(json_schema_extra={"type": ["array", "string"]}),
    ] = ()
    """Addresses, `host:port`; a text with commas is a list too."""
    group_id: Annotated[str, Field(min_length=1, max_length=200)] = "stream-ad"
    """Consumer group; all workers of one service share it."""
    instance: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Tells processes of `run` on several machines apart, stable over restarts; null: the host's
    name. Two with the same one displace each other."""
    delivery: Literal["exactly_once", "at_least_once"] = "exactly_once"
    """Whether outputs, states and positions are one transaction."""
    on_lost_position: Literal["earliest", "latest", "fail"] = "fail"
    """Where to go on when the broker no longer has the records after the saved position."""
    batch_records: Annotated[int, Field(ge=1, le=100_000)] = 5_000
    """Most records of a transaction."""
    batch_s: Annotated[NotNegative, Field(le=10)] = 0.1
    """Least time between two transactions of fewer than 1000 records."""
    session_timeout_s: Annotated[float, Field(ge=1, le=1_800)] = 10.0
    """A worker that is not heard for so long loses its partitions."""
    transaction_timeout_s: Annotated[float, Field(ge=1, le=900)] = 30.0
    """The broker aborts a transaction that takes longer; more than the longest election."""
    retry_backoff_s: Annotated[float, Field(gt=0, le=60)] = 0.5
    """First pause after a failure; it doubles up to 30 s."""
    checkpoint_s: Positive = 10.0
    """A machine's unsaved readings are saved after so long at the latest,"""
    checkpoint_records: Count = 20_000
    """or after so many records of its partition."""
    topics: TopicsConfig = TopicsConfig()
    """Names of the topics."""
    security: SecurityConfig = SecurityConfig()
    """Credentials."""
    client: ClientConfig = ClientConfig()
    """Passed through to the Kafka client."""

    @field_validator("bootstrap_servers", mode="before")
    @classmethod
    def _commas(cls, value: object) -> object:
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


class MetricsConfig(Section):
    """The HTTP endpoints of `run`: `/metrics`, `/livez`, `/readyz`."""

    port: Annotated[int, Field(ge=1, le=65_000)] | None = None
    """Of the first worker, the next ones for the others, then one for the trainer; `stream-ad
    trainer` alone takes this one; null: none."""
    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` for all."""
