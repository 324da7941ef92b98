"""What a test does where Kafka cannot run: skipped is not passed, so not in CI."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test that asks, or fail it where the environment says ``CI=true``."""
    if os.environ.get("CI") == "true":
        said = f"tests on Kafka must not be skipped in CI: {reason}"
        raise pytest.fail.Exception(said, pytrace=False) from None
    raise pytest.skip.Exception(f"no Kafka here: {reason}") from None
