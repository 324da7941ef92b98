"""The streams benchmark: how recordings are read, how rows become means, and a quick run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from stream_ad.errors import InputError
from stream_ad.evaluation.baselines import fit_baseline
from stream_ad.evaluation.baselines.baseline import Baseline
from stream_ad.windows.spec import NS, parse_rfc3339
from tests.benchmarks import measuring, streams
from tests.benchmarks.measuring import DEFAULT, DETECTORS, OURS, Row, measure
from tests.benchmarks.recordings import FAMILIES, Recording, load
from tests.benchmarks.shrinking import STRESSED
from tests.benchmarks.streams_table import OVERALL, means

QUICK = [name for name in DETECTORS if not name.startswith("ae/")]  # one network is enough
ROOT = Path(__file__).resolve().parents[2]


def _write_skab(file: Path, level: float, rows: int = 3) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = ["datetime;Current;Flow;anomaly;changepoint"]
    lines += [f"2020-03-09 10:00:0{i};{level + i};0.5;{i % 2}.0;0.0" for i in range(rows)]
    file.write_text("\n".join(lines) + "\n")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return a folder with a few rows of each family, in the layout of the real ones."""
    for name in ("2.csv", "10.csv", "valve2/0.csv", "other/1.csv", "anomaly-free.csv"):
        _write_skab(tmp_path / "skab" / name, level=float(len(name)))
    (tmp_path / "smd").mkdir()
    np.savez(
        tmp_path / "smd" / "machine-1-1.npz",
        train=np.arange(10.0)[:, None],
        test=np.arange(100.0, 104)[:, None],
        test_label=np.array([0, 1, 1, 0]),
    )
    (tmp_path / "tep").mkdir()
    np.savez(
        tmp_path / "tep" / "tep.npz",
        d00=np.zeros((5, 52)),
        d00_te=np.full((5, 52), 1.0),
        d07=np.full((5, 52), 2.0),
        d07_te=np.full((200, 52), 7.0),
    )
    return tmp_path


def test_skab_takes_numbered_files_in_order_and_keeps_labels_out_of_the_sensors(
    small: Path,
) -> None:
    recordings = load("skab", small)
    assert [r.name for r in recordings] == ["valve1/2", "valve1/10", "valve2/0", "other/1"]
    first = recordings[0]
    assert first.sensors == ("Current", "Flow")
    assert first.values.tolist() == [[5, 0.5], [6, 0.5], [7, 0.5]]
    assert first.label.tolist() == [0, 1, 0]
    began = parse_rfc3339("2020-03-09T10:00:00Z")
    assert first.time.tolist() == [began, began + NS, began + 2 * NS]
    assert (first.history, first.hop, first.period_s) == (400, 1, 1)


