"""What a turn of retraining does with its cause, whatever becomes of the training."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stream_ad.config import SensorConfig
from stream_ad.errors import RegistryError
from stream_ad.training.buffer import Buffer
from stream_ad.training.quarantine import Quarantine
from stream_ad.training.retraining import FRESH, Retraining
from stream_ad.training.triggers import AGAIN_NS
from stream_ad.versions import Version
from stream_ad.windows import Windows, WindowSpec
from stream_ad.windows.spec import NS
from tests.training.test_labels_heard import REACH, Nobody, config_of, pupil, see
from tests.training.told import HOP, WINDOW


def test_nothing_is_lost_where_nothing_was_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry cannot be reached when it is time to promote."""
    record: dict[str, Any] = {}
    one, now, causes = pupil(record), 10_000, []

    def unreachable(_: Retraining, __: int, said: dict[str, Any]) -> None:
        causes.append(said["cause"])
        raise RegistryError("it does not answer")

    monkeypatch.setattr(Retraining, "_train", unreachable)
    see(one, "m", 0, now)
    one.turn(now)
    one.ask("anna")
    with pytest.raises(RegistryError):
        one.turn(now + 1)
    assert len(record["tried"]) == 1
    assert one.turn(now + AGAIN_NS) is None
    with pytest.raises(RegistryError):
        one.turn(now + 1 + AGAIN_NS)
    assert causes == ["asked for by anna"] * 2


def test_a_cause_waits_until_a_version_could_score_something(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notes: list[str] = []
    tried: list[int] = []
    one, lead = pupil({}), round(config_of().training.lead_s * NS)
    one._progress = SimpleNamespace(note=notes.append)
    one.champion = Version(object(), 2, 10_000 + lead)  # type: ignore[arg-type]
    monkeypatch.setattr(Retraining, "_train", lambda _, newest, __: tried.append(newest))
    see(one, "m", 0, 9_000)
    one.turn(9_000)
    one.ask("anna")
    for newest in (9_000, 9_500, 9_999, 10_000, 10_001):
        one.turn(newest)
    assert tried == [10_000]
    assert [note.split(": ")[-1] for note in notes if note.startswith("waits until")] == [
        "asked for by anna"
    ]


@pytest.mark.parametrize(("share", "learned"), [(FRESH - 0.05, False), (FRESH + 0.05, True)])
def test_a_sensor_that_wakes_up_is_learned_once_it_is_no_rarity(
    share: float, learned: bool
) -> None:
    sensors = (SensorConfig(name="a"), SensorConfig(name="b"))
    spec = WindowSpec(sensors, HOP, WINDOW // HOP, 1, 0, (0,), 1000)
    config = config_of()
    buffer = Buffer(config.training, spec, REACH, Quarantine(WINDOW, 0, {}))
    knows = SimpleNamespace(known=np.array([True, False]))
    champion = Version(knows, 1, 0)
    one = Retraining(config, spec, Nobody(), champion, buffer, {})
    values = np.zeros((100, spec.length, 2), np.float32)
    values[round(100 * share) :, :, 1] = np.nan
    windows = Windows(np.full(100, "m", object), np.arange(100) * HOP, values, np.arange(100))
    found = one._without_fresh_sensors(windows).values
    assert np.isnan(found[:, :, 1]).all() is np.bool_(not learned)
    assert (found[:, :, 0] == 0).all()
    assert not np.isnan(values[0]).any()  # those that came are not ours
