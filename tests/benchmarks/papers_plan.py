"""Which runs the benchmark of the papers consists of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from stream_ad.detector.models import MODELS
from tests.benchmarks.papers_classes import MOTORS
from tests.benchmarks.papers_default import DEFAULT, SHIPPED
from tests.benchmarks.papers_peers import PEERS
from tests.benchmarks.papers_runs import Job
from tests.benchmarks.papers_tasks import AS_IT_COMES, CLEAN, MORE, SEVEN

SEEDS = (101, 102, 103, 104, 105)  # reported ones; nothing was tuned with them
TRAININGS = (CLEAN, AS_IT_COMES)
SUBSAMPLED = 10_000  # rows of shuttle, but with --full
GRADED = {"satellite": ("5 %", "10 %", "20 %"), "arrhythmia": ("5 %", "10 %")}
THREE_DIGITS = ("0", "3", "8")
BESIDE = ("kNN", "LOF k=20", "IForest")  # peers of the default for tables
MEMORY_SET = "shuttle"
QUICK_SET = "wine"

Jobs = Iterator[Job]


def quick() -> list[Job]:
    """Return what walks the whole path in seconds: a tiny table, two members, two peers."""
    who = ("linear", "ae", "kNN", "IForest")
    tables = (Job("tables", QUICK_SET, t, w, SEEDS[0], None, 1) for t in TRAININGS for w in who)
    default = (
        Job("table default", QUICK_SET, t, w, SEEDS[0])
        for t in TRAININGS
        for w in (DEFAULT, *BESIDE)
    )
    return [*tables, *default]


def standard(models: Sequence[str], seeds: Sequence[int], *, most: int | None) -> list[Job]:
    """Return the runs over the seven tables, of the default over all twenty, and of memory."""
    members = [m for m in MODELS if m in models]
    jobs = [
        *(
            Job("tables", name, training, who, seed, most if name == "shuttle" else None)
            for seed, name, training in product(seeds, SEVEN, TRAININGS)
            for who in (*members, SHIPPED, *PEERS)
        ),
        *(
            Job("table default", name, training, who, seed, most if name == "shuttle" else None)
            for seed, name, training in product(seeds, (*SEVEN, *MORE), TRAININGS)
            # on the seven the peers are there already
            for who in ((DEFAULT,) if name in SEVEN else (DEFAULT, *BESIDE))
        ),
    ]
    rows = SUBSAMPLED if most is None else most
    return jobs + [Job("memory", MEMORY_SET, CLEAN, m, seeds[0], rows) for m in members]


def full(models: Sequence[str], seeds: Sequence[int]) -> list[Job]:
    """Return those of `standard` on whole tables, graded contamination, digits and motors."""
    members = [m for m in MODELS if m in models]

    def jobs(group: str, subjects: Sequence[str], trainings: Sequence[str], *who: str) -> Jobs:
        for seed, subject, training, name in product(seeds, subjects, trainings, who):
            if name in members or name in PEERS:
                yield Job(group, subject, training, name, seed)

    graded = (jobs("tables", [s], ts, *members, *BESIDE) for s, ts in GRADED.items())
    return [
        *standard(models, seeds, most=None),
        *(job for each in graded for job in each),
        *jobs("one digit", THREE_DIGITS, (CLEAN, "10 %"), "ae", "ncae", "deep_sad"),
        *jobs("half of the digits", THREE_DIGITS, (CLEAN,), "lis_ae", "linsep_lis_ae"),
        *jobs("all digits but", THREE_DIGITS, (CLEAN,), "ae"),
        *jobs("one motor", ("1",), (CLEAN,), "ae"),
        *jobs("all motors but", [str(m) for m in MOTORS], (CLEAN,), "ae"),
    ]
