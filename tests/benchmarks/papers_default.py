"""What stands for the default for tables: the one place to change when another is chosen."""

from __future__ import annotations

from typing import Any

# Settings of `Detector`, none of them per set; empty: the Detector as it comes.
TABLE_DEFAULT: dict[str, Any] = {}

DEFAULT = "default"
SHIPPED = "linear/joined"  # the Detector as it comes, whatever the default for tables is
