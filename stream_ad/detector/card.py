"""The card of a detector, and its way from the card and arrays back."""

from __future__ import annotations

import platform
from dataclasses import MISSING, asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from stream_ad.config import DetectorConfig, SensorConfig
from stream_ad.detector.artifact import ADVICE, Arrays, pack_names, unpack_names
from stream_ad.detector.bank import Bank
from stream_ad.detector.calibration import Calibration
from stream_ad.detector.cycle import Cycle
from stream_ad.detector.daily import BINS, DailyCourse
from stream_ad.detector.learning import Learned
from stream_ad.detector.line import AlarmLine
from stream_ad.detector.machine_scales import MachineScales
from stream_ad.detector.models import WindowModel, make_model
from stream_ad.detector.parts import Parts
from stream_ad.detector.scaling import ROBUST, Scaler
from stream_ad.detector.scorers import SCORERS, views_for
from stream_ad.detector.settings import SETTINGS, check_settings
from stream_ad.detector.small_banks import SmallBanks
from stream_ad.detector.views import Views
from stream_ad.errors import ArtifactCorrupt, ConfigError
from stream_ad.windows.spec import WindowSpec, rfc3339

if TYPE_CHECKING:
    from stream_ad.detector.detector import Detector

SCALER = tuple(field.name for field in fields(Scaler) if field.default is MISSING)
# of the card, what `restore` reads
NEEDED = {
    "settings": dict,
    "latent_dim": int,
    "windows": dict,
    "sensors": list,
    "fit": dict,
    "line": dict,
}


@dataclass(frozen=True, slots=True)
class Saved:
    """The parts of a detector that came back from an artifact."""

    settings: dict[str, Any]
    config: DetectorConfig
    sensors: tuple[SensorConfig, ...]
    spec: WindowSpec | None
    scaler: Scaler
    scales: MachineScales | None
    model: WindowModel
    bank: Bank
    views: Views | SmallBanks | None
    scorer: Arrays
    calibration: Calibration
    line: AlarmLine
    report: dict[str, Any]


