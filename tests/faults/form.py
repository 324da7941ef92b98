"""What every fault command takes, and how it is carried out, in the form of all benchmarks."""

from __future__ import annotations

import os
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator

from tests.benchmarks.table import Figure, conclude, options
from tests.faults.plant import Plant
from tests.faults.site import FaultTestError, Site, opened
from tests.kafka_cluster import Cluster, ClusterError

EXISTING = "STREAM_AD_TEST_BOOTSTRAP"


def fault_options(description: str | None, *, own_cluster: bool = False) -> ArgumentParser:
    """Return a parser with what every fault command takes.

    Parameters
    ----------
    description : str or None
        The docstring of the command.
    own_cluster : bool
        Whether it always starts a cluster, since it kills brokers.
    """
    parser = options((description or "").splitlines()[0])
    parser.set_defaults(bootstrap=None)
    if not own_cluster:
        parser.add_argument(
            "--bootstrap",
            default=os.environ.get(EXISTING),
            help=f"a cluster that runs, also from {EXISTING}; else one is started",
        )
    return parser


def conduct(
    arguments: Namespace,
    plant: Plant,
    figures: Callable[[Site, Cluster | None, Namespace], Iterator[Figure]],
    *,
    nodes: int = 1,
) -> int:
    """Prepare the place, carry out a test there and judge its figures.

    Parameters
    ----------
    arguments : Namespace
        From the parser of `fault_options`.
    plant : Plant
    figures : callable
        The test.
    nodes : int
        Of the cluster, where none is given.

    Returns
    -------
    int
        The exit code: 0 if every judged target was held, 1 if not or if the test could not be
        carried out.
    """
    began = time.monotonic()
    try:
        with opened(plant, arguments.bootstrap, nodes=nodes) as (site, cluster):
            found = [*figures(site, cluster, arguments)]
    except (FaultTestError, ClusterError) as error:
        sys.stdout.write(f"{error}\nmissed: the test was not carried out\n")
        return 1
    minutes = (time.monotonic() - began) / 60
    return conclude([*found, Figure("minutes", minutes, form=".1f")], arguments)