def test_smd_test_rows_follow_the_last_training_rows(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.benchmarks.recordings.SERVER_HISTORY", 4)
    monkeypatch.setattr("tests.benchmarks.recordings.SERVER_TEST", 3)
    (recording,) = load("smd", small)
    assert recording.values[:, 0].tolist() == [6, 7, 8, 9, 100, 101, 102]
    assert recording.label.tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert set(np.diff(recording.time)) == {60 * NS}
    assert (recording.history, recording.hop) == (4, 4)


def test_tep_scores_faults_a_day_after_the_normal_run(small: Path) -> None:
    (recording,) = load("tep", small)
    assert recording.name == "d07"
    assert recording.history == 5
    assert set(recording.values[:5, 0]) == {0}
    assert set(recording.values[5:, 0]) == {7}
    assert np.flatnonzero(recording.label).tolist() == list(range(165, 205))
    assert recording.time[5] - recording.time[4] == (86_400 + 180) * NS


def test_a_family_without_streams_is_an_error_that_names_its_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no recorded streams of skab in .*skab"):
        load("skab", tmp_path)


def test_a_missing_folder_ends_the_command_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert streams.main(["--data", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().out.startswith("missed: no recorded streams of skab in ")


def test_batches_from_a_row_on_are_the_rest_of_the_recording(small: Path) -> None:
    recording = load("tep", small)[0]
    (batch,) = recording.batches(150)
    assert batch.position == 205
    assert batch.records.offset.tolist() == list(range(150, 205))
    assert np.array_equal(batch.records.values, recording.values[150:])


def test_shortening_keeps_the_end_of_the_history_and_the_start_of_the_test(small: Path) -> None:
    recording = load("tep", small)[0]
    short = recording.shortened(history=2, test=3)
    assert short.history == 2
    assert short.values[:, 0].tolist() == [0, 0, 7, 7, 7]
    assert short.time.tolist() == recording.time[3:8].tolist()


def test_a_fit_is_shared_only_where_the_training_part_is_the_same(small: Path) -> None:
    recording = load("tep", small)[0]
    values = recording.values.copy()
    values[-1] += 1
    assert _with_values(recording, values).training_digest() == recording.training_digest()
    values[0] += 1
    assert _with_values(recording, values).training_digest() != recording.training_digest()


def _with_values(
    r: Recording, values: np.ndarray[tuple[int, int], np.dtype[np.float32]]
) -> Recording:
    return Recording(
        r.family,
        r.name,
        r.machine,
        r.sensors,
        r.period_s,
        r.hop,
        r.history,
        r.time,
        values,
        r.label,
    )


def test_means_go_over_seeds_then_streams_then_families() -> None:
    def row(family: str, stream: str, seed: int, auc: float | None) -> Row:
        return Row(family, stream, DEFAULT, seed, {"auc_pr": auc})

    rows = [
        row("a", "1", 1, 0.2),
        row("a", "1", 2, 0.4),
        row("a", "2", 1, 0.7),
        row("a", "3", 1, None),
        Row("a", "4", DEFAULT, 1, {}, failure="it broke"),
        row("b", "1", 1, 1.0),
    ]
    table = means(rows)
    assert table["a", DEFAULT]["auc_pr"] == pytest.approx((0.3 + 0.7) / 2)
    assert table[OVERALL, DEFAULT]["auc_pr"] == pytest.approx((0.5 + 1.0) / 2)
    # seed 1 gives (.2 + .7) / 2 = .45, seed 2 gives .4: half their distance times sqrt 2
    assert table["a", DEFAULT]["auc_pr_seed_sd"] == pytest.approx(0.05 / np.sqrt(2))


def test_a_detector_that_breaks_is_one_failed_row_each_and_costs_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measuring, "fit_baseline", _without_pca)
    rows = measure([_waves()], seeds=[1], detectors=("pca", "knn"))
    assert [row.failure for row in rows] == ["ValueError: singular", None]
    assert rows[1].figures["auc_roc"] == 1.0


def _without_pca(name: str, *rest: Any) -> Baseline:
    if name == "pca":
        raise ValueError("singular")
    return fit_baseline(name, *rest)


def _waves() -> Recording:
    """Return a machine that hums until it stands 9 units higher.

    The step comes one row before the labels, since a row takes what was known before it.
    """
    slot = np.arange(400)
    noise = np.random.default_rng(5).normal(scale=0.1, size=(400, 2))
    values = (noise + 9 * (slot >= 299)[:, None]).astype(np.float32)
    label = (slot >= 300).astype(np.float64)
    return Recording("waves", "1", "m", ("a", "b"), 1, 1, 200, slot * NS, values, label)


@pytest.fixture(scope="module")
def quick(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the command on one stream of each family, as a user does."""
    out = tmp_path_factory.mktemp("streams")
    files = ["--json", str(out / "figures.json"), "--markdown", str(out / "page.md")]
    command = [sys.executable, "-m", "tests.benchmarks.streams", "--data", str(real_data)]
    command += ["--detectors", ",".join(QUICK)]
    done = subprocess.run(
        [*command, "--quick", *files], cwd=ROOT, capture_output=True, text=True, check=False
    )
    (out / "printed").write_text(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_every_row_of_the_real_streams_runs(quick: Path) -> None:
    record = orjson.loads((quick / "figures.json").read_bytes())
    assert (quick / "printed").read_text().splitlines()[-1] == "held"
    assert record["figures"]["failed_rows"] == 0
    shrunk = len(STRESSED) * len(set(OURS) & set(QUICK))
    assert record["figures"]["rows"] == len(FAMILIES) * len(QUICK) + shrunk
    for family in FAMILIES:
        for detector in QUICK:
            assert record["figures"][f"{family}.{detector}.fit_s"] > 0
            assert 0 <= record["figures"][f"{family}.{detector}.false_alarm_rows"] <= 1


def test_scores_rank_the_anomalies_of_a_plant_above_its_normal_rows(quick: Path) -> None:
    figures = orjson.loads((quick / "figures.json").read_bytes())["figures"]
    for detector in set(OURS) & set(QUICK):
        assert figures[f"tep.{detector}.auc_roc"] > 0.95  # fault 1: a step that everything finds


def test_targets_stand_beside_what_the_default_detector_reached(quick: Path) -> None:
    record = orjson.loads((quick / "figures.json").read_bytes())
    assert record["targets"] == {
        "mean_auc_pr": 0.79,
        "mean_f1": 0.73,
        "worst_false_alarm_rows": 0.085,
        **{f"{family}.below_best_baseline": 0.01 for family in FAMILIES},
        "tep_shrunk.f1_below_static": 0.08,
        "oil_3w_shrunk.f1_below_static": 0.08,
        "failed_rows": 0,
    }
    figures = record["figures"]
    assert figures["mean_f1"] == figures["mean_over_families.default.f1"]
    false = [figures[f"{family}.default.false_alarm_rows"] for family in FAMILIES]
    assert figures["worst_false_alarm_rows"] == max(false)


@pytest.mark.parametrize(
    "words",
    [
        *(["--streams", "2"], ["--seeds", "2"], ["--leave-out", "tep"]),
        *(["--families", "skab"], ["--detectors", "default,pca"]),
    ],
)
def test_only_a_whole_run_has_targets(words: list[str]) -> None:
    assert streams._arguments([]).whole
    assert not streams._arguments(words).whole


def test_a_choice_needs_a_family_besides_the_one_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        streams.main(["--families", "tep", "--leave-out", "tep"])
    assert "--leave-out tep leaves no family to choose by" in capsys.readouterr().err


def test_choosing_never_sees_the_reported_seeds() -> None:
    assert not set(streams.SEEDS) & set(streams.CHOOSING_SEEDS)


def test_a_line_that_nothing_moves_is_the_static_one(quick: Path) -> None:
    """On baselines, whose line is never moved."""
    figures = orjson.loads((quick / "figures.json").read_bytes())["figures"]
    for family in FAMILIES:
        key = f"{family}.pca."
        assert figures[key + "static_false_alarm_rows"] == figures[key + "false_alarm_rows"]


def test_the_page_says_how_it_was_made(quick: Path) -> None:
    page = (quick / "page.md").read_text()
    assert "--streams 1 --seeds 1 --quick" in page
    assert f"seeds: {streams.SEEDS[0]}," in page
    assert "budget_per_machine_day: 1.0" in page
    assert all(f"### {family}: mean over 1 streams" in page for family in FAMILIES)
