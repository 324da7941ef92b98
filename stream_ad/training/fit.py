"""From history to a fitted detector with an alarm line for the budget."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from stream_ad.alerting.swallowing import swallowing_zone
from stream_ad.config import Config, InputConfig
from stream_ad.config.groups import DEFAULT
from stream_ad.errors import ConfigError, NotEnoughHistory
from stream_ad.groups import Groups
from stream_ad.progress import Progress
from stream_ad.training.history import History, Sized, collect_history, time_at
from stream_ad.transport.times import NAT, TimeReader
from stream_ad.versions import Judge
from stream_ad.windows import WindowSpec, rfc3339

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stream_ad.detector import Detector

ALL = "all"


def cut_of(train_until: str, config: Config) -> tuple[int | None, int | None]:
    """Return where history ends, as ``(rows, None)`` or ``(None, time in ns)``.

    Parameters
    ----------
    train_until : str
        A number of rows in file order, or a time as the input writes it or in RFC 3339.
    config : Config

    Raises
    ------
    ConfigError
        For a text that is neither a positive number nor a time.

    Examples
    --------
    >>> cut_of("400", Config())
    (400, None)
    >>> cut_of("2024-01-01T00:00:00Z", Config())
    (None, 1704067200000000000)
    """
    if train_until.isdecimal():
        if int(train_until) == 0:
            raise ConfigError("--train-until", train_until, "at least 1 row")
        return int(train_until), None
    time = TimeReader(config.input).one(train_until, Counter())
    if time == NAT:  # what the input's own format does not read may still be RFC 3339
        plain = InputConfig(time_zone=config.input.time_zone)
        time = TimeReader(plain).one(train_until, Counter())
    if time == NAT:
        allowed = (
            "a number of rows, or a time as the input writes it or in RFC 3339 (a share of the "
            "records is training.history_share in the config)"
        )
        raise ConfigError("--train-until", train_until, allowed)
    return None, time


def learn_from(
    source: Sized, config: Config, spec: WindowSpec, train_until: str | None, progress: Progress
) -> tuple[dict[str, Detector], History]:
    """Collect the history of a recording and fit the configured detector of each group on it.

    Parameters
    ----------
    source : Source with ``rows()``
    config : Config
    spec : WindowSpec
    train_until : str or None
        As in `cut_of`, or ``all``; None takes the share ``training.history_share`` of the
        records, by event time.
    progress : Progress

    Returns
    -------
    (dict of str to Detector, History)
        As of `train_groups`.
    """
    rows, time = None, None
    if train_until is None:
        progress.stage("looking at the times", None)
        time = time_at(source, config.training.history_share, spec)
    elif train_until != ALL:
        rows, time = cut_of(train_until, config)
        if rows is not None and rows > source.rows():
            allowed = f"a number of rows, at most the {source.rows():,} of the input, or a time"
            raise ConfigError("--train-until", train_until, allowed)
    progress.stage("reading the history", source.rows())
    try:
        history = collect_history(source, config, spec, rows=rows, time=time, progress=progress.at)
    except NotEnoughHistory as error:
        if train_until is None or not _like_a_share(train_until):
            raise
        raise NotEnoughHistory(
            f"{error}; --train-until {train_until} is a time: for a share of the records set "
            "training.history_share in the config"
        ) from error
    left_out = f", {history.muted:,} muted ones left out" if history.muted else ""
    until = rfc3339(history.until)
    progress.note(f"history: {len(history.windows):,} windows until {until}{left_out}")
    return train_groups(history, Groups(config), spec, progress), history


def train_groups(
    history: History, groups: Groups, spec: WindowSpec, progress: Progress
) -> dict[str, Detector]:
    """Fit the configured detector of each machine group.

    Parameters
    ----------
    history : History
    groups : Groups
    spec : WindowSpec
    progress : Progress

    Returns
    -------
    dict of str to Detector
        ``default`` first. Where no machine of the history belongs to it, it learns from all of
        them: it scores machines that belong to no group, and those of a group without a
        detector, as one with too few windows is.

    Raises
    ------
    NotEnoughHistory
        For ``default``.
    """
    windows = history.windows
    found: dict[str, Detector] = {}
    rows = groups.rows(windows.machine)
    for name in groups.names:
        own = windows.take(rows[name]) if name in rows else windows.take(slice(0, 0))
        shared = name == DEFAULT and not len(own)
        part = replace(history, windows=windows if shared else own)
        if name not in rows and not shared:
            progress.note(f"group {name}: none of its machines is in the history")
            continue
        try:
            detector = train(part, groups.config(name), spec, progress)
        except NotEnoughHistory as error:
            if name == DEFAULT:
                raise
            progress.note(f"group {name} has no detector of its own yet: {error}")
            continue
        where = "" if len(groups.names) == 1 else f"group {name}: "
        if deaf := sensors_without_history(detector, spec):
            said = ", ".join(deaf)
            progress.note(f"{where}no value in the history, so not watched: {said}")
        found[name] = detector
    return found


def _like_a_share(text: str) -> bool:
    """Say whether a time could be meant as a share; near the epoch it may well be a time."""
    try:
        return 0 < float(text) < 1
    except ValueError:
        return False


def sensors_without_history(judge: Judge, spec: WindowSpec) -> list[str]:
    """Return the sensors that a detector never saw a value of: it cannot watch them."""
    return [name for name, known in zip(spec.names, judge.known, strict=True) if not known]


def train(
    history: History,
    config: Config,
    spec: WindowSpec,
    progress: Progress,
    y: NDArray[np.int64] | None = None,
) -> Detector:
    """Fit the configured detector on a history and set its line to the budget.

    Parameters
    ----------
    history : History
    config : Config
        ``detector``, ``alarm``, ``training`` and ``windows.max_missing`` are used.
    spec : WindowSpec
    progress : Progress
    y : int64 array (n,), optional
        0 for an unlabelled window, +1 labelled normal, -1 labelled anomaly.

    Returns
    -------
    Detector

    Raises
    ------
    NotEnoughHistory
        With fewer windows than ``training.min_windows``, or too few usable ones.
    """
    from stream_ad.detector import Detector

    found, needed = len(history.windows), config.training.min_windows
    if found < needed:
        left_out = f" ({history.muted:,} muted ones left out)" if history.muted else ""
        raise NotEnoughHistory(
            f"the history has {found} windows{left_out} and training.min_windows is {needed} "
            f"(training.buffer_windows keeps {config.training.buffer_windows:,} at most): give "
            "more history (--train-until, training.history_share), or shorter windows or hops "
            "(windows.length, windows.hop)"
        )
    progress.stage(f"training {config.detector.model} on {found:,} windows", 1.0)
    detector = Detector(
        **config.detector.model_dump(), max_extrapolation=config.alarm.max_extrapolation
    )
    detector.fit_windows(
        history.windows,
        spec,
        y=y,
        max_missing=config.windows.max_missing,
        progress=progress.at,
    )
    detector.card["swallows"] = swallowing_zone(config.drift, spec.hop_ns)
    return detector.set_budget(config.alarm)
