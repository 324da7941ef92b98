"""A registry in a folder of this machine, or in one that is mounted."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream_ad.errors import ArtifactNotFound, RegistryConflict, RegistryError
from stream_ad.training.store import Save
from stream_ad.transport.durable import TEMPORARY, writing

PATIENCE_S = 120.0  # for another writer: it saves, or fetches, one detector
UNFINISHED = re.compile(r"\.\d{6,}\..+")  # what a writer leaves that dies; no reader looks at it


class LocalStore:
    """A folder; see `stream_ad.training.store.Store`.

    Parameters
    ----------
    root : Path
        It need not exist before something is written.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.where = root, str(root)

    def versions(self, group: str) -> list[int]:
        """Return the numbers of the detectors in a group, ascending."""
        names = (path.name for path in _entries(self.root / group))
        return sorted(int(name) for name in names if name.isdecimal())

    def free(self, group: str) -> int:
        """Return the first number that no detector uses."""
        return max(self.versions(group), default=0) + 1

    def add(self, folder: str, save: Save) -> None:
        """Let ``save`` write a detector's folder, which it does beside and renames."""
        save(self.root / folder)

    def fetch(self, folder: str, digest: str | None = None) -> Path:  # noqa: ARG002 - is at hand
        """Return where a detector lies."""
        return self.root / folder

    def remove(self, folder: str) -> None:
        """Remove a detector: at once for readers, then its bytes."""
        path = self.root / folder
        gone = path.with_name(f".{path.name}.gone")
        with writing(path):
            path.rename(gone)
            _sync(path.parent)
            shutil.rmtree(gone)

    def read(self, path: str) -> bytes:
        """Return a file."""
        with _reading(self.root / path):
            return (self.root / path).read_bytes()

    def read_all(self, folder: str) -> dict[str, bytes]:
        """Return all files of a folder by name."""
        files = [path for path in _entries(self.root / folder) if not path.name.startswith(".")]
        return {path.name: self.read(f"{folder}/{path.name}") for path in files}

    def create(self, path: str, data: bytes) -> None:
        """Write a file that is not there yet, durably."""
        final = self.root / path
        temporary = final.with_name(f".{final.name}{TEMPORARY}")
        with writing(final):
            make(final.parent)
            try:
                _write(temporary, data)
                _link(temporary, final)
            finally:
                temporary.unlink(missing_ok=True)
            _sync(final.parent)

    @contextmanager
    def turn(self, group: str) -> Iterator[None]:
        """Wait until nobody else writes in a group, and clear what a dead writer left."""
        folder = self.root / group
        with writing(folder):
            make(folder)
        with alone(folder):
            with writing(folder):
                clear(folder)
            yield


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes and threads that ask for it out of a folder, or wait for them.

    Raises
    ------
    RegistryConflict
        Somebody else does not end.
    """
    with writing(folder):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _lock(handle, folder)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > end:
                raise RegistryConflict(
                    f"{folder}: another process has been writing here for {PATIENCE_S:g} s"
                ) from error
        time.sleep(0.02)


def clear(folder: Path) -> None:
    """Remove what dead writers left in a group's folder; to be called when `alone`."""
    for path in _entries(folder):
        if UNFINISHED.fullmatch(path.name):
            shutil.rmtree(path)
        elif path.is_dir() and not path.name.startswith("."):
            for left in path.glob(f".*{TEMPORARY}"):
                left.unlink(missing_ok=True)


def _link(temporary: Path, final: Path) -> None:
    """Give a complete file its name, unless another one has it."""
    try:
        os.link(temporary, final)
    except OSError as error:
        if final.exists():
            raise RegistryConflict(f"{final}: another process has made it meanwhile") from error
        temporary.replace(final)  # a file system without links; whose turn it is writes alone


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def make(folder: Path) -> None:
    """Make a folder; it is there after a power cut, too."""
    if not folder.is_dir():
        make(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _entries(folder: Path) -> list[Path]:
    with _reading(folder):
        return [*folder.iterdir()] if folder.is_dir() else []


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ArtifactNotFound(f"{path}: no such file") from error
    except OSError as error:
        raise RegistryError(f"{path}: cannot be read ({error.strerror or error})") from error
