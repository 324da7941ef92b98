"""Copies of detectors on this machine, of a registry that lies elsewhere."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from stream_ad.errors import ArtifactError, OutputError
from stream_ad.training.local_store import alone, clear, make
from stream_ad.transport.durable import TEMPORARY, writing


class ArtifactCache:
    """A folder of copies that the processes of a machine share.

    Parameters
    ----------
    of : str
        Whose copies they are.
    root : Path, optional
        By default ``stream-ad/models`` in ``XDG_CACHE_HOME`` or ``~/.cache``.

    Raises
    ------
    OutputError
        The user has no folder of their own.
    """

    def __init__(self, of: str, root: Path | None = None) -> None:
        self._root = (root or _of_user()) / hashlib.sha256(of.encode()).hexdigest()[:16]

    def place(self, folder: str) -> Path:
        """Return where the copy of a detector lies, or would lie."""
        return self._root / folder

    def has(self, folder: str, digest: str) -> bool:
        """Say whether a detector is there, whole, with a card of that digest."""
        from stream_ad.detector.artifact import card_digest, read_artifact

        try:
            if card_digest(self.place(folder)) != digest:
                return False
            read_artifact(self.place(folder))
        except ArtifactError:
            return False
        return True

    @contextmanager
    def beside(self, folder: str) -> Iterator[Path]:
        """Give an empty folder beside a detector's place; to one process at a time.

        Raises
        ------
        OutputError
            It cannot be written.
        RegistryConflict
            Another process does not end.
        """
        place = self.place(folder)
        with writing(place.parent):
            make(place.parent)
        with alone(place.parent):
            with writing(place):
                clear(place.parent)
                fresh = tempfile.mkdtemp(TEMPORARY, f".{place.name}.", place.parent)
            try:
                yield Path(fresh)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)

    def keep(self, fresh: Path, folder: str, others: Collection[str]) -> None:
        """Give a folder from `beside` its place; of its group only ``others`` stay."""
        place = self.place(folder)
        with writing(place):
            shutil.rmtree(place, ignore_errors=True)
            fresh.rename(place)
            for old in place.parent.iterdir():
                if old.name.isdecimal() and old.name not in {place.name, *others}:
                    shutil.rmtree(old, ignore_errors=True)

    def drop(self, folder: str) -> None:
        """Forget a detector; nothing happens where there is no copy."""
        shutil.rmtree(self.place(folder), ignore_errors=True)


def _of_user() -> Path:
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError as error:  # a user without a home
        raise OutputError("no folder for fetched detectors: set XDG_CACHE_HOME to one") from error
    return folder / "stream-ad" / "models"
