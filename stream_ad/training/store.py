"""Where a registry lies: a folder, or what fsspec reaches by a URI."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from stream_ad.errors import ConfigError

CARD = "card.json"

Save = Callable[[Path], None]


def folder_of(number: int, group: str) -> str:
    """Return where a version lies in a store.

    Examples
    --------
    >>> folder_of(12, "presses")
    'presses/000012'
    """
    return f"{group}/{number:06d}"


class Store(Protocol):
    """Small files that are made once and never changed, and folders of detectors.

    Paths are relative, with ``/``. A folder of a detector is there as a whole or not at all.
    """

    where: str

    def versions(self, group: str) -> list[int]:
        """Return the numbers of the detectors in a group, ascending."""
        ...

    def free(self, group: str) -> int:
        """Return the first number that no detector, complete or not, uses."""
        ...

    def add(self, folder: str, save: Save) -> None:
        """Let ``save`` write a detector's folder, which is not there yet."""
        ...

    def fetch(self, folder: str, digest: str | None = None) -> Path:
        """Return where a detector lies on this machine; a copy whose card has the digest will do.

        Raises
        ------
        ArtifactError
        """
        ...

    def remove(self, folder: str) -> None:
        """Remove a detector."""
        ...

    def read(self, path: str) -> bytes:
        """Return a file.

        Raises
        ------
        ArtifactNotFound, RegistryError
        """
        ...

    def read_all(self, folder: str) -> dict[str, bytes]:
        """Return all files of a folder by name; none where there is no such folder."""
        ...

    def create(self, path: str, data: bytes) -> None:
        """Write a file that is not there yet: all of it or nothing.

        Raises
        ------
        RegistryConflict
            It is there.
        """
        ...

    def turn(self, group: str) -> AbstractContextManager[None]:
        """Wait until nobody else writes in a group, and clear what a dead writer left."""
        ...


def open_store(uri: str, cache: Path | None = None) -> Store:
    """Return the store of a registry; nothing is asked of it yet.

    Parameters
    ----------
    uri : str
        Path of a folder, or a URI that fsspec knows.
    cache : Path, optional
        Where detectors of another store than a folder are kept on this machine.

    Raises
    ------
    ConfigError, MissingDependency
        For a URI that cannot be used here.

    Examples
    --------
    >>> open_store("file:///srv/models").where
    '/srv/models'
    """
    path = uri.removeprefix("file://")
    if not path.strip():
        raise ConfigError("registry.uri", uri, "the path of a folder, or a URI that fsspec knows")
    if "://" not in path:
        from stream_ad.training.local_store import LocalStore

        return LocalStore(Path(path))
    from stream_ad.training.remote_store import RemoteStore

    return RemoteStore(uri, cache)
