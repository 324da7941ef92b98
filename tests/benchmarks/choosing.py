"""How often `train --compare`, which sees no label, takes what the labels call best.

On the history of each recorded stream the product's own comparison judges its members by
injected faults and takes one. Then every member is fitted on that history and judged by the
labels of the rest, by row as in the benchmark `streams`: AUC-PR, and F1 at its own line. No
target: the figures say what a choice without labels is worth beside the default for all.
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from stream_ad.errors import InputError
from stream_ad.training.compare import MEMBERS
from tests.benchmarks.choosing_tables import counts, flat, members_grid, overview, qualities
from tests.benchmarks.choosing_trials import Member, Trial, name_of, trials
from tests.benchmarks.recordings import FAMILIES, Recording, load
from tests.benchmarks.table import Figure, conclude, options, show

SEEDS = (401, 402, 403)  # reported ones; nothing was tuned with them
QUICK_HISTORY = 600  # rows of it at most
IN_CLOSED_FORM = "linear"  # the model that --quick compares the scorers of


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit code."""
    arguments = _arguments(argv)
    began = time.monotonic()
    try:
        recordings = [r for family in FAMILIES for r in _recordings(family, arguments)]
    except InputError as error:
        print(f"missed: {error}")
        return 1
    members = [m for m in MEMBERS if m[0] == IN_CLOSED_FORM or not arguments.quick]
    done = _trials(recordings, SEEDS[: arguments.seeds], members)
    table = qualities(done)
    names = [name_of(member) for member in members]
    for grid in (overview(table), counts(done, names), members_grid(done, names)):
        show(grid)
    failed = [t for t in done if t.failure is not None]
    short = [t for t in done if t.compared is None and t.failure is None]
    for trial in failed:
        print(f"failed: {trial.family}/{trial.stream} seed {trial.seed}: {trial.failure}")
    figures = [
        Figure("streams", len(recordings)),
        Figure("members", len(members)),
        Figure("seeds", arguments.seeds),
        Figure("too_short_to_compare", len(short)),
        Figure("failed_trials", len(failed), target=0, bound="exactly", correctness=True),
        Figure("minutes", (time.monotonic() - began) / 60, form=".1f"),
    ]
    return conclude(figures, arguments, flat(table))


def _arguments(argv: Sequence[str] | None) -> Namespace:
    parser = options((__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), metavar="DIR")
    parser.add_argument(
        "--seeds",
        type=int,
        choices=range(1, len(SEEDS) + 1),
        default=1,
        help=f"the first so many of {SEEDS}; each takes as long as the first (1)",
    )
    return parser.parse_args(argv)


def _recordings(family: str, arguments: Namespace) -> list[Recording]:
    if not arguments.quick:
        return load(family, arguments.data)
    return [r.shortened(QUICK_HISTORY, len(r.time)) for r in load(family, arguments.data, 1)]


def _trials(
    recordings: Sequence[Recording], seeds: Sequence[int], members: Sequence[Member]
) -> list[Trial]:
    """Make one choice for all streams that share a history, and say how far it is."""
    groups: dict[str, list[Recording]] = {}
    for recording in recordings:
        groups.setdefault(recording.training_digest(), []).append(recording)
    done: list[Trial] = []
    began = time.monotonic()
    for seed in seeds:
        for part in groups.values():
            done += trials(part, seed, members)
            said = f"{part[0].identity()} seed {seed}: {done[-1].taken}"
            print(f"{time.monotonic() - began:5.0f} s  {said}", file=sys.stderr, flush=True)
    return done


if __name__ == "__main__":
    sys.exit(main())