def describe(detector: Detector, config: DetectorConfig, learned: Learned) -> dict[str, Any]:
    """Return the card of a detector that has just learned."""
    parts, calibration = learned.parts, detector.calibration_
    model, scaler = parts.model, parts.scaler
    window_ns = calibration.window_ns
    grid = {
        "length": model.length,
        "period_ns": window_ns // model.length,
        "hop_ns": calibration.hop_ns,
    }
    levels = zip(scaler.centre.tolist(), scaler.spread.tolist(), strict=True)
    return {
        "settings": {
            **config.model_dump(exclude={"device"}),
            "false_alarm_rate": detector.false_alarm_rate,
            "max_extrapolation": detector.max_extrapolation,
        },
        "latent_dim": model.network.latent_dim,
        "channels": list(detector.channels),
        "index": parts.scorer.index.name,
        "index_check": parts.checked,
        "windows": grid | ({} if detector.spec is None else _spec_card(detector.spec)),
        "sensors": [
            sensor.model_dump()
            | {"known": bool(known), "centre": centre, "spread": spread}
            | {"daily": daily, "cycle": cycle}
            for sensor, known, (centre, spread), daily, cycle in zip(
                detector.sensors,
                detector.known,
                levels,
                _has_day(scaler),
                _has_cycle(scaler),
                strict=True,
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


def _has_day(scaler: Scaler) -> list[bool]:
    """Say of each sensor whether it has a course of the day."""
    if scaler.daily is None:
        return [False] * len(scaler.centre)
    return [bool(sensor.any()) for sensor in scaler.daily.course.T]


def _has_cycle(scaler: Scaler) -> list[bool]:
    """Say of each sensor whether it has a course of the cycle."""
    if scaler.cycle is None:
        return [False] * len(scaler.centre)
    return [bool((sensor != 1).any()) for sensor in scaler.cycle.gain.T]


def stored(
    parts: Parts, scales: MachineScales | None, calibration: Calibration, line: AlarmLine
) -> Arrays:
    """Return everything but the weights as arrays."""
    scaler, bank, views = parts.scaler, parts.scorer.bank, parts.views
    daily, cycle = scaler.daily, scaler.cycle
    return {
        **({} if daily is None else _day(daily)),
        **({} if scales is None else _machines(scales)),
        **({} if cycle is None else {"cycle.gain": cycle.gain, "cycle.shift": cycle.shift}),
        **({} if views is None else {f"views.{n}": getattr(views, n) for n in views.names()}),
        **{f"scorer.{name}": array for name, array in parts.scorer.arrays().items()},
        **{f"scaler.{part}": getattr(scaler, part) for part in SCALER},
        "bank.z": bank.z,
        "bank.error": bank.error,
        "bank.start": bank.start,
        "bank.count": bank.count,
        **({"bank.sure": bank.sure} if bank.sure.any() else {}),
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
        When something is missing in the card, or card, weights and arrays do not fit each
        other.
    """
    try:
        return _restore(card, weights, arrays)
    except (ConfigError, LookupError, TypeError, ValueError, RuntimeError) as cause:
        text = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
        raise ArtifactCorrupt(
            f"{path}: card and files do not fit each other ({text}): {ADVICE}"
        ) from cause


def _restore(card: dict[str, Any], weights: Arrays, arrays: Arrays) -> Saved:
    for key, kind in NEEDED.items():
        if not isinstance(card.get(key), kind):
            raise ValueError(f"the card's {key!r} is missing or of another kind")
    settings = {name: card["settings"][name] for name in SETTINGS}
    config = check_settings(settings)
    names = SensorConfig.model_fields
    sensors = tuple(
        SensorConfig(**{key: entry[key] for key in names if key in entry})
        for entry in card["sensors"]
    )
    if not sensors:
        raise ValueError("no sensors")
    found = config.model_copy(update={"latent_dim": card["latent_dim"]})  # by the fit, or asked
    with torch.device("meta"):  # nothing is drawn at random, only to be overwritten
        model = make_model(found, card["windows"]["length"], len(sensors))
    model.to_empty(device="cpu").load_state_dict(
        {name: torch.from_numpy(array) for name, array in weights.items()}
    )
    hop_ns, window_ns = (int(span) for span in arrays["calibration.span"])
    line, views, scorer, daily, cycle = (
        _of(part, arrays) for part in ("line", "views", "scorer", "daily", "cycle")
    )
    saved = Saved(
        settings=settings,
        config=config,
        sensors=sensors,
        spec=_spec(card["windows"], sensors),
        scaler=Scaler(
            **{part: arrays[f"scaler.{part}"] for part in SCALER},
            daily=_daily(daily),
            cycle=Cycle(**cycle) if cycle else None,
            squashed=config.scaling == ROBUST,
        ),
        scales=_scales(arrays) if config.scale_per_machine else None,
        model=model,
        bank=Bank(
            arrays["bank.z"],
            arrays["bank.error"],
            unpack_names(arrays, "bank."),
            arrays["bank.start"],
            arrays["bank.count"],
            arrays.get("bank.sure", np.zeros(len(arrays["bank.z"]), bool)),
        ),
        views=views_for(model.length)(**views) if SCORERS[config.scorer].needs_views else None,
        scorer=scorer,
        calibration=Calibration(
            unpack_names(arrays, "calibration."),
            arrays["calibration.start"],
            arrays["calibration.raw"],
            hop_ns,
            window_ns,
        ),
        line=AlarmLine.from_card(card["line"], line),
        report=card["fit"],
    )
    _check_shapes(saved)
    return saved


def _of(part: str, arrays: Arrays) -> Arrays:
    head = f"{part}."
    return {n.removeprefix(head): array for n, array in arrays.items() if n.startswith(head)}


def _machines(scales: MachineScales) -> Arrays:
    names = pack_names(scales.machines, "scales.")
    return {"scales.gain": scales.gain, "scales.shift": scales.shift, **names}


def _scales(arrays: Arrays) -> MachineScales:
    gain, shift = arrays["scales.gain"], arrays["scales.shift"]
    return MachineScales(unpack_names(arrays, "scales."), gain, shift)


def _day(daily: DailyCourse) -> Arrays:
    period = np.array([daily.period_ns], np.int64)
    return {"daily.course": daily.course, "daily.period_ns": period}


def _daily(arrays: Arrays) -> DailyCourse | None:
    return DailyCourse(arrays["course"], int(arrays["period_ns"][0])) if arrays else None


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
        "bank.sure": (bank.sure.shape, rows),
        "calibration.machine": (calibration.machine.shape, held_out),
        "calibration.start": (calibration.start.shape, held_out),
    }
    if saved.scales is not None:
        each = (len(saved.scales.machines), *sensors)
        expected["scales.gain"] = (saved.scales.gain.shape, each)
        expected["scales.shift"] = (saved.scales.shift.shape, each)
    if saved.views is not None:
        expected |= saved.views.expected(saved.model.length, sensors[0])
    if saved.scaler.daily is not None:
        expected["daily.course"] = (saved.scaler.daily.course.shape, (BINS, *sensors))
    if saved.scaler.cycle is not None:
        cells, cycle = (saved.model.length, *sensors), saved.scaler.cycle
        expected |= {
            "cycle.gain": (cycle.gain.shape, cells),
            "cycle.shift": (cycle.shift.shape, cells),
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
