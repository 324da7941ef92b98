"""Recorded sensor streams through the whole path, beside the baselines.

Every stream goes from readings to windows, training, alarm line, pipeline and incidents as
in a replay; so does every baseline, on the same windows and the same history. One config
for everything but sensors, period, length and hop; nothing is chosen by test labels.
"""

from __future__ import annotations

import os
import sys
import time
from argparse import ArgumentTypeError, Namespace
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from stream_ad.errors import InputError
from stream_ad.evaluation.baselines import BASELINES
from tests.benchmarks.measuring import DEFAULT, DETECTORS, Row, measure
from tests.benchmarks.recordings import FAMILIES, Recording, load
from tests.benchmarks.shrinking import STRESSED, shrunk
from tests.benchmarks.streams_page import Conditions, commit, page
from tests.benchmarks.streams_results import Results
from tests.benchmarks.table import Figure, conclude, options, show

SEEDS = (101, 102, 103)  # reported ones; nothing was tuned with them
CHOOSING_SEEDS = (11, 12, 13)  # those of --leave-out
QUICK_ROWS = 300, 1_200  # of history, of test: enough to walk the whole path


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit code."""
    arguments = _arguments(argv)
    began, code = time.monotonic(), commit()  # the code that runs, not what is there at the end
    try:
        recordings = _recordings(arguments)
    except InputError as error:
        print(f"missed: {error}")
        return 1
    seeds = (CHOOSING_SEEDS if arguments.leave_out else SEEDS)[: arguments.seeds]
    rows = _measure(recordings, seeds, arguments.detectors, arguments.jobs)
    results = Results.of(rows, arguments.leave_out)
    for grid in (*results.grids(), results.costs()):
        show(grid)
    failed = [row for row in rows if row.failure is not None]
    for row in failed:
        print(f"failed: {row.family}/{row.stream} {row.detector} seed {row.seed}: {row.failure}")
    minutes = (time.monotonic() - began) / 60
    streams = {f: sum(r.family == f for r in recordings) for f in arguments.families}
    figures = [
        *results.figures(judged=arguments.whole),
        *(Figure(f"{family}.streams", n) for family, n in streams.items()),
        Figure("rows", len(rows)),
        Figure("failed_rows", len(failed), target=0, bound="exactly", correctness=True),
        Figure("minutes", minutes),
    ]
    if arguments.markdown is not None:
        conditions = Conditions(_command(arguments), code, seeds, minutes)
        text = page(conditions, recordings, results)
        arguments.markdown.parent.mkdir(parents=True, exist_ok=True)
        arguments.markdown.write_text(text, encoding="utf-8")
    return conclude(figures, arguments, results.flat())


def _arguments(argv: Sequence[str] | None) -> Namespace:
    parser = options((__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), metavar="DIR")
    parser.add_argument("--families", type=_families, default=list(FAMILIES), metavar="A,B")
    parser.add_argument("--detectors", type=_detectors, default=list(DETECTORS), metavar="A,B")
    parser.add_argument("--leave-out", choices=list(FAMILIES), help="read it, choose without it")
    parser.add_argument("--streams", type=_count, metavar="N", help="at most N of each family")
    parser.add_argument("--seeds", type=_count, metavar="N", help=f"the first N of {SEEDS}")
    parser.add_argument("--jobs", type=_count, default=2, metavar="N", help="processes (2)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the result as a page")
    arguments = parser.parse_args(argv)
    if arguments.leave_out is not None and set(arguments.families) <= {arguments.leave_out}:
        parser.error(f"--leave-out {arguments.leave_out} leaves no family to choose by")
    if arguments.markdown is not None and not set(arguments.detectors) & set(BASELINES):
        parser.error("--markdown compares with baselines: --detectors names none")
    limited = arguments.leave_out or arguments.streams or arguments.seeds
    complete = set(arguments.families) >= set(FAMILIES) and set(arguments.detectors) >= {
        DEFAULT,
        *BASELINES,
    }
    arguments.whole = complete and not limited
    if arguments.quick:
        arguments.streams, arguments.seeds = arguments.streams or 1, arguments.seeds or 1
    return arguments


def _families(text: str) -> list[str]:
    return _names(text, FAMILIES)


def _detectors(text: str) -> list[str]:
    """Read names of detectors; the default is always among them."""
    wanted = {DEFAULT, *_names(text, DETECTORS)}
    return [name for name in DETECTORS if name in wanted]


def _names(text: str, allowed: Collection[str]) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in allowed]:
        raise ArgumentTypeError(f"{unknown[0]!r}: allowed are {', '.join(allowed)}")
    return names


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r}: allowed is a whole number, at least 1")
    return int(text)


def _command(arguments: Namespace) -> str:
    """Return the command as another would type it, without where it writes."""
    parts = ["python -m tests.benchmarks.streams", f"--data {arguments.data}"]
    if arguments.families != list(FAMILIES):
        parts.append(f"--families {','.join(arguments.families)}")
    if arguments.detectors != list(DETECTORS):
        parts.append(f"--detectors {','.join(arguments.detectors)}")
    chosen = {"leave-out": arguments.leave_out} | {
        key: getattr(arguments, key) for key in ("streams", "seeds")
    }
    parts += [f"--{key} {value}" for key, value in chosen.items() if value]
    return " ".join(parts + ["--quick"] * arguments.quick)


def _recordings(arguments: Namespace) -> list[Recording]:
    families = (load(f, arguments.data, arguments.streams) for f in arguments.families)
    recordings = [recording for family in families for recording in family]
    if arguments.quick:
        recordings = [r.shortened(*QUICK_ROWS) for r in recordings]
    return recordings + [shrunk(r) for r in recordings if r.family in STRESSED]


def _measure(
    recordings: Sequence[Recording], seeds: Sequence[int], detectors: Sequence[str], jobs: int
) -> list[Row]:
    """Measure everything, as many training parts at a time as there are processes."""
    groups: dict[str, list[Recording]] = {}
    for recording in recordings:
        groups.setdefault(recording.training_digest(), []).append(recording)
    # the longest first, so that no process is left alone with one at the end
    parts = sorted(groups.values(), key=lambda part: -sum(r.values.size for r in part))
    if jobs == 1:
        done = _told((measure(part, seeds, detectors) for part in parts), len(parts))
    else:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # processes are the threads here
        with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
            waiting = [pool.submit(measure, part, seeds, detectors) for part in parts]
            done = _told((future.result() for future in as_completed(waiting)), len(parts))
    place = {(r.family, r.name): i for i, r in enumerate(recordings)}
    return sorted((row for rows in done for row in rows), key=lambda r: place[r.family, r.stream])


def _told(results: Iterable[list[Row]], total: int) -> list[list[Row]]:
    began, done = time.monotonic(), []
    for rows in results:
        done.append(rows)
        streams = sorted({f"{row.family}/{row.stream}" for row in rows})
        which = streams[0] + (f" and {len(streams) - 1} more" if len(streams) > 1 else "")
        seconds = time.monotonic() - began
        print(f"[{len(done)}/{total}] {seconds:5.0f} s  {which}", file=sys.stderr, flush=True)
    return done


if __name__ == "__main__":
    sys.exit(main())
