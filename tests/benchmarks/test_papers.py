"""The papers benchmark: splits, targets, and a command that goes on where it was stopped."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from torch import Tensor

from stream_ad.detector.models import MODELS
from stream_ad.detector.models.ae import Ae
from stream_ad.errors import InputError
from tests.benchmarks import papers, papers_digest, papers_runs
from tests.benchmarks.papers_digest import digest
from tests.benchmarks.papers_ledger import Ledger
from tests.benchmarks.papers_peers import PEERS
from tests.benchmarks.papers_plan import QUICK_SET, SEEDS, full, quick, standard
from tests.benchmarks.papers_runs import Job, run, settings_of
from tests.benchmarks.papers_tasks import AS_IT_COMES, CLEAN, MORE, SEVEN, table_task
from tests.detector.streams import few_steps

NORMAL, ODD = 200, 40
SECONDS = ("fit_s", "fit_wall_s", "score_s", "minutes")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder with one table: rows numbered in the first column, anomalies far away."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(NORMAL + ODD, 4))
    y = (np.arange(NORMAL + ODD) >= NORMAL).astype(np.int64)
    x[:, 1:] += 5 * y[:, None]
    x[:, 0] = np.arange(len(x))
    (tmp_path / "tabular_more").mkdir()
    np.savez(tmp_path / "tabular_more" / f"{QUICK_SET}.npz", X=x, y=y)
    return tmp_path


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    few_steps(monkeypatch)


def table(data: Path) -> Path:
    return data / "tabular_more" / f"{QUICK_SET}.npz"


def numbers(rows: np.ndarray[Any, np.dtype[np.float32]]) -> set[int]:
    return set(rows[:, 0].astype(int))


# --- splits


def test_a_split_is_60_to_40_of_both_classes_and_takes_every_row_once(data: Path) -> None:
    task = table_task(table(data), AS_IT_COMES, seed=3)
    train, test = numbers(task.train), numbers(task.test)
    assert (len(task.train), len(task.test)) == (120 + 24, 80 + 16)
    assert not train & test
    assert train | test == set(range(NORMAL + ODD))
    assert (task.anomalous == (task.test[:, 0] >= NORMAL)).all()
    assert sum(row >= NORMAL for row in train) == 24


@pytest.mark.parametrize(("training", "hidden"), [(CLEAN, 0), ("10 %", 13), (AS_IT_COMES, 23)])
def test_contamination_is_what_its_name_says_besides_the_labels(
    data: Path, training: str, hidden: int
) -> None:
    task = table_task(table(data), training, seed=3, labels=True)
    unlabelled, labelled = numbers(task.train), numbers(task.labelled)
    assert sum(row >= NORMAL for row in unlabelled) == hidden
    assert len(labelled) == 1  # 1 % of 120
    assert min(labelled) >= NORMAL
    assert not labelled & (unlabelled | numbers(task.test))


def test_the_judged_rows_are_the_same_for_all_and_other_seeds_split_otherwise(data: Path) -> None:
    tests = [
        numbers(table_task(table(data), training, seed=3, labels=labels).test)
        for training in (CLEAN, AS_IT_COMES, "5 %")
        for labels in (False, True)
    ]
    assert all(test == tests[0] for test in tests)
    assert numbers(table_task(table(data), CLEAN, seed=4).test) != tests[0]
    order = table_task(table(data), CLEAN, seed=3).train[:, 0]
    assert (np.diff(order) < 0).any()


def test_anomalies_are_never_drawn_twice(data: Path) -> None:
    with pytest.raises(InputError, match=r"30 %.*51 anomalies needed, 24 there"):
        table_task(table(data), "30 %", seed=3)


def test_a_larger_table_is_drawn_down_to_so_many_rows(data: Path) -> None:
    task = table_task(table(data), AS_IT_COMES, seed=3, most=100)
    assert len(task.train) + len(task.test) == 100


# --- which runs there are


def test_the_standard_runs_are_all_members_and_peers_on_both_trainings() -> None:
    jobs = standard(list(MODELS), SEEDS[:3], most=10_000)
    assert len(set(jobs)) == len(jobs)
    for who in (*MODELS, *PEERS):
        mine = [j for j in jobs if (j.group, j.detector) == ("tables", who)]
        assert len(mine) == 7 * 2 * 3
    assert all(j.rows == 10_000 for j in jobs if j.subject == "shuttle")
    twenty = {j.subject for j in jobs if (j.group, j.detector) == ("table default", "default")}
    assert twenty == {*SEVEN, *MORE}


def test_full_adds_whole_tables_grades_digits_and_motors() -> None:
    jobs = full(list(MODELS), SEEDS)
    assert {j.seed for j in jobs} == set(SEEDS)
    assert all(j.rows is None for j in jobs if j.group == "tables")
    graded = {(j.subject, j.training) for j in jobs if j.training.endswith("%")}
    assert {("satellite", "20 %"), ("arrhythmia", "10 %"), ("0", "10 %")} <= graded
    assert {"one digit", "all digits but", "one motor"} <= {j.group for j in jobs}


# --- one run


def test_a_fit_serves_error_and_both_ks(data: Path) -> None:
    job = Job("tables", QUICK_SET, AS_IT_COMES, "ae", 101, None, 1)
    figures = run(job, data)
    assert figures["rebuilt"] == figures["error"]
    assert figures["ares"] == figures["ares_100"]
    assert figures["bank"] <= 120 + 24
    assert all(0 <= figures[key] <= 100 for key in ("error", "ares_10", "ares_100"))
    clean = run(job._replace(training=CLEAN), data)
    assert clean["ares"] == clean["ares_10"]


@pytest.mark.parametrize("peer", PEERS)
def test_every_peer_ranks_what_lies_far_away(data: Path, peer: str) -> None:
    assert run(Job("tables", QUICK_SET, CLEAN, peer, 101), data)["score"] > 95


def test_the_papers_latents_are_those_of_the_methods() -> None:
    wanted = {"thyroid": 4, "arrhythmia": 32, "cardio": 8, "shuttle": 8}
    for name, latents in wanted.items():
        assert settings_of(Job("tables", name, CLEAN, "ae", 1))["latent_dim"] == latents
    assert settings_of(Job("all digits but", "8", CLEAN, "ae", 1))["latent_dim"] == 8
    assert settings_of(Job("half of the digits", "8", CLEAN, "lis_ae", 1))["latent_dim"] == 16


def test_the_bank_is_the_whole_training_part() -> None:
    part = round(0.95 * 60_000)  # no set has more to learn from than all digits
    assert settings_of(Job("all digits but", "8", CLEAN, "ae", 1))["bank_windows"] >= part


class TwoPhases(Ae):
    """Goes blind in its second phase."""

    sight: Tensor

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.register_buffer("sight", torch.ones(()))

    def fit(self, *args: Any, **settings: Any) -> dict[str, Any]:
        report = super().fit(*args, **settings)
        self.shape_latents()
        return report

    def shape_latents(self) -> None:
        self.sight.zero_()

    def own_error(self, z: Tensor, reconstruction_error: Tensor) -> Tensor:
        return reconstruction_error * self.sight


def test_the_first_phase_is_judged_beside_the_second(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "ae", TwoPhases)
    monkeypatch.setattr(papers_runs, "PHASE_2", "shape_latents")
    figures = run(Job("tables", QUICK_SET, CLEAN, "ae", 101, None, 1), data)
    assert figures["error"] == 50  # every row alike
    assert figures["phase_1"] != 50
    assert figures["phase_1"] == figures["rebuilt"]
    assert TwoPhases.shape_latents.__name__ == "shape_latents"  # it is itself again


def test_the_models_with_two_phases_have_the_method_that_is_looked_for() -> None:
    for name in {"lis_ae", "linsep_lis_ae"} & MODELS.keys():
        assert hasattr(MODELS[name], papers_runs.PHASE_2), name


# --- the command


def command(data: Path, out: Path, *more: str) -> int:
    arguments = ("--quick", "--jobs", "1", "--data", str(data), "--json", str(out / "p.json"))
    return papers.main([*arguments, *more])


def lasting(file: Path) -> dict[str, float]:
    """Return the figures that no clock decides."""
    figures: dict[str, float] = orjson.loads(file.read_bytes())["figures"]
    return {key: value for key, value in figures.items() if not key.endswith(SECONDS)}


def test_stopped_and_started_again_it_comes_to_the_same(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    whole.mkdir()
    part.mkdir()
    assert command(data, whole) == 0
    assert capsys.readouterr().out.endswith("held\n")
    done: list[Job] = []
    again: list[Job] = []

    def dying(job: Job, where: Path) -> Any:
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(job)
        return run(job, where)

    def living(job: Job, where: Path) -> Any:
        again.append(job)
        return run(job, where)

    monkeypatch.setattr(papers, "run", dying)
    with pytest.raises(KeyboardInterrupt):
        command(data, part)
    runs = part / "p.runs.jsonl"
    assert len(runs.read_bytes().splitlines()) == 5
    with runs.open("ab") as torn:  # as a power cut would leave it
        torn.write(b'{"job": {"group": "tab')
    monkeypatch.setattr(papers, "run", living)
    assert command(data, part, "--markdown", str(part / "p.md")) == 0
    assert set(again) == set(quick()) - set(done)
    assert lasting(part / "p.json") == lasting(whole / "p.json")
    text = (part / "p.md").read_text()
    assert f"5 of {len(quick())} runs were there already" in text
    assert "| wine | clean |" in text


def test_a_failed_run_is_named_fails_the_command_and_is_done_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(job: Job, where: Path) -> Any:
        if job.detector == "ae":
            raise ValueError("no luck")
        return {"score": 50.0, "error": 50.0, "ares": 50.0}

    monkeypatch.setattr(papers, "run", failing)
    assert command(data, tmp_path) == 1
    printed = capsys.readouterr().out
    assert "failed: tables wine clean ae 101" in printed
    assert "ValueError: no luck" in printed
    assert printed.endswith("missed: failed_runs 2 (exactly 0)\n")
    monkeypatch.setattr(papers, "run", lambda job, where: {"error": 50.0, "ares": 50.0})
    assert command(data, tmp_path) == 0


def test_a_missing_set_fails_at_once_and_by_name(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table(data).unlink()
    assert command(data, tmp_path) == 1
    assert capsys.readouterr().out.startswith(f"missed: the set {table(data)} cannot be read")
    assert not (tmp_path / "p.json").exists()


def test_models_that_are_not_there_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        papers.main(["--models", "ae,oracle"])
    assert "'oracle': allowed are" in capsys.readouterr().err


# --- what is not done again


def test_a_run_of_another_digest_is_done_again(tmp_path: Path) -> None:
    job, file = Job("tables", "cardio", CLEAN, "ae", 1), tmp_path / "runs.jsonl"
    Ledger(file).enter(job, "old", {"error": 1.0})
    assert Ledger(file).recall(job, "old") == {"error": 1.0}
    assert Ledger(file).recall(job, "new") is None
    assert Ledger(file).recall(job._replace(seed=2), "old") is None
    Ledger(file).enter(job, "new", {"error": 2.0})
    assert Ledger(file).recall(job, "new") == {"error": 2.0}


def test_data_settings_and_the_models_own_code_make_another_digest(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job("tables", QUICK_SET, CLEAN, "ae", 101)
    first = digest(job, data)
    assert digest(job, data) == first
    others = [job._replace(seed=1), job._replace(detector="linear"), job._replace(detector="kNN")]
    assert len({first, *(digest(other, data) for other in others)}) == 4
    monkeypatch.setattr(papers_digest, "digest_of", lambda file: "other data")
    assert digest(job, data) != first


def test_the_code_of_a_model_is_its_own_and_what_it_imports() -> None:
    def found(*names: str) -> set[str]:
        seen: set[str] = set()
        real = papers_digest._file

        def seeing(module: str) -> Path | None:
            seen.add(module)
            return real(module)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(papers_digest, "_file", seeing)
            papers_digest.code.__wrapped__(*names)
        return {name.removeprefix("stream_ad.detector.") for name in seen if real(name)}

    of_ae = found(*papers_digest.FITTING, "stream_ad.detector.models.ae")
    assert {"models.ae", "models.descent", "networks", "scaling", "index", "bank"} <= of_ae
    assert not {"models.linear", "explanation", "line", "artifact"} & of_ae


def test_docstrings_and_comments_change_no_digest() -> None:
    texts = (
        'def f(x):\n    """Say this."""\n    return x  # so\n',
        'def f(x):\n    """Say that."""\n    return x\n',
        "def f(x):\n    return x + 1\n",
    )
    one, two, other = (ast.dump(papers_digest._bare(ast.parse(text))) for text in texts)
    assert one == two != other
