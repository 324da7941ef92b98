"""One trial of `train --compare`: what it takes, and what labels say of each member."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from stream_ad.config import Config, DetectorConfig
from stream_ad.errors import NotEnoughHistory
from stream_ad.progress import Silence
from stream_ad.training.compare import compare, with_member
from stream_ad.training.comparison import Comparison
from stream_ad.training.fit import train
from stream_ad.training.history import History, collect_history
from stream_ad.windows import WindowSpec
from tests.benchmarks.carrying import Fitted
from tests.benchmarks.measuring import DEFAULT as BY_CONFIG
from tests.benchmarks.measuring import settings
from tests.benchmarks.recordings import Recording

Member = tuple[str, str]  # model, scorer


def name_of(member: Member) -> str:
    """Return model and scorer as a comparison names them."""
    return " + ".join(member)


DEFAULT = name_of((DetectorConfig().model, DetectorConfig().scorer))


class Worth(NamedTuple):
    """What the labels say of a member, by row."""

    auc_pr: float
    f1: float


@dataclass(frozen=True, slots=True)
class Trial:
    """A choice without labels and, of one stream, what it was worth.

    Parameters
    ----------
    family, stream : str
    history : str
        Fingerprint: streams that share one share the choice.
    seed : int
    compared : Comparison or None
        None where the history is too short to compare on.
    worth : mapping of str to Worth
        Of each member by its name; empty if something failed.
    seconds : float
        All that the trial took, the comparison with the first stream that shares its history.
    failure : str or None
    """

    family: str
    stream: str
    history: str
    seed: int
    compared: Comparison | None
    worth: Mapping[str, Worth]
    seconds: float
    failure: str | None = None

    @property
    def taken(self) -> str:
        """Return the member that the comparison takes; whoever has none keeps the default."""
        return DEFAULT if self.compared is None else self.compared.best.name


def trials(recordings: Sequence[Recording], seed: int, members: Sequence[Member]) -> list[Trial]:
    """Compare members on one history and judge all of them on the streams that follow it.

    As the command does, members are compared on three quarters and the last one of the
    history; those that are judged by labels are fitted on all of it.

    Parameters
    ----------
    recordings : sequence of Recording
        Equal in ``training_digest``.
    seed : int
    members : sequence of (model, scorer)
    """
    (digest,) = {recording.training_digest() for recording in recordings}
    began, first = time.perf_counter(), recordings[0]
    config = settings(first, BY_CONFIG, seed)
    spec = WindowSpec.from_config(config.windows)
    compared: Comparison | None = None
    worth: list[dict[str, Worth]] = [{} for _ in recordings]
    failure = None
    try:
        history = collect_history(first, config, spec, rows=first.history)
        compared = _compared(history, config, spec, members)
        for member in members:
            found = _worth(history, with_member(config, *member), spec, recordings)
            for known, one in zip(worth, found, strict=True):
                known[name_of(member)] = one
    except Exception as error:  # one broken history must not cost the others; it is counted
        failure, worth = f"{type(error).__name__}: {error}", [{} for _ in recordings]
    seconds = (time.perf_counter() - began) / len(recordings)
    return [
        Trial(r.family, r.name, digest, seed, compared, known, seconds, failure)
        for r, known in zip(recordings, worth, strict=True)
    ]


def _compared(
    history: History, config: Config, spec: WindowSpec, members: Sequence[Member]
) -> Comparison | None:
    try:
        return compare(history, config, spec, Silence(), members)
    except NotEnoughHistory:
        return None


def _worth(
    history: History, config: Config, spec: WindowSpec, recordings: Sequence[Recording]
) -> Iterator[Worth]:
    fitted = Fitted(config, spec, train(history, config, spec, Silence()), history.until)
    for recording in recordings:
        record: dict[str, Any] = fitted.carry(recording).judged(recording)
        yield Worth(record["ranking"]["auc_pr"], record["at_line"]["f1"])
