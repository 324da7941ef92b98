"""What is promoted is loaded beside the loop, in order; what cannot be leaves what scored."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stream_ad.config import Config, parse_config
from stream_ad.errors import ArtifactCorrupt, ArtifactMismatch, ModelError, RegistryError
from stream_ad.records import ModelRecord
from stream_ad.service import loader as module
from stream_ad.service.loader import Loader
from stream_ad.service.logs import get
from stream_ad.service.metrics import Metrics
from stream_ad.service.promoted import TRIES, Promoted
from stream_ad.training.promotions import Promotion
from stream_ad.transport.kafka import clients
from stream_ad.versions import Version
from stream_ad.windows import WindowSpec
from tests.kafka_cluster.waiting import until
from tests.service.clock import Clock
from tests.service.running import said

CANNOT = "a promoted detector cannot be loaded: what scored goes on"
CONFIG: Config = parse_config(
    {
        "kafka": {"bootstrap_servers": "127.0.0.1:1", "retry_backoff_s": 1},
        "windows": {"sensors": ["a", "b"], "period_s": 1, "length": 4},
    }
)
SPEC = WindowSpec.from_config(CONFIG.windows)


class Judge:
    """A detector that notes the shapes it is asked about, or fails."""

    def __init__(self, fails: bool = False) -> None:
        self.asked: list[tuple[int, ...]] = []
        self._fails = fails

    def score(self, values: Any, start: Any, machine: object = None) -> object:
        self.asked.append(values.shape)
        if self._fails:
            raise ModelError("no finite number")
        return SimpleNamespace(raw=np.zeros(len(values)))


class Shelf:
    """A registry of promotions in memory; what ``bad`` says of a number is raised."""

    where = "models"

    def __init__(self, *since: int) -> None:
        self.made = [promotion(number, time) for number, time in enumerate(since, 1)]
        self.bad: dict[int, Exception] = {}
        self.judges: dict[int, Judge] = {}
        self.asked: list[int] = []

    def promotions(self, group: str) -> list[Promotion]:
        assert group == "default"
        return self.made

    def announced(self, record: ModelRecord) -> Promotion:
        found = self.made[record.promotion - 1]
        if found.record() != record:
            raise ArtifactMismatch("from another registry")
        return found

    def version(self, one: Promotion, spec: WindowSpec, config: Config) -> Version:
        self.asked.append(one.number)
        if (error := self.bad.get(one.number)) is not None:
            raise error
        judge: Any = self.judges.setdefault(one.number, Judge())
        return Version(judge, one.version, one.effective_from, promotion=one.number)


def promotion(number: int, since: int) -> Promotion:
    digest = f"{number:064x}"
    return Promotion(number, "default", number + 10, since, "why", digest, 11, "2024-01-01")


class Loading:
    """The promotions of one group in a registry, with a clock to set."""

    def __init__(self, shelf: Shelf, newest: int = 1) -> None:
        self.shelf, self.clock = shelf, Clock()
        self.came: deque[Version] = deque()
        self.failed = 0
        registry: Any = shelf
        self.promoted = Promoted(
            "default", newest, registry, SPEC, CONFIG, self.came.append, get(), self.clock
        )

    def hear(self, *numbers: int) -> list[int]:
        """Announce promotions, load, and return which came."""
        for number in numbers:
            self.promoted.hear(self.shelf.made[number - 1].record())
        return self.load()

    def load(self) -> list[int]:
        self.failed += self.promoted.load()
        found = [version.promotion for version in self.came]
        self.came.clear()
        return found


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "stream_ad")


def test_what_is_announced_is_loaded_once_and_tried_on_a_window() -> None:
    shelf = Shelf(10, 20, 30)
    loading = Loading(shelf)
    assert loading.hear(2, 3) == [2, 3]
    assert loading.load() == []
    assert loading.hear(3, 2, 1) == []  # told again
    assert shelf.asked == [2, 3]
    assert [judge.asked for judge in shelf.judges.values()] == [[(1, 4, 2)], [(1, 4, 2)]]
    assert not len(loading.promoted)


def test_promotions_come_in_order_though_one_was_never_announced() -> None:
    assert Loading(Shelf(10, 20, 30, 40)).hear(4) == [2, 3, 4]


def test_what_was_promoted_and_not_announced_yet_is_left_alone() -> None:
    assert Loading(Shelf(10, 20, 30)).hear(2) == [2]


def test_what_a_later_one_replaces_is_not_loaded() -> None:
    """Promotion 4 takes back 3, and with it 2."""
    shelf = Shelf(10, 20, 30, 20)
    assert Loading(shelf).hear(2, 3, 4) == [4]
    assert shelf.asked == [4]


def test_a_bad_artifact_leaves_what_scored_and_is_tried_again_with_growing_pauses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shelf = Shelf(10, 20)
    shelf.bad[2] = ArtifactCorrupt("weights.safetensors is damaged")
    loading = Loading(shelf)
    assert loading.hear(2) == []
    times = [loading.clock()]
    while len(times) < 5:
        loading.clock.now += 0.25
        if loading.load() == [] and len(shelf.asked) > len(times):
            times.append(loading.clock())
    assert np.diff(times).tolist() == [1, 2, 4, 8]
    assert (loading.failed, len(loading.promoted)) == (5, 1)
    (line,) = said(caplog, CANNOT)
    assert (line["promotions"], line["reason"]) == ([2], "weights.safetensors is damaged")
    del shelf.bad[2]
    loading.clock.now += 16
    assert loading.load() == [2]
    assert not len(loading.promoted)


def test_another_cause_is_told_as_well(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf(10, 20)
    loading = Loading(shelf)
    for error in (RegistryError("s3: no answer"), OSError(5, "broken"), ZeroDivisionError()):
        shelf.bad[2] = error
        loading.clock.now += 30
        assert loading.hear(2) == []
    reasons = [line["reason"] for line in said(caplog, CANNOT)]
    assert reasons == ["s3: no answer", "[Errno 5] broken", "ZeroDivisionError"]


def test_a_detector_that_cannot_score_is_not_handed_over() -> None:
    shelf = Shelf(10, 20)
    shelf.judges[2] = Judge(fails=True)
    loading = Loading(shelf)
    assert loading.hear(2) == []
    assert loading.failed == 1


def test_a_rollback_of_a_bad_one_comes_at_once() -> None:
    """However long the pause before the next try of the bad one would be."""
    shelf = Shelf(10, 20)
    shelf.bad[2] = ArtifactCorrupt("damaged")
    loading = Loading(shelf)
    assert loading.hear(2) == []
    shelf.made.append(promotion(3, 20))
    assert loading.hear(3) == [3]


def test_a_bad_one_is_passed_over_for_a_later_one_after_some_tries(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shelf = Shelf(10, 20, 30)
    shelf.bad[2] = ArtifactCorrupt("damaged")
    loading = Loading(shelf)
    came = loading.hear(2, 3)
    for _ in range(TRIES - 1):
        assert came == []
        loading.clock.now += 60
        came = loading.load()
    assert came == [3]
    (line,) = said(caplog, "a promotion is passed over for a later one")
    assert line["promotion"] == 2
    del shelf.bad[2]
    loading.clock.now += 60
    assert loading.load() == []  # it would come after what replaced it


def test_one_that_cannot_be_reached_is_waited_for_and_not_passed_over() -> None:
    shelf = Shelf(10, 20, 30)
    shelf.bad[2] = RegistryError("no answer")
    loading = Loading(shelf)
    for _ in range(2 * TRIES):
        assert loading.hear(2, 3) == []
        loading.clock.now += 60
    del shelf.bad[2]
    assert loading.load() == [2, 3]


def test_what_the_registry_does_not_show_yet_is_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shelf = Shelf(10, 20, 30)
    loading = Loading(shelf)
    for one in shelf.made[1:]:
        loading.promoted.hear(one.record())
    del shelf.made[1:]
    assert loading.load() == []
    (line,) = said(caplog, CANNOT)
    assert "promotion 2 was announced and is not in models" in line["reason"]
    shelf.made += [promotion(2, 20), promotion(3, 30)]
    loading.clock.now += 1
    assert loading.load() == [2, 3]


def test_an_announcement_of_another_digest_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf(10, 20)
    loading = Loading(shelf)
    other = shelf.made[1].record().model_copy(update={"card_sha256": "f" * 64})
    loading.promoted.hear(other)
    assert loading.load() == []
    assert shelf.asked == []
    assert said(caplog, CANNOT)[0]["reason"] == "from another registry"


def test_what_counts_somewhere_already_is_loaded_unannounced() -> None:
    loading = Loading(Shelf(10, 20, 30))
    loading.promoted.expect(3)
    assert loading.load() == [2, 3]


def test_what_counts_and_is_not_in_the_registry_is_named(caplog: pytest.LogCaptureFixture) -> None:
    loading = Loading(Shelf(10))
    loading.promoted.expect(57)
    assert loading.load() == []
    (line,) = said(caplog, CANNOT)
    assert line["promotions"] == [57]
    assert "promotion 57 counts already and is not in models: if that is another" in line["reason"]


# ------------------------------------------------------------------ the thread


class Following:
    """A running loader of one registry."""

    def __init__(self, shelf: Shelf) -> None:
        self.metrics = Metrics()
        registry: Any = shelf
        self.loader = Loader(CONFIG, SPEC, registry, {"default": 1}, get(), self.metrics)
        self.loader.start()
        self.came: list[int] = []

    def has_come(self, *numbers: int) -> bool:
        def has_come() -> bool:
            self.came += [version.promotion for version in self.loader.take()]
            return self.came == [*numbers]

        return until(has_come, 10)

    def shows(self, name: str, value: float) -> bool:
        read = self.metrics.registry.get_sample_value
        return until(lambda: read(f"stream_ad_model_{name}") == value, 10)


@pytest.fixture
def follow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Following]]:
    """Run a loader on a models topic in memory: ``follow(shelf, [announcements], ...)``."""
    running: list[Following] = []

    def follow(shelf: Shelf, *polls: list[ModelRecord]) -> Following:
        def followed(_: object, ended: Callable[[], bool], __: object) -> Iterator[Any]:
            yield from polls
            while not ended():
                time.sleep(0.01)
                yield []

        monkeypatch.setattr(module, "followed", followed)
        running.append(Following(shelf))
        return running[-1]

    yield follow
    for one in running:
        one.loader.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "loader"]


def test_versions_pass_from_the_thread_whole_and_in_order(
    follow: Callable[..., Following],
) -> None:
    shelf = Shelf(*range(1, 202))
    following = follow(shelf, *([one.record()] for one in shelf.made))
    assert following.has_come(*range(2, 202))
    assert following.shows("promotions_waiting", 0)


def test_announcements_of_other_groups_are_none_of_ours(follow: Callable[..., Following]) -> None:
    shelf = Shelf(10, 20, 30)
    other = shelf.made[1].record().model_copy(update={"machine_group": "presses"})
    following = follow(shelf, [other], [shelf.made[2].record()])
    assert following.has_come(2, 3)  # the second one because of the third


def test_what_cannot_be_loaded_shows(follow: Callable[..., Following]) -> None:
    shelf = Shelf(10, 20)
    shelf.bad[2] = ArtifactCorrupt("damaged")
    following = follow(shelf, [shelf.made[1].record()])
    assert following.shows("promotions_waiting", 1)
    assert following.shows("load_failures_total", 1)


def test_brokers_that_are_away_are_told_of_once_and_an_end_is_heard(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(clients, "TRY_MS", 200)
    registry: Any = Shelf(10)
    loader = Loader(CONFIG, SPEC, registry, {"default": 1}, get(), Metrics())
    loader.start()

    def lines() -> list[str]:
        rows = [str(record.msg) for record in caplog.records if record.name == "stream_ad"]
        return [line for line in rows if "127.0.0.1:1" in line]

    assert until(lambda: bool(lines()), 10)
    loader.close()
    assert len(lines()) == 1
    assert not [one for one in threading.enumerate() if one.name == "loader"]
