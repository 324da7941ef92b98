"""Fixtures of the benchmarks' own tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.benchmarks.recordings import FAMILIES


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of the recorded streams.

    Without them a test is skipped; in CI that is a failure, since skipped is not passed.
    """
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    data = Path(os.environ.get("STREAM_AD_DATA") or beside)
    folders = [*FAMILIES, "hydraulic"]
    absent = [folder for folder in folders if not (data / folder).is_dir()]
    if not absent:
        return data
    reason = (
        f"no recorded streams of {', '.join(absent)}: set STREAM_AD_DATA to the folder that "
        f"holds {', '.join(folders)}"
    )
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason)
