"""When labels count, when a new normal is tried again, and what of them is forgotten."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest

from stream_ad.config import Config, SensorConfig, parse_config
from stream_ad.service.snapshots import Known
from stream_ad.training.buffer import Buffer
from stream_ad.training.labels import AGAIN_NS, ENOUGH
from stream_ad.training.quarantine import Quarantine
from stream_ad.training.retraining import Retraining
from stream_ad.versions import Version
from stream_ad.windows import Windows, WindowSpec
from tests.training.told import HOP, WINDOW, event, label

LONG = HOP * 200  # an incident
REACH = 20 * WINDOW
SPEC = WindowSpec((SensorConfig(name="a"),), HOP, WINDOW // HOP, 1, 0, (0,), 1000)


class Nobody:
    """Keeps nothing."""

    def promote(self, *_: Any) -> Version:
        raise AssertionError

    def refuse(self, _: Any) -> None:
        """Forget it."""


def config_of(**training: Any) -> Config:
    windows = {"sensors": ["a"], "period_s": 1, "length": 2}
    return parse_config({"windows": windows, "training": {"buffer_windows": 500} | training})


def pupil(record: dict[str, Any], **training: Any) -> Retraining:
    """Return one whose champion scores, and that has seen nothing yet."""
    config = config_of(**training)
    quarantine = Quarantine(WINDOW, 0, record.setdefault("quarantine", {}))
    buffer = Buffer(config.training, SPEC, REACH, quarantine)
    champion = Version(object(), 1, 0)  # type: ignore[arg-type]
    return Retraining(config, SPEC, Nobody(), champion, buffer, record)


def see(one: Retraining, machine: str, since: int, until: int) -> None:
    start = np.arange(since, until, HOP)
    values = np.zeros((len(start), SPEC.length, 1), np.float32)
    owner = np.full(len(start), machine, object)
    one.take(Windows(owner, start, values, np.full(len(start), -1)))


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """Refuse each training, and note it."""
    times: list[tuple[int, str]] = []

    def refuse(_: Retraining, newest: int, said: dict[str, Any]) -> None:
        times.append((newest, said["kind"]))

    monkeypatch.setattr(Retraining, "_train", refuse)
    return times


def odd(one: Retraining, name: int, machine: str, windows: int) -> None:
    """Let a machine be odd for so many windows, after which the incident goes on."""
    one.tell([event(name, machine, WINDOW, WINDOW)])
    see(one, machine, 0, WINDOW + windows * HOP + REACH)


def test_a_label_that_comes_after_a_refusal_is_tried_once_it_can_be_learned(
    tried: list[tuple[int, str]],
) -> None:
    one, now = pupil({}), 10_000
    one.turn(now)
    odd(one, 1, "m", 2 * ENOUGH)
    one.label([label(1, "m", WINDOW, None, now, new_normal="machine")])
    one.turn(now + 1)
    assert tried == [(now + 1, "new_normal")]
    odd(one, 2, "n", ENOUGH // 2)
    one.label([label(2, "n", WINDOW, None, now + 2, new_normal="machine")])
    one.turn(now + 3)  # with what there is of the first
    one.turn(now + 4)
    assert [at for at, _ in tried[1:]] == [now + 3]
    see(one, "n", WINDOW + ENOUGH // 2 * HOP + REACH, WINDOW + 2 * ENOUGH * HOP + REACH)
    one.turn(now + 5)
    assert [at for at, _ in tried[2:]] == [now + 5]
    for later in (6, 7, AGAIN_NS + 4):
        one.turn(now + later)
    assert len(tried) == 3
    one.turn(now + 5 + AGAIN_NS)
    assert len(tried) == 4


def test_the_same_word_said_once_more_is_tried_at_once(tried: list[tuple[int, str]]) -> None:
    one, now = pupil({}), 10_000
    one.turn(now)
    odd(one, 1, "m", 2 * ENOUGH)
    for at in (now + 1, now + 5):
        said = label(1, "m", WINDOW, None, at, new_normal="machine")
        for later in range(3):
            one.label([said])
            one.turn(at + later)
    assert [at for at, _ in tried] == [now + 1, now + 5]


def test_what_is_kept_of_incidents_and_labels_does_not_grow(tried: list[tuple[int, str]]) -> None:
    """A year of incidents, each labelled, and what is still held keeps what was said of it."""
    record: dict[str, Any] = {}
    one = pupil(record, half_life_s=LONG / 1e9, labelled_windows=50, buffer_windows=50)
    sizes = []
    for name in range(300):
        since, end = name * LONG, name * LONG + 40 * HOP
        one.tell([event(name, "m", since, since), event(name, "m", since, end, "closed")])
        new_normal: Any = ("no", "machine")[name % 2]
        if name % 3:
            one.label([label(name, "m", since, end, end + WINDOW, new_normal=new_normal)])
        now = since + LONG
        one.turn(now)
        see(one, "m", since, now)
        learned = {said[0] for said in record["heard"] if said[2] != "no"}
        record["confirmed"] = sorted({*record["confirmed"], *learned})
        words = one.buffer.standing(now)[1]
        Known(one.buffer, record).forget(now)
        np.testing.assert_array_equal(one.buffer.standing(now)[1], words)
        sizes.append(len(orjson.dumps({**record, "tried": []})))
    assert (words > 0).any()
    assert max(sizes[150:]) < 2 * max(sizes[:50])
    one.turn(now)  # labels that were forgotten are passed over at the next look
    assert len(one.labels) == len(record["heard"]) < 50
    said_before = len(tried)
    again = Retraining(config_of(), SPEC, Nobody(), one.champion, one.buffer, record)
    again.label([label(1, "m", LONG, LONG + 40 * HOP, LONG + 41 * HOP, new_normal="machine")])
    for said in one.labels._all.values():
        again.label([said])
    counted = record["triggers"]["labels"]
    again.turn(now + 1)
    assert record["triggers"]["labels"] == counted
    assert len(tried) == said_before


def test_of_a_new_normal_there_will_be_most_and_other_normal_windows_stay_odd() -> None:
    """One machine changed at 100, and went through a routine at 300; the other is as before."""
    one = pupil({})
    one.label(
        [
            label(1, "m", 100, None, 400, new_normal="machine"),
            label(2, "m", 300, 320, 400),
            label(3, "n", 300, 320, 400),
        ]
    )
    start, machine = np.array([50, 100, 300, 319, 320, 300]), np.array([*"mmmmmn"], object)
    windows = Windows(machine, start, np.zeros((6, SPEC.length, 1), np.float32), np.arange(6))
    y = np.array([1, 1, 1, 1, 1, 1])
    assert one.labels.rare(windows, y).tolist() == [1, 0, 1, 1, 0, 1]
    assert one.labels.rare(windows, np.array([0, -1, 0, 1, 1, -1])).tolist() == [0, -1, 0, 1, 0, -1]
    one.label([label(4, "n", 300, None, 400, new_normal="group")])
    assert one.labels.rare(windows, y).tolist() == [1, 0, 1, 1, 0, 1]
    one.label([label(4, "n", 40, None, 400, new_normal="group")])
    assert one.labels.rare(windows, y).tolist() == [0, 0, 1, 1, 0, 1]
