"""The benchmark of choices without labels: what is counted, what is seen, and a quick run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from stream_ad.detector import Detector
from stream_ad.training.comparison import Comparison, Heard, Judged
from stream_ad.windows.spec import NS
from tests.benchmarks import choosing, choosing_trials
from tests.benchmarks.choosing_tables import ALL, counts, members_grid, qualities
from tests.benchmarks.choosing_trials import DEFAULT, Trial, Worth, trials
from tests.benchmarks.measuring import measure
from tests.benchmarks.recordings import FAMILIES, Recording
from tests.benchmarks.streams_table import OVERALL

LINEAR = ("linear", "error"), ("linear", "ares"), ("linear", "joined")
ERROR, ARES, JOINED = (" + ".join(member) for member in LINEAR)


def compared(**auc: float) -> Comparison:
    """Return a comparison of scorers of `linear` that all kept their lines."""
    return Comparison(
        tuple(
            Judged("linear", scorer, 0.0, 0.01, 0.02, (Heard("spike", 3, 1, 0.5, value),))
            for scorer, value in auc.items()
        ),
        windows=40,
    )


def trial(family: str, auc: Mapping[str, float], worth: Mapping[str, tuple[float, float]]) -> Trial:
    by_name = {f"linear + {scorer}": Worth(*pair) for scorer, pair in worth.items()}
    return Trial(family, "1", family, 1, compared(**auc), by_name, seconds=0.0)


A = trial(
    "a",
    {"error": 0.9, "ares": 0.6, "joined": 0.7},
    {"error": (0.48, 0.1), "ares": (0.2, 0.4), "joined": (0.52, 0.7)},
)
B = trial(
    "b",
    {"error": 0.5, "ares": 0.6, "joined": 0.7},
    {"error": (0.1, 0.0), "ares": (0.3, 0.6), "joined": (0.8, 0.3)},
)


def test_a_choice_is_held_against_the_best_the_default_and_a_draw() -> None:
    assert DEFAULT == JOINED
    a, b, both = (qualities([A, B])[section] for section in ("a", "b", OVERALL))
    assert (A.taken, B.taken) == (ERROR, JOINED)
    assert (a["best"], a["within_01"], a["within_05"]) == (0, 0, 1)
    assert (b["best"], b["within_01"], b["within_05"]) == (1, 1, 1)
    assert [a[f"auc_pr_{of}"] for of in ("taken", "best", "default", "random")] == pytest.approx(
        [0.48, 0.52, 0.52, 0.4]
    )
    assert [b[f"f1_{of}"] for of in ("taken", "best", "default", "random")] == pytest.approx(
        [0.3, 0.6, 0.3, 0.3]
    )
    # ranks of a: error 3 2, ares 1 1, joined 2 3: 1 - 6 (1 + 0 + 1) / (3 * 8)
    assert a["rank_correlation"] == pytest.approx(0.5)
    assert b["rank_correlation"] == pytest.approx(1)
    assert both["auc_pr_taken"] == pytest.approx((0.48 + 0.8) / 2)
    assert (both["best"], both["choices"]) == (0.5, 2)


def test_families_weigh_the_same_and_streams_too_where_all_are_taken() -> None:
    second = replace(B, stream="2")
    table = qualities([A, B, second])
    assert table[OVERALL]["best"] == 1 / 2
    assert table[ALL]["best"] == 2 / 3
    assert table["b"]["choices"] == 1  # of two streams that share a history


def test_who_cannot_compare_keeps_the_default() -> None:
    short = replace(A, compared=None)
    assert short.taken == DEFAULT
    assert qualities([short])["a"]["choices"] == 0
    assert qualities([short])["a"]["best"] == 1
    assert "rank_correlation" not in qualities([short])["a"]


def test_members_are_counted_as_taken_and_as_the_best() -> None:
    grid = counts([A, B, replace(B, failure="broken", worth={})], [ERROR, ARES, JOINED])
    assert grid.rows == [
        [ERROR, "1 / 0", "0 / 0", "1 / 0"],
        [ARES, "0 / 0", "0 / 0", "0 / 0"],
        [JOINED, "0 / 1", "1 / 1", "1 / 2"],
    ]
    (row,) = members_grid([A, B], [ERROR]).rows
    assert row == [
        ERROR, "0.900 / 0.480 / 0.100", "0.500 / 0.100 / 0.000", "0.700 / 0.290 / 0.050"
    ]  # fmt: skip


def noisy() -> Recording:
    """Return a machine whose noise grows for a while after its history."""
    slot, rng = np.arange(900), np.random.default_rng(3)
    label = ((slot >= 700) & (slot < 760)).astype(np.float64)
    values = rng.normal(size=(900, 2)) * (1 + label)[:, None]
    return Recording(
        "noise", "1", "m", ("a", "b"), 1, 4, 500, slot * NS, values.astype(np.float32), label
    )


def test_members_are_judged_as_the_benchmark_of_streams_judges_them() -> None:
    recording = noisy()
    (found,) = trials([recording], 7, LINEAR)
    assert found.failure is None
    assert list(found.worth) == [ERROR, ARES, JOINED]
    for name, detector in ((ERROR, "linear/error"), (ARES, "linear/ares"), (JOINED, "default")):
        (row,) = measure([recording], [7], [detector])
        assert row.failure is None
        assert found.worth[name] == (row.figures["auc_pr"], row.figures["f1"])


def test_a_choice_sees_neither_labels_nor_what_comes_after_the_history() -> None:
    recording = noisy()
    values = recording.values.copy()
    values[recording.history :] *= 3
    other = replace(recording, name="2", values=values, label=1 - recording.label)
    first, second = trials([recording, other], 7, LINEAR)
    (alone,) = trials([other], 7, LINEAR)
    assert first.compared == second.compared == alone.compared
    assert first.history == second.history
    assert second.worth == alone.worth != first.worth


def test_a_short_history_is_no_failure_and_a_broken_one_costs_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recording = noisy()
    short = replace(recording, history=160)  # 37 windows: a quarter are fewer than ten
    (found,) = trials([short], 7, LINEAR)
    assert (found.compared, found.failure) == (None, None)
    assert found.worth.keys() == {ERROR, ARES, JOINED}

    def broken(*_: Any) -> Detector:
        raise ValueError("it broke")

    monkeypatch.setattr(choosing_trials, "train", broken)
    (failed,) = trials([recording], 7, LINEAR)
    assert failed.failure == "ValueError: it broke"
    assert qualities([failed]) == {}


def test_the_command_runs_on_a_stream_of_each_family(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    assert choosing.main(["--data", str(real_data), "--quick", "--json", str(file)]) == 0
    assert capsys.readouterr().out.endswith("held\n")
    record = orjson.loads(file.read_bytes())
    figures = record["figures"]
    assert record["targets"] == {"failed_trials": 0}
    assert (figures["streams"], figures["members"]) == (len(FAMILIES), len(LINEAR))
    for section in (*FAMILIES, "mean_over_families", "all_streams"):
        taken, best = figures[f"{section}.auc_pr_taken"], figures[f"{section}.auc_pr_best"]
        assert 0 < taken <= best <= 1
        assert figures[f"{section}.auc_pr_random"] <= best


def test_no_recorded_stream_ends_the_command_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert choosing.main(["--data", str(tmp_path)]) == 1
    assert capsys.readouterr().out.startswith("missed: no recorded streams of skab in ")
