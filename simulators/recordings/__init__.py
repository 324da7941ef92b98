"""Small recordings of real machines that may be passed on; see the README beside them."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

NAMES = ("hydraulic",)


def path(name: str) -> Path:
    """Return the CSV file of a recording, one of `NAMES`.

    Examples
    --------
    >>> path("hydraulic").name
    'hydraulic.csv'
    """
    if name not in NAMES:
        raise ValueError(f"recording: {name!r} is not one of {', '.join(NAMES)}")
    return _here() / f"{name}.csv"


def about() -> Path:
    """Return the README with sources, licences, columns and what was changed."""
    return _here() / "README.md"


def _here() -> Path:
    return Path(str(files(__name__)))
