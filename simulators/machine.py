"""One healthy machine: its true sensor values, block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.recursion import Floats, decay, recur
from simulators.seeds import Purpose, generator
from simulators.sensors import LAGS_S, Sensor
from simulators.workplan import Work, WorkPlan

BLOCK = 512
"""Slots computed at once. Fixed, so that the bits never depend on how a stream is cut."""

DISTURBANCE = 0.06
"""Standard deviation of the hidden disturbances, as a share of full work."""

DISTURBANCE_S = np.array([900.0, 7200.0])
"""Memory of the two hidden disturbances: load of the process, and material."""

QUIET_NOISE = 0.2
"""What stays of a sensor's own noise when the machine does nothing."""


@dataclass(frozen=True, slots=True)
class Block:
    """Values of one machine over `BLOCK` slots.

    Parameters
    ----------
    values : array (BLOCK, C)
        True values in the sensors' units.
    shared : array (BLOCK, C)
        The part of them that all sensors have in common: what a lost correlation loses.
    """

    values: Floats
    shared: Floats


class Machine:
    """A healthy machine, generated forwards from its first slot.

    Parameters
    ----------
    seed : int
        Seed of the factory; the machine's own numbers derive from it and from `number` alone.
    number : int
        Position of the machine in the factory.
    sensors : sequence of Sensor
        What it measures (C).
    start_ns, period_s : int, float
        Time of slot 0 (nanoseconds since the epoch) and seconds between slots.
    """

    def __init__(
        self, seed: int, number: int, sensors: Sequence[Sensor], start_ns: int, period_s: float
    ) -> None:
        self.plan = WorkPlan(seed, number)
        self.seed = seed
        self.number = number
        self.period_s = period_s
        self._start_ns = start_ns
        self._vary(sensors, generator(seed, Purpose.TRAITS, number, 1))
        self._noise = generator(seed, Purpose.NOISE, number)
        self._slot = 0
        self._keep = decay(period_s, DISTURBANCE_S)
        self._disturbance = self._noise.standard_normal(2)
        self._follow = np.repeat(decay(period_s, np.array(LAGS_S[1:])), 4)
        work = self.plan.at(np.array([start_ns]))
        self._lagged = np.tile([work.load[0], work.speed[0], 0.0, 0.0], len(LAGS_S) - 1)

    def _vary(self, sensors: Sequence[Sensor], traits: np.random.Generator) -> None:
        """Set the weights of each sensor: no two machines are built quite alike."""
        variety = traits.standard_normal((3, len(sensors)))
        self.span = np.array([s.span for s in sensors]) * (1 + 0.05 * variety[0])
        self._idle = np.array([s.idle for s in sensors]) * (1 + 0.03 * variety[1])
        self._own = self.span * [s.noise for s in sensors] * (1 + 0.15 * np.abs(variety[2]))
        self.lag = np.array([s.lag for s in sensors])
        self._speed_share = np.array([s.speed_share for s in sensors])
        self._wear = self.span * [s.wear for s in sensors]
        self._cold = self.span * [s.cold for s in sensors]
        gains = np.array([[s.load_gain, s.material_gain] for s in sensors])
        self._gains = gains * (DISTURBANCE * self.span)[:, None]

    @property
    def shared_spread(self) -> Floats:
        """Standard deviation of the shared part in production, shape (C,)."""
        lag_s = np.array(LAGS_S)[self.lag][:, None]
        smoothing = DISTURBANCE_S / (DISTURBANCE_S + lag_s)
        spread: Floats = np.sqrt((self._gains**2 * smoothing).sum(axis=1))
        return spread

    @property
    def spread(self) -> Floats:
        """Normal variation of each sensor in steady production, its unit, shape (C,)."""
        return np.asarray(np.hypot(self.shared_spread, self._own))

    def work_response(self, extra: Floats) -> Floats:
        """Return what `extra` work (n,) adds to each sensor from rest, with its lag: (n, C)."""
        keep = decay(self.period_s, np.array(LAGS_S))
        lagged = recur(extra[:, None] * (1 - keep), keep, np.zeros(len(LAGS_S)))
        response: Floats = lagged[:, self.lag] * self.span
        return response

    def extra_noise(self, rng: np.random.Generator, n: int) -> Floats:
        """Draw the noise (n, C) that a quiet machine lacks when it is put to work."""
        noise: Floats = rng.standard_normal((n, len(self.span))) * self._own * (1 - QUIET_NOISE)
        return noise

    def next_block(self) -> Block:
        """Return the next `BLOCK` slots."""
        time = times(self._start_ns, self.period_s, self._slot, BLOCK)
        self._slot += BLOCK
        work = self.plan.at(time)
        white = self._noise.standard_normal((BLOCK, 2 + len(self.span)))
        lagged = self._drive(work, white[:, :2])
        shared = self._shared(lagged)
        loud = QUIET_NOISE + (1 - QUIET_NOISE) * work.activity
        own = loud[:, None] * self._own * white[:, 2:]
        return Block(self._asked(work, lagged) + shared + own, shared)

    def _drive(self, work: Work, white: Floats) -> Floats:
        """Return load, speed and both disturbances at each lag: (BLOCK, lags, 4)."""
        fresh = white * np.sqrt(1 - self._keep**2)
        disturbance = recur(fresh, self._keep, self._disturbance)
        self._disturbance = disturbance[-1]
        drive = np.column_stack([work.load, work.speed, disturbance * work.activity[:, None]])
        times = len(LAGS_S) - 1
        lagged = recur(np.tile(drive, times) * (1 - self._follow), self._follow, self._lagged)
        self._lagged = lagged[-1]
        return np.hstack([drive, lagged]).reshape(BLOCK, len(LAGS_S), 4)

    def _asked(self, work: Work, lagged: Floats) -> Floats:
        """Return what the set-points, the tool and a cold start make of each sensor."""
        load, speed = lagged[:, self.lag, 0], lagged[:, self.lag, 1]
        effort = (1 - self._speed_share) * load + self._speed_share * speed
        cold = np.maximum(work.load - lagged[:, -1, 0], 0.0)
        # A tool at rest wears nothing off the signal: wear shows with the load that it carries.
        worn = work.wear * work.load
        asked: Floats = (
            self._idle
            + self.span * effort
            + cold[:, None] * self._cold
            + worn[:, None] * self._wear
        )
        return asked

    def _shared(self, lagged: Floats) -> Floats:
        by_load, by_material = self._gains.T
        shared: Floats = lagged[:, self.lag, 2] * by_load + lagged[:, self.lag, 3] * by_material
        return shared


def times(start_ns: int, period_s: float, first: int, count: int) -> NDArray[np.int64]:
    """Return the times of `count` slots from slot `first` on, nanoseconds since the epoch."""
    period_ns = round(period_s * 1e9)
    return start_ns + (first + np.arange(count, dtype=np.int64)) * period_ns
