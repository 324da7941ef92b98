"""From history to a fitted detector with an alarm line for the budget."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol

from stream_ad.config import Config, InputConfig
from stream_ad.errors import ConfigError, NotEnoughHistory
from stream_ad.progress import Progress
from stream_ad.training.history import History
from stream_ad.transport.times import NAT, TimeReader
from stream_ad.windows import WindowSpec

if TYPE_CHECKING:
    from stream_ad.detector import Detector


class Counted(Protocol):
    """An input that knows how many records it holds."""

    def rows(self) -> int:
        """Return the number of records."""
        ...


def cut_of(
    train_until: str | None, config: Config, source: Counted
) -> tuple[int | None, int | None]:
    """Return where history ends, as ``(rows, None)`` or ``(None, time in ns)``.

    Parameters
    ----------
    train_until : str or None
        A number of rows in file order, a time as the input writes it, or None for the share
        ``training.history_share`` of the rows.
    config : Config
    source : object with ``rows()``

    Raises
    ------
    ConfigError
        For a text that is neither a positive number nor a time.

    Examples
    --------
    >>> cut_of("400", Config(), None)
    (400, None)
    >>> cut_of("2024-01-01T00:00:00Z", Config(), None)
    (None, 1704067200000000000)
    """
    if train_until is None:
        return max(1, round(config.training.history_share * source.rows())), None
    if train_until.isdecimal():
        if int(train_until) == 0:
            raise ConfigError("--train-until", train_until, "at least 1 row")
        return int(train_until), None
    time = TimeReader(config.input).one(train_until, Counter())
    if time == NAT:  # what the input's own format does not read may still be RFC 3339
        time = TimeReader(InputConfig()).one(train_until, Counter())
    if time == NAT:
        allowed = "a number of rows, or a time as the input writes it or in RFC 3339"
        raise ConfigError("--train-until", train_until, allowed)
    return None, time


def train(history: History, config: Config, spec: WindowSpec, progress: Progress) -> Detector:
    """Fit the configured detector on a history and set its line to the budget.

    Parameters
    ----------
    history : History
    config : Config
        ``detector``, ``alarm``, ``training`` and ``windows.max_missing`` are used.
    spec : WindowSpec
    progress : Progress

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
        raise NotEnoughHistory(
            f"the history has {found} windows and training.min_windows is {needed}: give more "
            "history (--train-until, training.history_share), or shorter windows or hops "
            "(windows.length, windows.hop)"
        )
    d = config.detector
    progress.stage(f"training {d.model} on {found:,} windows", 1.0)
    detector = Detector(
        d.model,
        d.scorer,
        network=d.network,
        k=d.k,
        alpha=d.alpha,
        latent_dim=d.latent_dim,
        index=d.index,
        bank_windows=d.bank_windows,
        epochs=d.epochs,
        calibration_share=d.calibration_share,
        max_extrapolation=config.alarm.max_extrapolation,
        seed=d.seed,
        device=d.device,
    )
    detector.fit_windows(
        history.windows, spec, max_missing=config.windows.max_missing, progress=progress.at
    )
    return detector.set_budget(config.alarm)
