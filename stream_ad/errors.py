"""One tree of exceptions; each says what is wrong, with which value, and what to do.

::

    StreamAdError
    ├── ConfigError            a setting: key, value, what is allowed; only at start
    ├── InputError             an input that cannot be read at all (missing column, empty file)
    ├── NotEnoughHistory       too few normal windows to learn from
    ├── StateError             a checkpoint or state record of another configuration, or damaged
    ├── OutputError            an output that cannot be written (disk full, no permission)
    ├── NotFitted              a detector asked to score before it learned
    ├── ModelError             a model that gives no finite numbers, in training or scoring
    ├── BrokerError            a broker that refuses what the service needs, or never answers
    ├── MissingDependency      an optional package that a chosen setting needs
    └── ArtifactError
        ├── ArtifactNotFound   no such file or version
        ├── ArtifactCorrupt    a digest or a file's content does not fit its card
        ├── ArtifactMismatch   sound, but made for other sensors, windows or software
        └── RegistryError      a store of detectors that cannot be reached or read now; may heal
            └── RegistryConflict   another process has changed the registry meanwhile

Bad *data* is not an exception: it is a value (dead letter, masked cell, counter).
"""

from __future__ import annotations

from collections.abc import Sequence

MOST_SAID = 10  # problems of one config, each a line


class StreamAdError(Exception):
    """Root of everything this package raises on purpose.

    Examples
    --------
    >>> issubclass(ConfigError, StreamAdError)
    True
    """


class ConfigError(StreamAdError):
    """A setting that cannot be used.

    Parameters
    ----------
    key : str
        Dotted path of the setting, such as ``windows.period_s``.
    value : object
        What was given.
    allowed : str
        What may be given instead, as a sentence.
    others : sequence of ConfigError
        Further settings that cannot be used: each is a line of the message, up to ten in all.

    Examples
    --------
    >>> raise ConfigError("windows.hop", 0, "a whole number of slots, at least 1")
    Traceback (most recent call last):
    ...
    stream_ad.errors.ConfigError: windows.hop = 0: allowed is a whole number of slots, at least 1
    """

    def __init__(
        self, key: str, value: object, allowed: str, others: Sequence[ConfigError] = ()
    ) -> None:
        self.key, self.value, self.allowed = key, value, allowed
        lines = [f"{key} = {value!r}: allowed is {allowed}", *map(str, others)]
        if more := len(lines[MOST_SAID:]):
            lines[MOST_SAID:] = [f"and {more} more problems" if more > 1 else "and 1 more problem"]
        super().__init__("\n".join(lines))


class InputError(StreamAdError):
    """An input that cannot be read at all."""


class NotEnoughHistory(StreamAdError):
    """Too few normal windows to learn from."""


class StateError(StreamAdError):
    """A checkpoint or a machine state that does not belong to this run."""


class OutputError(StreamAdError):
    """An output that cannot be written."""


class NotFitted(StreamAdError):
    """A detector that was asked for scores before ``fit`` or ``load``."""


class ModelError(StreamAdError):
    """A model that gives no finite numbers; never passed on as a score."""


class BrokerError(StreamAdError):
    """A Kafka broker that refuses what the service needs, or never answers."""


class MissingDependency(StreamAdError):
    """An optional package that the chosen setting needs."""


class ArtifactError(StreamAdError):
    """Anything wrong with a saved detector."""


class ArtifactNotFound(ArtifactError):
    """No artifact, or an incomplete one, where one was expected."""


class ArtifactCorrupt(ArtifactError):
    """Files that do not match the digests or shapes in their card."""


class ArtifactMismatch(ArtifactError):
    """A sound artifact that was made for something else."""


class RegistryError(ArtifactError):
    """A store of detectors that cannot be reached or read now; what scores goes on."""


class RegistryConflict(RegistryError):
    """A registry that another process has changed meanwhile: look again, then decide anew."""
