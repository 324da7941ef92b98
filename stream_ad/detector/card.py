"""The card of a detector, and its way from the card and arrays back."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from stream_ad.config import SensorConfig
from stream_ad.detector.artifact import Arrays, pack_names, unpack_names
from stream_ad.detector.bank import Bank
from stream_ad.detector.learning import Learned
from stream_ad.detector.line import AlarmLine, Calibration
from stream_ad.detector.models import MODELS, WindowModel
from stream_ad.detector.scaling import Scaler
from stream_ad.errors import ArtifactCorrupt
from stream_ad.windows.spec import WindowSpec, rfc3339

if TYPE_CHECKING:
    from stream_ad.detector.detector import Detector

SCALER = tuple(field.name for field in fields(Scaler))
SETTINGS = (
    "model",
    "scorer",
    "network",
    "k",
    "alpha",
    "latent_dim",
    "index",
    "bank_windows",
    "epochs",
    "calibration_share",
    "false_alarm_rate",
    "max_extrapolation",
    "seed",
)


@dataclass(frozen=True, slots=True)
class Saved:
    """The parts of a detector that came back from an artifact."""

    settings: dict[str, Any]
    sensors: tuple[SensorConfig, ...]
    spec: WindowSpec | None
    scaler: Scaler
    model: WindowModel
    bank: Bank
    calibration: Calibration
    line: AlarmLine


def describe(
    detector: Detector, learned: Learned, index: str, *, window_ns: int, hop_ns: int
) -> dict[str, Any]:
    """Return the card of a detector that has just learned."""
    model, calibration = learned.model, detector.calibration_
    grid = {"length": model.length, "period_ns": window_ns // model.length, "hop_ns": hop_ns}
    levels = zip(learned.scaler.centre.tolist(), learned.scaler.spread.tolist(), strict=True)
    return {
        "settings": {name: getattr(detector, name) for name in SETTINGS},
        "latent_dim": model.network.latent_dim,
        "channels": list(detector.channels),
        "index": index,
        "windows": grid | ({} if detector.spec is None else _spec_card(detector.spec)),
        "sensors": [
            sensor.model_dump() | {"known": bool(known), "centre": centre, "spread": spread}
            for sensor, known, (centre, spread) in zip(
                detector.sensors, detector.known, levels, strict=True
            )
        ],
        "history": learned.span,
        "fit": learned.report,
        "calibration": {
            "windows": len(calibration.raw),
            "from": rfc3339(int(calibration.start[0])),
            "to": rfc3339(int(calibration.start[-1]) + window_ns),
            "median": float(np.median(calibration.raw)),
            "largest": float(calibration.raw.max()),
        },
        "line": detector.line_.to_card(),
        "versions": _versions(),
    }


def stored(scaler: Scaler, bank: Bank, calibration: Calibration, line: AlarmLine) -> Arrays:
    """Return everything but the weights as arrays."""
    return {
        **{f"scaler.{part}": getattr(scaler, part) for part in SCALER},
        "bank.z": bank.z,
        "bank.error": bank.error,
        "bank.start": bank.start,
        "bank.count": bank.count,
        **pack_names(bank.machine, "bank."),
        "calibration.start": calibration.start,
        "calibration.raw": calibration.raw,
        "calibration.span": np.array([calibration.hop_ns, calibration.window_ns], np.int64),
        **pack_names(calibration.machine, "calibration."),
        **{f"line.{name}": array for name, array in line.arrays().items()},
    }


def restore(path: Path, card: dict[str, Any], weights: Arrays, arrays: Arrays) -> Saved:
    """Put the parts together again.

    Raises
    ------
    ArtifactCorrupt
        When card, weights and arrays do not fit each other.
    """
    try:
        return _restore(card, weights, arrays)
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as cause:
        text = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
        raise ArtifactCorrupt(f"{path}: card and files do not fit each other: {text}") from cause


def _restore(card: dict[str, Any], weights: Arrays, arrays: Arrays) -> Saved:
    settings = {name: card["settings"][name] for name in SETTINGS}
    names = SensorConfig.model_fields
    sensors = tuple(
        SensorConfig(**{key: entry[key] for key in names if key in entry})
        for entry in card["sensors"]
    )
    if not sensors:
        raise ValueError("no sensors")
    with torch.device("meta"):  # nothing is drawn at random, only to be overwritten
        model = MODELS[settings["model"]](
            card["windows"]["length"],
            len(sensors),
            network=settings["network"],
            latent_dim=settings["latent_dim"],
        )
    model.to_empty(device="cpu").load_state_dict(
        {name: torch.from_numpy(array) for name, array in weights.items()}
    )
    hop_ns, window_ns = (int(span) for span in arrays["calibration.span"])
    line = {
        name.removeprefix("line."): array
        for name, array in arrays.items()
        if name.startswith("line.")
    }
    saved = Saved(
        settings=settings,
        sensors=sensors,
        spec=_spec(card["windows"], sensors),
        scaler=Scaler(*(arrays[f"scaler.{part}"] for part in SCALER)),
        model=model,
        bank=Bank(
            arrays["bank.z"],
            arrays["bank.error"],
            unpack_names(arrays, "bank."),
            arrays["bank.start"],
            arrays["bank.count"],
        ),
        calibration=Calibration(
            unpack_names(arrays, "calibration."),
            arrays["calibration.start"],
            arrays["calibration.raw"],
            hop_ns,
            window_ns,
        ),
        line=AlarmLine.from_card(card["line"], line),
    )
    _check_shapes(saved)
    return saved


def _check_shapes(saved: Saved) -> None:
    sensors, latent = (len(saved.sensors),), saved.model.network.latent_dim
    bank, calibration = saved.bank, saved.calibration
    rows, held_out = (len(bank.z),), (len(calibration.raw),)
    expected = {
        **{f"scaler.{part}": (getattr(saved.scaler, part).shape, sensors) for part in SCALER},
        "bank.z": (bank.z.shape, (*rows, latent)),
        "bank.error": (bank.error.shape, rows),
        "bank.machine": (bank.machine.shape, rows),
        "bank.start": (bank.start.shape, rows),
        "bank.count": (bank.count.shape, rows),
        "calibration.machine": (calibration.machine.shape, held_out),
        "calibration.start": (calibration.start.shape, held_out),
    }
    for name, (given, wanted) in expected.items():
        if given != wanted:
            raise ValueError(f"{name} has shape {given}; wanted is {wanted}")


def _spec_card(spec: WindowSpec) -> dict[str, Any]:
    card = asdict(spec)
    del card["sensors"]  # they have a place of their own
    return card


def _spec(card: dict[str, Any], sensors: tuple[SensorConfig, ...]) -> WindowSpec | None:
    if "disorder_ns" not in card:
        return None
    return WindowSpec(
        sensors=sensors,
        period_ns=card["period_ns"],
        length=card["length"],
        hop=card["hop"],
        disorder_ns=card["disorder_ns"],
        max_gap_slots=tuple(card["max_gap_slots"]),
        max_jump_ns=card["max_jump_ns"],
    )


def _versions() -> dict[str, str]:
    try:
        ours = version("stream-ad")
    except PackageNotFoundError:
        ours = "not installed"
    return {
        "stream_ad": ours,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
