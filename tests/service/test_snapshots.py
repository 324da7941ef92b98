"""A snapshot comes back whole, or not at all; and a record learns what was decided since."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream_ad.config import Config, parse_config
from stream_ad.errors import OutputError, StateError
from stream_ad.groups import Groups
from stream_ad.service import snapshots
from stream_ad.service.snapshots import Known, Snapshots, caught_up
from stream_ad.training.promotions import Promotion, Refusal
from stream_ad.windows import Windows, WindowSpec
from stream_ad.windows.spec import NS, rfc3339

INTAKE = {"newest": 7, "positions": {"plant": {"0": 5}}}


def config_of(folder: Path, **sections: Any) -> Config:
    tree = {
        "windows": {"sensors": ["a"], "period_s": 1, "length": 2},
        "registry": {"uri": str(folder)},
        "kafka": {"group_id": "line/4"},
    }
    return parse_config(tree | sections)


def snapshots_of(config: Config) -> Snapshots:
    return Snapshots(config, WindowSpec.from_config(config.windows), Groups(config))


def filled(here: Snapshots, windows: int) -> dict[str, Known]:
    known = here.fresh()
    for one in known.values():
        start = np.arange(windows) * 2 * NS
        values = np.zeros((windows, 2, 1), np.float32)
        owner = np.full(windows, "m", object)
        one.buffer.take(Windows(owner, start, values, np.full(windows, -1)))
        one.record["tried"] = [windows]
    return known


def test_what_was_saved_last_comes_back(tmp_path: Path) -> None:
    here = snapshots_of(config_of(tmp_path))
    here.save(filled(here, 20), {"newest": 1})
    here.save(filled(here, 50), INTAKE)
    known, intake = snapshots_of(config_of(tmp_path)).load()
    assert intake == INTAKE
    assert known["default"].record["tried"] == [50]
    wanted = filled(here, 50)["default"].buffer
    assert known["default"].buffer.taken == wanted.taken > 0
    found, expected = (one.training_set(100 * NS) for one in (known["default"].buffer, wanted))
    np.testing.assert_array_equal(found.windows.start, expected.windows.start)


def test_its_quarantine_goes_on_with_the_record(tmp_path: Path) -> None:
    here = snapshots_of(config_of(tmp_path))
    known = filled(here, 20)
    known["default"].record["quarantine"]["0" * 16] = {
        "machine": "m", "since": 0, "end": None, "told": 0, "label": None,
    }  # fmt: skip
    here.save(known, INTAKE)
    loaded = here.load()[0]["default"]
    assert loaded.buffer.quarantine.record is loaded.record["quarantine"]
    assert "m" in loaded.buffer.quarantine


def test_of_closed_incidents_only_those_are_saved_that_windows_may_lie_in(tmp_path: Path) -> None:
    here = snapshots_of(config_of(tmp_path, training={"quarantine_s": 100}))
    known = filled(here, 90_000)
    record = known["default"].record["quarantine"]
    for number in range(2_000):
        since = number * 90 * NS
        record[f"{number:016x}"] = {
            "machine": "m", "since": since, "end": since + 20 * NS, "told": since, "label": None,
        }  # fmt: skip
    label = {"word": "normal", "new_normal": "no", "at": 50 * NS}
    record[f"{0:016x}"]["label"] = label  # a window of it is held
    here.save(known, INTAKE | {"newest": 180_000 * NS})
    left = here.load()[0]["default"].record["quarantine"]
    assert left[f"{0:016x}"]["label"] == label
    assert f"{1_999:016x}" in left
    assert len(left) < 50


def test_only_the_last_one_stays_on_disk(tmp_path: Path) -> None:
    here = snapshots_of(config_of(tmp_path))
    for windows in (10, 20, 30):
        here.save(filled(here, windows), INTAKE)
    assert sorted(path.name for path in here.folder.iterdir()) == ["3", "current"]


def test_one_that_was_cut_off_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = snapshots_of(config_of(tmp_path, groups={"b": {"match": ["b*"]}}))
    here.save(filled(here, 20), INTAKE)
    for cut in ("save", "put"):
        with monkeypatch.context() as patch:
            real = getattr(snapshots, cut)
            left = [real, None] if cut == "save" else [None]

            def fail(*arguments: Any, left: list[Any] = left) -> None:
                step = left.pop(0)
                if step is None:
                    raise OutputError("the disk is full")
                step(*arguments)

            patch.setattr(snapshots, cut, fail)
            with pytest.raises(OutputError):
                here.save(filled(here, 90), {"newest": 8})
        known, intake = here.load()
        assert intake == INTAKE
        assert {one.record["tried"][0] for one in known.values()} == {20}
    here.save(filled(here, 90), {"newest": 8})
    assert len([path for path in here.folder.iterdir() if path.is_dir()]) == 1


def test_what_is_damaged_or_of_other_settings_is_refused(tmp_path: Path) -> None:
    here = snapshots_of(config_of(tmp_path))
    with pytest.raises(StateError, match="nothing was saved"):
        here.load()
    here.save(filled(here, 20), INTAKE)
    grouped = config_of(tmp_path, groups={"b": {"match": ["b*"]}})
    longer = config_of(tmp_path, windows={"sensors": ["a"], "period_s": 1, "length": 4})
    for other in (grouped, longer):
        with pytest.raises(StateError):
            snapshots_of(other).load()
    current = here.folder / "current"
    for broken in (b"", b"7/../..", b"\xff", b"99"):
        whole = current.read_bytes()
        current.write_bytes(broken)
        with pytest.raises(StateError):
            here.load()
        current.write_bytes(whole)
    shutil.rmtree(here.folder / "1" / "default")
    with pytest.raises(StateError):
        here.load()


def test_services_do_not_share_one(tmp_path: Path) -> None:
    here = snapshots_of(config_of(tmp_path))
    here.save(filled(here, 20), INTAKE)
    assert here.folder == tmp_path / ".trainer" / "line%2F4"
    other = snapshots_of(config_of(tmp_path, kafka={"group_id": "line-5"}))
    with pytest.raises(StateError, match="nothing was saved"):
        other.load()


def test_a_registry_elsewhere_has_its_snapshots_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    config = config_of(tmp_path, registry={"uri": "memory://models"})
    here = snapshots_of(config)
    here.save(filled(here, 20), INTAKE)
    assert here.folder.is_relative_to(tmp_path)
    assert here.load()[1] == INTAKE


# ------------------------------------------------------------ what was decided since


def promotion(number: int, at: int, moved: dict[str, Any] | None = None) -> Promotion:
    figures = {"at": rfc3339(at * NS)} | ({"gate": {"moved": moved}} if moved else {})
    return Promotion(number, "default", number, 0, "", "", 1, "", figures=figures)


def record(last: int | None, windows: int) -> dict[str, Any]:
    return {"triggers": {"last": None if last is None else last * NS, "windows": windows}}


def test_a_training_that_a_snapshot_does_not_know_is_not_made_again() -> None:
    config = parse_config({"training": {"every_windows": 100}})
    found = caught_up(record(50, 130), [promotion(1, 40), promotion(2, 60, {"at": 60})], config)
    assert found["triggers"]["last"] == 60 * NS
    assert found["triggers"]["windows"] == 30  # what was beyond is counted on
    assert found["moved"] == {"at": 60}


def test_a_refusal_is_a_training_as_well_and_moves_nothing() -> None:
    figures = {"at": rfc3339(60 * NS), "gate": {"moved": {"at": 60}}}
    refusal = Refusal(1, 1, "default", "no", "", figures=figures)
    found = caught_up(record(50, 10) | {"moved": {"at": 50}}, [refusal], Config())
    assert found["triggers"]["last"] == 60 * NS
    assert found["moved"] == {"at": 50}


def test_what_a_snapshot_knows_already_changes_nothing() -> None:
    known = record(60, 10) | {"moved": {"at": 60}}
    found = caught_up(dict(known), [promotion(1, 60, {"at": 1})], Config())
    assert found["triggers"]["windows"] == 10
    assert found["moved"] == {"at": 60}


def test_a_rollback_goes_back_to_how_far_machines_had_moved_by_then() -> None:
    first = Promotion(1, "default", 1, 0, "by hand", "", 1, "")
    made = [first, promotion(2, 40, {"at": 40}), promotion(3, 60, {"at": 60})]
    back = [Promotion(4, "default", version, 0, "back", "", 1, "") for version in (2, 1)]
    for by_hand, moved in zip(back, ({"at": 40}, None), strict=True):
        known = record(60, 10) | {"moved": {"at": 60}}
        found = caught_up(known, [*made, by_hand], Config())
        assert found["triggers"]["windows"] == 10
        assert found["moved"] == moved
        after = [*made, by_hand, promotion(5, 80, {"at": 80})]
        assert caught_up(known, after, Config())["moved"] == {"at": 80}


def test_a_new_normal_that_was_learned_is_not_learned_once_more() -> None:
    """Whoever dies between the promotion and the snapshot has forgotten that it was."""
    learned = promotion(2, 60, {"at": 60})
    learned.figures.update({"confirmed": ["incident-2"], "known": [7, 8, 9]})
    found = caught_up(record(50, 10) | {"confirmed": ["incident-1"]}, [learned], Config())
    assert found["confirmed"] == ["incident-1", "incident-2"]
    assert found["known"] == [7, 8, 9]


def test_without_a_snapshot_the_decisions_are_what_is_known() -> None:
    found = caught_up({}, [promotion(1, 40, {"at": 40}), promotion(2, 60, {"at": 60})], Config())
    assert found["triggers"]["last"] == 60 * NS
    assert found["moved"] == {"at": 60}
