"""One run: a detector learns from one task and is judged on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from stream_ad.detector import Detector
from stream_ad.detector.ares import Ares
from stream_ad.detector.models import MODELS
from stream_ad.evaluation.metrics import auc_roc
from tests.benchmarks import papers_classes as classes
from tests.benchmarks.papers_default import DEFAULT, TABLE_DEFAULT
from tests.benchmarks.papers_peers import PEERS, z_scored
from tests.benchmarks.papers_tasks import CLEAN, Task, table_file, table_task

LATENTS = 8  # the papers' networks: 32-16-8
# METHODS' for two tables; the LIS paper takes the best size per task, and reports it
OTHER_LATENTS = {"thyroid": 4, "arrhythmia": 32, "half of the digits": 16}
CALIBRATION_SHARE = 0.05
WHOLE_BANK = 100_000  # more than any set has: METHODS' bank is the training part
K_CLEAN, K_CONTAMINATED = 10, 100
PHASE_2 = "shape_latents"  # of the LIS-AEs: what happens after plain reconstruction

Figures = dict[str, float]


class Job(NamedTuple):
    """What a run is: it has to say all that decides its figures but code and data."""

    group: str  # tables, table default, memory, or a key of `GROUPS`
    subject: str
    training: str
    detector: str
    seed: int
    rows: int | None = None  # at most so many of a table
    epochs: int | None = None  # for `--quick`


def task_of(job: Job, data: Path) -> Task:
    """Return what a job learns from and is judged on.

    Raises
    ------
    InputError
        When its set is not there.
    """
    labels = job.detector in MODELS and MODELS[job.detector].learns_anomalies
    if (of_class := GROUPS.get(job.group)) is not None:
        return of_class(data, int(job.subject), job.training, job.seed, labels=labels)
    file = table_file(data, job.subject)
    return table_task(file, job.training, job.seed, labels=labels, most=job.rows)


GROUPS: dict[str, Callable[..., Task]] = {  # all others are tables
    "one digit": classes.one_digit,
    "all digits but": classes.all_digits_but,
    "half of the digits": classes.half_of_the_digits,
    "one motor": classes.one_motor,
    "all motors but": classes.all_motors_but,
}


def run(job: Job, data: Path) -> Figures:
    """Fit and judge; AUC-ROC in percent, seconds of one core."""
    task = task_of(job, data)
    if job.detector in PEERS:
        return _peer(job, task)
    if job.detector in MODELS:
        return _member(job, task)
    return _default(job, task)


def _peer(job: Job, task: Task) -> Figures:
    train, test = z_scored(task.train, task.test)
    began = time.process_time()
    score = PEERS[job.detector](train, job.seed)
    fitted = time.process_time()
    figures = {"score": area(task, score(test))}
    return figures | {"fit_s": fitted - began, "score_s": time.process_time() - fitted}


def _default(job: Job, task: Task) -> Figures:
    settings = TABLE_DEFAULT if job.detector == DEFAULT else {}
    began = time.process_time()
    detector = Detector(**settings, seed=job.seed).fit(task.train)
    fitted = time.process_time()
    figures = {"score": area(task, detector.decision_function(task.test))}
    return figures | {"fit_s": fitted - began, "score_s": time.process_time() - fitted}


def settings_of(job: Job) -> dict[str, Any]:
    """Return the settings of `Detector` for a member of the family; `ares` serves `error` too."""
    return {
        "model": job.detector,
        "scorer": "ares",
        "scaling": "robust" if job.detector == "ncae" else "standard",
        "k": K_CLEAN,
        "latent_dim": OTHER_LATENTS.get(job.group, OTHER_LATENTS.get(job.subject, LATENTS)),
        "bank_windows": WHOLE_BANK,
        "calibration_share": CALIBRATION_SHARE,
        "seed": job.seed,
        **({} if job.epochs is None else {"epochs": job.epochs}),
    }


@lru_cache
def _warmed() -> None:
    """Fit something once: what torch loads when it first trains is nobody's fit time."""
    rows = np.random.default_rng(0).normal(size=(60, 2))
    Detector("ae", epochs=1).fit(rows)


def _member(job: Job, task: Task) -> Figures:
    _warmed()
    train = np.concatenate([task.train, task.labelled])
    y = np.zeros(len(train), np.int64)
    y[len(task.train) :] = -1
    order = np.random.default_rng(job.seed).permutation(len(train))
    began, wall = time.process_time(), time.perf_counter()
    with _first_phases_kept():
        detector = Detector(**settings_of(job))
        detector.fit(
            train[order], y[order] if len(task.labelled) else None, negatives=task.negatives
        )
    fitted = time.process_time()
    took = {"fit_s": fitted - began, "fit_wall_s": time.perf_counter() - wall}
    return _judged(detector, job, task) | took | {"score_s": time.process_time() - fitted}


def _judged(detector: Detector, job: Job, task: Task) -> Figures:
    parts, scores = detector._fitted(), detector.score(task.test)
    figures = {
        "error": area(task, scores.error),
        "rebuilt": area(task, scores.sensor_error.sum(axis=1)),
        "k": float(parts.scorer.k),
        "bank": float(len(parts.scorer.bank)),
    }
    passed = parts.passed(_windows(task.test), None)
    for k in (K_CLEAN, K_CONTAMINATED):
        scorer = Ares(parts.scorer.bank, parts.scorer.index, k=k, alpha=parts.scorer.alpha)
        figures[f"ares_{k}"] = area(task, scorer.score(passed.z, passed.error))
    mined = parts.model.mined
    if mined is None:
        k = K_CLEAN if job.training == CLEAN else K_CONTAMINATED
        figures["ares"] = figures[f"ares_{k}"]
    else:  # it knows no rate and chose k itself
        figures["ares"] = area(task, scores.raw)
        figures["mined"] = float(mined.double().mean())
    phase_1 = parts.model.__dict__.pop("phase_1", None)
    if phase_1 is not None:
        parts.model.load_state_dict(phase_1)
        figures["phase_1"] = area(task, parts.passed(_windows(task.test), None).error)
    return figures


def _windows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows if rows.ndim == 3 else rows[:, None]


def area(task: Task, score: NDArray[np.float64]) -> float:
    """Return the area under the ROC curve in percent."""
    value = auc_roc(task.anomalous.astype(np.int64), score)
    assert value is not None, "a split keeps both classes"
    return 100 * value


@contextmanager
def _first_phases_kept() -> Iterator[None]:
    """Let the LIS-AEs remember the weights that they had before phase 2."""

    def remembering(second: Callable[..., Any]) -> Callable[..., Any]:
        def phase_2(model: Any, *args: Any, **kwargs: Any) -> Any:
            model.__dict__["phase_1"] = {n: v.clone() for n, v in model.state_dict().items()}
            return second(model, *args, **kwargs)

        return phase_2

    with ExitStack() as patches:
        for model in MODELS.values():
            if PHASE_2 in vars(model):
                kept = remembering(vars(model)[PHASE_2])
                patches.enter_context(patch.object(model, PHASE_2, kept))
        yield
