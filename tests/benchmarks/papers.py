"""The models of the five papers on the papers' sets, beside what users would pick instead.

Every finished run is one line in a file beside the results: stopped and started again, the
command goes on where it was, and does again only what other code or data could have changed.
"""

from __future__ import annotations

import os
import sys
import time
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path

from stream_ad.detector.models import MODELS
from stream_ad.errors import InputError
from tests.benchmarks import papers_plan as plan
from tests.benchmarks.papers_digest import digest, file_of
from tests.benchmarks.papers_judging import figures as judged_figures
from tests.benchmarks.papers_ledger import Ledger
from tests.benchmarks.papers_memory import memory
from tests.benchmarks.papers_page import Conditions, page
from tests.benchmarks.papers_results import Results
from tests.benchmarks.papers_runs import Figures, Job, run
from tests.benchmarks.papers_tables import grids
from tests.benchmarks.streams_page import commit
from tests.benchmarks.table import Figure, conclude, options, show

SEEDS_BY_DEFAULT = 3
Done = tuple[Job, Figures | str]  # figures, or why there are none


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit code."""
    arguments = _arguments(argv)
    began, code = time.monotonic(), commit()  # the code that runs, not what is there at the end
    jobs = _jobs(arguments)
    try:
        digests = {job: digest(job, arguments.data) for job in jobs}
    except InputError as error:
        print(f"missed: {error}")
        return 1
    ledger = Ledger(arguments.runs)
    known = {job: ledger.recall(job, digests[job]) for job in jobs}
    waiting = [job for job in jobs if known[job] is None]
    failed: dict[Job, str] = {}
    for job, outcome in _told(_done(waiting, arguments), len(waiting)):
        if isinstance(outcome, str):
            failed[job] = outcome
        else:
            ledger.enter(job, digests[job], outcome)
            known[job] = outcome
    results = Results({job: found for job in jobs if (found := known[job]) is not None})
    for grid in grids(results):
        show(grid)
    for job, why in failed.items():
        print(f"failed: {' '.join(map(str, job))}: {why}")
    minutes = (time.monotonic() - began) / 60
    figures = [
        *judged_figures(results, judged=arguments.whole, classes=arguments.full),
        Figure("runs", len(results.runs)),
        Figure("failed_runs", len(failed), target=0, bound="exactly", correctness=True),
        Figure("minutes", minutes),
    ]
    if arguments.markdown is not None:
        recalled = len(jobs) - len(waiting)
        conditions = Conditions(_command(arguments), code, _seeds(arguments), minutes, recalled)
        arguments.markdown.parent.mkdir(parents=True, exist_ok=True)
        text = page(conditions, results, figures)
        arguments.markdown.write_text(text, encoding="utf-8")
    return conclude(figures, arguments, results.flat())


def _arguments(argv: Sequence[str] | None) -> Namespace:
    parser = options((__doc__ or "").splitlines()[0])
    parser.add_argument("--full", action="store_true", help="five seeds, digits, motors; hours")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), metavar="DIR")
    parser.add_argument("--models", type=_models, default=list(MODELS), metavar="A,B")
    parser.add_argument("--seeds", type=_count, metavar="N", help=f"the first N of {plan.SEEDS}")
    parser.add_argument("--jobs", type=_count, default=2, metavar="N", help="processes (2)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the result as a page")
    parser.add_argument(
        "--runs", type=Path, metavar="FILE", help="finished runs (*.runs.jsonl beside the results)"
    )
    arguments = parser.parse_args(argv)
    if arguments.quick and arguments.full:
        parser.error("--quick and --full: one of them")
    beside = arguments.json or arguments.markdown or Path("papers.json")
    arguments.runs = arguments.runs or beside.with_suffix(".runs.jsonl")
    limited = arguments.quick or arguments.seeds or set(arguments.models) < set(MODELS)
    arguments.whole = not limited
    return arguments


def _models(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in MODELS]:
        raise ArgumentTypeError(f"{unknown[0]!r}: allowed are {', '.join(MODELS)}")
    return names


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r}: allowed is a whole number, at least 1")
    return int(text)


def _seeds(arguments: Namespace) -> Sequence[int]:
    if arguments.quick:
        return plan.SEEDS[:1]
    return plan.SEEDS[
        : arguments.seeds or (len(plan.SEEDS) if arguments.full else SEEDS_BY_DEFAULT)
    ]


def _command(arguments: Namespace) -> str:
    """Return the command as another would type it, without where it writes."""
    parts = ["python -m tests.benchmarks.papers", f"--data {arguments.data}"]
    parts += [f"--{key}" for key in ("quick", "full") if getattr(arguments, key)]
    parts += [f"--seeds {arguments.seeds}"] if arguments.seeds else []
    if set(arguments.models) < set(MODELS):
        parts.append(f"--models {','.join(arguments.models)}")
    return " ".join(parts)


def _jobs(arguments: Namespace) -> list[Job]:
    """Return what there is to run."""
    seeds = _seeds(arguments)
    if arguments.quick:
        return plan.quick()
    if arguments.full:
        return plan.full(arguments.models, seeds)
    return plan.standard(arguments.models, seeds, most=plan.SUBSAMPLED)


def _done(jobs: Sequence[Job], arguments: Namespace) -> Iterator[Done]:
    """Run jobs, the largest sets first so that no process is left alone with one at the end."""
    measured = [job for job in jobs if job.group == "memory"]
    others = [job for job in jobs if job.group != "memory"]
    others.sort(key=lambda job: -file_of(job, arguments.data).stat().st_size)
    if arguments.jobs == 1:
        for job in others:
            yield _outcome(run, job, arguments.data)
    else:
        yield from _in_processes(run, others, arguments.data, arguments.jobs, None)
    yield from _in_processes(memory, measured, arguments.data, 1, 1)


def _in_processes(
    what: Callable[[Job, Path], Figures],
    jobs: Sequence[Job],
    data: Path,
    processes: int,
    each: int | None,
) -> Iterator[Done]:
    if not jobs:
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # processes are the threads here
    with ProcessPoolExecutor(processes, get_context("spawn"), max_tasks_per_child=each) as pool:
        pending: set[Future[Done]] = {pool.submit(_outcome, what, job, data) for job in jobs}
        try:
            while pending:
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in finished)
        finally:
            pool.shutdown(cancel_futures=True)


def _outcome(what: Callable[[Job, Path], Figures], job: Job, data: Path) -> Done:
    try:
        return job, what(job, data)
    except Exception as error:  # one broken run must not cost the others; it is counted
        return job, f"{type(error).__name__}: {error}"


def _told(done: Iterator[Done], total: int) -> Iterator[Done]:
    began = time.monotonic()
    for number, (job, outcome) in enumerate(done, 1):
        seconds = time.monotonic() - began
        what = f"{job.group}: {job.subject}, {job.training}, {job.detector}, seed {job.seed}"
        print(f"[{number}/{total}] {seconds:5.0f} s  {what}", file=sys.stderr, flush=True)
        yield job, outcome


if __name__ == "__main__":
    sys.exit(main())
