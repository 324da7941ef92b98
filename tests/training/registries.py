"""Registries for tests: detectors that nobody asks for scores, and deaths between two steps."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np

from stream_ad.config import Config, parse_config
from stream_ad.detector import Detector
from stream_ad.detector.artifact import read_artifact, write_artifact
from stream_ad.training.promotions import Promotion, loadable
from stream_ad.training.registry import Registry
from stream_ad.training.store import folder_of
from stream_ad.windows import Windows, WindowSpec, rfc3339

HOUR = 3_600 * 10**9
SENSORS, LENGTH = ["a", "b"], 4
CONFIG: Config = parse_config(
    {
        "windows": {"sensors": SENSORS, "period_s": 60, "length": LENGTH},
        "detector": {"model": "linear", "scorer": "error", "device": "cpu"},
        "alarm": {"budget_per_machine_day": 20},
    }
)
SPEC = WindowSpec.from_config(CONFIG.windows)


class Made:
    """What a registry needs of a detector; it learned up to some hour."""

    def __init__(self, until: int = 0) -> None:
        self.until = until

    def save(self, path: Path, **extra: Any) -> None:
        card = {
            "settings": {"model": "linear", "scorer": "joined"},
            "history": {"to": rfc3339(self.until * HOUR)},
        }
        numbers = {"x": np.arange(5.0) + self.until}
        write_artifact(path, card | extra, numbers, numbers)


def made(until: int = 0) -> Detector:
    return cast("Detector", Made(until))


def said(promotions: list[Promotion]) -> list[tuple[int, int, int, int]]:
    """Return number, version, hour and reference of promotions."""
    return [(p.number, p.version, p.effective_from // HOUR, p.reference) for p in promotions]


def promoted(registry: Registry, *hours: int) -> Registry:
    """Add a version and promote it from each of these hours on."""
    for hour in hours:
        registry.promote(registry.add(made(hour)), hour * HOUR, f"at {hour}")
    return registry


def expect_whole(registry: Registry) -> None:
    """Check that everything that may score is there, sound, and what was promoted."""
    promotions = registry.promotions()
    for one in loadable(promotions, {*registry.numbers(), *(p.version for p in promotions[-1:])}):
        folder = registry._store.fetch(folder_of(one.version, one.group), one.card_sha256)
        read_artifact(folder)
        registry._whole(one.version, promotions, one.group)


def fitted(seed: int) -> Detector:
    """Return a small detector that scores."""
    rng = np.random.default_rng(seed)
    n = 120
    start = np.arange(n, dtype=np.int64) * SPEC.hop_ns
    values = rng.normal(size=(n, LENGTH, 2)).astype(np.float32)
    windows = Windows(np.full(n, "m", object), start, values, np.arange(n, dtype=np.int64))
    return Detector(model="linear", scorer="error", seed=seed, device="cpu").fit_windows(
        windows, SPEC
    )


class Died(BaseException):
    """The process is gone: nothing that it still tries is done."""


class Death:
    """Counts steps, and dies at one of them."""

    def __init__(self, step: int) -> None:
        self._step, self.steps = step, 0

    @property
    def came(self) -> bool:
        return self.steps >= self._step

    def before(self, act: Callable[..., Any]) -> Callable[..., Any]:
        """Return a step that is not done once the process is dead."""

        def step(*args: Any, **options: Any) -> Any:
            self.steps += 1
            if self.came:
                raise Died
            return act(*args, **options)

        return step

    def torn(self, sync: Callable[[int], None]) -> Callable[[int], None]:
        """Return a sync that leaves half of a file where the process dies."""

        def step(handle: int) -> None:
            self.steps += 1
            if self.steps == self._step and Path(f"/proc/self/fd/{handle}").is_file():
                os.ftruncate(handle, os.fstat(handle).st_size // 2)
            if self.came:
                raise Died
            sync(handle)

        return step

    def opened(self, act: Callable[..., Any]) -> Callable[..., Any]:
        """Return an open that counts where it writes."""
        dying = self.before(act)

        def step(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
            return (dying if mode.strip("bt") != "r" else act)(file, mode, *args, **options)

        return step


STEPS = ("mkdir", "rename", "replace", "link", "unlink", "rmdir")


@contextmanager
def dying(step: int) -> Iterator[Death]:
    """Let this process die, as far as files go, at its n-th change of them."""
    death = Death(step)
    changes: dict[str, Any] = {name: death.before(getattr(os, name)) for name in STEPS}
    changes["fsync"] = death.torn(os.fsync)
    with (
        mock.patch.multiple(os, **changes),
        mock.patch.object(io, "open", death.opened(io.open)),
        suppress(Died),
    ):
        yield death
