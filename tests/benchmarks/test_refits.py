"""The benchmark of refits: what is averaged, and a quick run."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.benchmarks import refits
from tests.benchmarks.refits import MEASURES, NEVER, OVERALL, Figures, Row, differences, means


def _row(family: str, stream: str, every: str, f1: float) -> Row:
    figures: Figures = dict.fromkeys((measure.key for measure in MEASURES), 0.0)
    return Row(family, stream, every, figures | {"f1": f1, "delay_windows": None})


def test_families_count_alike_however_many_streams_they_have() -> None:
    rows = [
        *(_row("a", stream, NEVER, f1) for stream, f1 in (("1", 0.2), ("2", 0.4))),
        *(_row("a", stream, "300", f1) for stream, f1 in (("1", 0.1), ("2", 0.1))),
        *(_row("b", "1", every, f1) for every, f1 in ((NEVER, 0.9), ("300", 1.0))),
    ]
    table = means(rows)
    assert table["a", NEVER]["f1"] == pytest.approx(0.3)
    assert table[OVERALL, NEVER]["f1"] == pytest.approx(0.6)
    assert table[OVERALL, "300"]["delay_windows"] is None
    assert differences(table).rows[1] == ["F1, after 300", "-0.200", "+0.100", "-0.050"]


def test_a_quick_run_refits_and_writes_its_page(real_data: Path, tmp_path: Path) -> None:
    page, file = tmp_path / "page.md", tmp_path / "figures.json"
    chosen = ["--families", "skab", "--every", "300", "--jobs", "1", "--data", str(real_data)]
    code = refits.main(["--quick", *chosen, "--markdown", str(page), "--json", str(file)])
    assert code == 0
    figures = orjson.loads(file.read_bytes())["figures"]
    assert (figures["never.refits"], figures["never.failed"]) == (0, 0)
    assert figures["300.refits"] + figures["300.failed"] >= 1
    assert "| never |" in page.read_text()
    with pytest.raises(SystemExit):
        refits.main(["--every", "9"])
