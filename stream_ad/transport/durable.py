"""Files whose bytes are known to lie on the disk, and what to say when they cannot."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream_ad.errors import OutputError, StateError

TEMPORARY = ".part"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Translate what the operating system says while a path is written.

    Raises
    ------
    OutputError
        With path, reason and what to do.
    """
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise OutputError(
            f"{error.filename or path}: a file stands where a folder is wanted; name another folder"
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path}: cannot be written ({reason}); free space or correct the rights,"
            " then run the same command again: it resumes"
        ) from error


def put(path: Path, data: bytes) -> None:
    """Write a small file: all of it or nothing, even at power cut; a former one is replaced.

    Raises
    ------
    OutputError
        Where it cannot be written; the former one stays.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     put(Path(folder) / "a.json", b"{}")
    ...     [file.name for file in Path(folder).iterdir()]
    ['a.json']
    """
    temporary = _temporary(path)
    with writing(path):
        try:
            temporary.write_bytes(data)
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                _rename(temporary, path, folder)
            finally:
                os.close(folder)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}{TEMPORARY}")


def _rename(temporary: Path, path: Path, folder: int) -> None:
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    os.fsync(folder)


class AppendFile:
    """A file that grows at its end; ``length`` counts what was written, durable or not.

    Parameters
    ----------
    path : Path
    head : bytes
        Stands at the beginning of a new file.
    length : int, optional
        Go on after so many bytes and drop the others; None starts anew.

    Raises
    ------
    StateError
        Where the file is shorter than ``length``.
    OutputError
        Where it cannot be written.
    """

    def __init__(self, path: Path, head: bytes, length: int | None) -> None:
        self.path, self.length = path, 0
        with writing(path):
            # unbuffered, so that nothing is left to fail when the file is closed
            self._file = path.open("r+b" if length and path.exists() else "wb", buffering=0)
        try:
            self._cut(length or 0)
            if not self.length:
                self.append(head)
        except Exception:
            self.close()
            raise

    def _cut(self, length: int) -> None:
        with writing(self.path):
            there = self._file.seek(0, os.SEEK_END)
            if there < length:
                raise StateError(
                    f"{self.path}: has {there} bytes where the checkpoint knows {length}; use"
                    " another folder, or delete checkpoint.json to start anew"
                )
            self._file.seek(length)
            self._file.truncate()
        self.length = length

    def append(self, data: bytes) -> None:
        """Write at the end."""
        left = memoryview(data)
        with writing(self.path):
            while left:
                left = left[self._file.write(left) :]
        self.length += len(data)

    def sync(self) -> None:
        """Return once everything written so far would survive a power cut."""
        with writing(self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Release the file; safe to repeat."""
        self._file.close()


class Folder:
    """An output folder that only one run writes at a time.

    Attributes
    ----------
    made : bool
        Whether it was not there before.

    Raises
    ------
    OutputError
        Where it cannot be made, or another run is writing it.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.made = path, not path.exists()
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._clear()
        except BlockingIOError as error:
            self.close()
            raise OutputError(f"{path}: another run is writing this folder") from error
        except Exception:
            self.close()
            raise

    def _clear(self) -> None:
        with writing(self.path):
            for left in self.path.glob(f".*{TEMPORARY}"):
                left.unlink(missing_ok=True)

    def temporary(self, name: str) -> Path:
        """Return the path of a file that the next run removes, should this one die."""
        return _temporary(self.path / name)

    def put(self, name: str, temporary: Path) -> None:
        """Give a complete temporary file its name: all of it or nothing, even at power cut."""
        with writing(self.path / name):
            _rename(temporary, self.path / name, self._handle)

    def close(self) -> None:
        """Let others write; safe to repeat."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
