"""Names of folders on the command line: an empty one would mean the folder one is in."""

from __future__ import annotations

from pathlib import Path

from stream_ad.errors import ConfigError


def named(out: str) -> str:
    """Return a name of a folder, or a URI.

    Raises
    ------
    ConfigError
        It is empty, as an unset variable of a shell makes it.

    Examples
    --------
    >>> named("")
    Traceback (most recent call last):
    ...
    stream_ad.errors.ConfigError: --out = '': allowed is the name of a folder (. is the one you \
are in)
    """
    if not out.strip():
        raise ConfigError("--out", out, "the name of a folder (. is the one you are in)")
    return out


def folder(out: str | Path) -> Path:
    """Return the path of a folder by its name; see `named`."""
    return Path(named(str(out)))
