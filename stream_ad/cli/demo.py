"""``stream-ad demo``: a simulated factory, from nothing to a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream_ad.cli.folder import folder


def demo(
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", parser=folder, metavar="PATH", help="Folder for everything it makes."
        ),
    ] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Another seed, another factory.", min=0)] = 0,
    seconds: Annotated[
        float, typer.Option(help="How long the live part takes; 0 = no waiting.", min=0.0)
    ] = 25.0,
) -> None:
    """Simulate a factory, learn from two weeks, watch the third, train anew on the way."""
    from stream_ad.cli.live import LiveScreen
    from stream_ad.cli.summary import print_summary
    from stream_ad.demo import DemoOptions, claim
    from stream_ad.demo import demo as run

    claim(out)  # before anything is drawn
    with LiveScreen() as screen:
        metrics = run(DemoOptions(out, seed, seconds), screen, screen.watch)
    print_summary(metrics, out)
    typer.echo(
        f"again, step by step: stream-ad replay {out}/factory.csv --config {out}/demo.yaml "
        f"--label-column label --out {out}/again\n"
        '  with --baselines it also judges usual detectors (pip install "stream-ad[eval]")'
    )
