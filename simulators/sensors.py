"""What a machine measures: names, units, and how each channel follows the machine's work."""

from __future__ import annotations

from dataclasses import dataclass, replace

LAGS_S = (0.0, 120.0, 1200.0)
"""Time constants in seconds: electrical, hydraulic, thermal."""

MAX_SENSORS = 512


@dataclass(frozen=True, slots=True)
class Sensor:
    """One channel of a machine.

    Parameters
    ----------
    name, unit : str
        Name, unique within a machine, and unit of the values.
    idle, span : float
        Value at standstill, and what full work adds to it, in the unit.
    speed_share : float
        How much of that work is speed, in [0, 1]; the rest is load.
    lag : int
        Position in `LAGS_S` of the time constant with which it follows.
    wear, cold : float
        What a worn tool, and a cold start, add: shares of `span`.
    load_gain, material_gain : float
        How it follows the two hidden disturbances that all sensors of a machine share.
    noise : float
        Standard deviation of its own noise in production, share of `span`.
    decimals : int
        Resolution of what it reports.
    """

    name: str
    unit: str
    idle: float
    span: float
    speed_share: float
    lag: int
    wear: float
    cold: float
    load_gain: float
    material_gain: float
    noise: float
    decimals: int


# name, unit, idle, span, speed_share, lag, wear, cold, load_gain, material_gain, noise, decimals
CATALOGUE = (
    Sensor("motor_current", "A", 4.0, 18.0, 0.2, 0, 0.12, 0.10, 1.0, 0.2, 0.020, 3),
    Sensor("vibration", "mm/s", 0.6, 2.6, 0.6, 0, 0.35, 0.0, 0.6, 0.0, 0.050, 4),
    Sensor("bearing_temperature", "degC", 24.0, 34.0, 0.3, 2, 0.10, 0.0, 0.8, 0.0, 0.006, 3),
    Sensor("pressure", "bar", 2.0, 4.5, 0.0, 1, 0.0, 0.05, 0.5, -0.8, 0.015, 4),
    Sensor("flow", "l/min", 3.0, 28.0, 0.8, 1, -0.05, 0.0, 0.3, 1.0, 0.020, 3),
    Sensor("spindle_speed", "rpm", 200.0, 2600.0, 1.0, 0, 0.0, 0.0, -0.3, 0.0, 0.006, 1),
    Sensor("power", "kW", 1.2, 9.5, 0.3, 0, 0.10, 0.08, 1.0, 0.1, 0.015, 4),
    Sensor("coolant_temperature", "degC", 20.0, 16.0, 0.0, 2, 0.0, 0.0, 0.6, -0.3, 0.008, 3),
)


def catalogue(count: int) -> tuple[Sensor, ...]:
    """Return `count` sensors; beyond the catalogue a second measuring point (`power_2`) begins.

    Examples
    --------
    >>> [sensor.name for sensor in catalogue(9)][-2:]
    ['coolant_temperature', 'motor_current_2']
    """
    if not 1 <= count <= MAX_SENSORS:
        raise ValueError(f"sensors: {count} is not allowed; give 1 to {MAX_SENSORS}")
    return tuple(_measuring_point(number) for number in range(count))


def _measuring_point(number: int) -> Sensor:
    lap, position = divmod(number, len(CATALOGUE))
    sensor = CATALOGUE[position]
    return sensor if lap == 0 else replace(sensor, name=f"{sensor.name}_{lap + 1}")
