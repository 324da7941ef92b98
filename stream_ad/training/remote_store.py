"""A registry in another store, by any URI that fsspec knows, with a cache on this machine.

There is no renaming there. A writer claims a number, puts the files, the card last; what has no
card is no version. A version counts by its promotion, a single object.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from uuid import uuid4

from stream_ad.errors import (
    ArtifactError,
    ArtifactNotFound,
    ConfigError,
    MissingDependency,
    RegistryConflict,
    RegistryError,
    StreamAdError,
)
from stream_ad.training.artifact_cache import ArtifactCache
from stream_ad.training.promotions import now_text
from stream_ad.training.store import CARD, Save, folder_of
from stream_ad.windows.spec import NS, parse_rfc3339

CLAIM = "claimed"  # says since when a number is somebody's, and whose
LEFT_OVER_S = 86_400.0  # who has not put a card by then is dead


class RemoteStore:
    """What fsspec reaches; see `stream_ad.training.store.Store`.

    Parameters
    ----------
    uri : str
    cache : Path, optional
        By default ``stream-ad/models`` in the user's folder for caches.

    Raises
    ------
    ConfigError, MissingDependency
        For a URI that cannot be used here.

    Notes
    -----
    That only one of two writers makes a file needs a store that refuses to replace one when it is
    asked to (fsspec's ``mode="create"``). In others two writers at the same moment are told from
    what stands there afterwards, which works badly when one of them is slow. A store that shows
    files that are half written, such as SFTP, works badly when a writer dies: half a promotion is
    refused by every reader until somebody removes it.

    Examples
    --------
    >>> RemoteStore("memory://nobody/models").versions("default")
    []
    >>> RemoteStore("nowhere://models")
    Traceback (most recent call last):
    ...
    stream_ad.errors.ConfigError: registry.uri = 'nowhere://models': allowed is the path of a \
folder, or a URI that fsspec knows (Protocol not known: nowhere)
    """

    def __init__(self, uri: str, cache: Path | None = None) -> None:
        import fsspec

        self.where = re.sub(r"://[^/@]*@", "://", uri.rstrip("/"))  # without a password
        try:
            self._fs, root = fsspec.url_to_fs(uri)
        except ImportError as error:
            raise MissingDependency(f"registry.uri = {self.where!r}: {error}") from error
        except ValueError as error:
            allowed = f"the path of a folder, or a URI that fsspec knows ({error})"
            raise ConfigError("registry.uri", self.where, allowed) from error
        except Exception as error:
            raise _unreachable(self.where, error) from error
        self._root, self._cache = root.rstrip("/"), ArtifactCache(self.where, cache)

    def versions(self, group: str) -> list[int]:
        """Return the numbers of the detectors in a group, ascending."""
        return sorted(n for n, names in self._folders(group).items() if CARD in names)

    def free(self, group: str) -> int:
        """Return the first number that nobody has claimed."""
        return max(self._folders(group), default=0) + 1

    def add(self, folder: str, save: Save) -> None:
        """Let ``save`` write a detector's folder in the cache, and put it, the card last."""
        self.create(f"{folder}/{CLAIM}", f"{now_text()} {uuid4().hex}".encode())
        with self._cache.beside(folder) as temporary:
            fresh = temporary / "new"
            save(fresh)
            with self._asking(folder):
                for file in sorted(fresh.iterdir(), key=lambda file: file.name == CARD):
                    self._put(f"{folder}/{file.name}", partial(self._fs.put_file, str(file)))
            self._keep(fresh, folder)

    def fetch(self, folder: str, digest: str | None = None) -> Path:
        """Return where a detector lies in the cache; fetched and verified if it has to be."""
        wanted = digest or hashlib.sha256(self.read(f"{folder}/{CARD}")).hexdigest()
        if not self._cache.has(folder, wanted):
            with self._cache.beside(folder) as temporary:
                if not self._cache.has(folder, wanted):  # nobody has fetched it meanwhile
                    self._download(folder, temporary / "new")
                    self._keep(temporary / "new", folder)
        return self._cache.place(folder)

    def remove(self, folder: str) -> None:
        """Remove a detector: its card first, so that no reader sees half of it."""
        order = {CARD: 0, CLAIM: 2}
        with self._asking(folder):
            for name in sorted(self._names(folder), key=lambda name: order.get(name, 1)):
                self._fs.rm_file(self._path(f"{folder}/{name}"))
        with suppress(Exception):  # most stores know no folders, and an empty one is no version
            self._fs.rmdir(self._path(folder))
        self._cache.drop(folder)

    def read(self, path: str) -> bytes:
        """Return a file."""
        with self._asking(path):
            data: bytes = self._fs.cat_file(self._path(path))
        return data

    def read_all(self, folder: str) -> dict[str, bytes]:
        """Return all files of a folder by name."""
        with self._asking(folder):
            paths = {self._path(f"{folder}/{name}"): name for name in self._names(folder)}
            found = self._fs.cat([*paths]) if paths else {}
            return {name: found[path] for path, name in paths.items()}

    def create(self, path: str, data: bytes) -> None:
        """Write a file that is not there yet."""
        full = self._path(path)
        with self._asking(path):
            self._fs.invalidate_cache()
            if not self._fs.exists(full):
                with suppress(FileExistsError):  # by another writer, or by our own first try
                    self._put(path, lambda full: self._fs.pipe_file(full, data, mode="create"))
            if self._fs.cat_file(full) != data:
                raise FileExistsError(full)

    @contextmanager
    def turn(self, group: str) -> Iterator[None]:
        """Clear what dead writers left; who makes a file first decides, nobody waits."""
        for number, names in self._folders(group).items():
            folder = folder_of(number, group)
            if CARD not in names and self._left(folder, names):
                self.remove(folder)
        yield

    def _put(self, path: str, write: Callable[[str], None]) -> None:
        """Write a file, in a folder that is made first where a store has some."""
        try:
            write(self._path(path))
        except FileNotFoundError:
            names = path.split("/")[:-1]
            for depth in range(len(names) + 1):
                folder = "/".join([self._root, *names[:depth]])
                if "/" in folder.strip("/"):  # a bucket is not ours to make
                    with suppress(FileExistsError):
                        self._fs.mkdir(folder, create_parents=False)
            write(self._path(path))

    def _left(self, folder: str, names: set[str]) -> bool:
        if CLAIM not in names:
            return True
        try:
            since = parse_rfc3339(self.read(f"{folder}/{CLAIM}").decode().partition(" ")[0])
        except (ArtifactNotFound, ValueError):  # another writer is at it
            return False
        return time.time_ns() - since >= LEFT_OVER_S * NS

    def _folders(self, group: str) -> dict[int, set[str]]:
        """Return the names in each folder of a group that is called like a version."""
        found: dict[int, set[str]] = {}
        head = self._path(group) + "/"
        with self._asking(group):
            self._fs.invalidate_cache()
            paths: list[str] = []
            with suppress(FileNotFoundError):
                paths = self._fs.find(self._path(group))
        for path in paths:
            folder, _, name = path.removeprefix(head).partition("/")
            if folder.isdecimal() and name:
                found.setdefault(int(folder), set()).add(name)
        return found

    def _names(self, folder: str) -> list[str]:
        self._fs.invalidate_cache()
        try:
            found = self._fs.ls(self._path(folder), detail=False)
        except FileNotFoundError:
            return []
        return [path.rstrip("/").rpartition("/")[2] for path in found]

    def _download(self, folder: str, fresh: Path) -> None:
        from stream_ad.detector.artifact import read_artifact

        fresh.mkdir()
        with self._asking(folder):
            for name in self._names(folder):
                if name != CLAIM:
                    self._fs.get_file(self._path(f"{folder}/{name}"), str(fresh / name))
        try:
            read_artifact(fresh)
        except ArtifactError as error:
            raise type(error)(f"{self.where}/{folder}, as it was fetched: {error}") from error

    def _keep(self, fresh: Path, folder: str) -> None:
        group = folder.rpartition("/")[0]
        there = [folder_of(number, group) for number in self.versions(group)]
        self._cache.keep(fresh, folder, [name.rpartition("/")[2] for name in there])

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}"

    @contextmanager
    def _asking(self, path: str) -> Iterator[None]:
        """Translate what a store says: each has exceptions of its own."""
        try:
            yield
        except (StreamAdError, MemoryError):
            raise
        except FileNotFoundError as error:
            raise ArtifactNotFound(f"{self.where}/{path}: no such file") from error
        except FileExistsError as error:
            raise RegistryConflict(
                f"{self.where}/{path}: another process has made it meanwhile"
            ) from error
        except Exception as error:
            raise _unreachable(f"{self.where}/{path}", error) from error


def _unreachable(place: str, error: Exception) -> RegistryError:
    said = str(error).splitlines()[0] if str(error) else "no reason given"
    return RegistryError(f"{place}: cannot be reached ({type(error).__name__}: {said})")
