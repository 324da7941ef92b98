"""A buffer on disk, so that a restart is no cold start.

::

    FOLDER/
    ├── buffer.json                  what it is, its own SHA-256 and that of each of the others
    └── windows-DIGEST.safetensors   windows, some MiB a file

The windows are written first and ``buffer.json`` last, under new names: whoever reads finds the
whole of a buffer, the new one or the one before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from stream_ad.errors import StateError
from stream_ad.training.buffer import PLACES, Buffer
from stream_ad.training.slots import EMPTY, Slots
from stream_ad.transport.durable import TEMPORARY, put, writing
from stream_ad.windows import Windows, WindowSpec

FORM = 1
NAME, PARTS = "buffer.json", "windows-*.safetensors"
PART_BYTES = 1 << 23
ADVICE = "what it held can be learned anew from the records"
DAMAGE = OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, SafetensorError

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Saved:
    """A buffer as it was saved.

    Parameters
    ----------
    extra : dict
        What the caller saved with it.
    """

    extra: dict[str, Any]
    _folder: Path
    _card: dict[str, Any]

    def fill(self, buffer: Buffer) -> Buffer:
        """Return an empty buffer of the same window grid, filled with what was saved.

        Its limits may be others than they were. Its quarantine knows what the one of the saved
        buffer knew: whoever keeps that record saves it in ``extra``.

        Raises
        ------
        StateError
            For windows that are damaged or not there.
        """
        card = self._card
        try:
            names = np.array(card["machines"], object)
            for name, digest in card["files"].items():
                arrays = _part(self._folder / name, digest)
                windows = Windows(
                    names[arrays["machine"]], arrays["start"], arrays["values"], arrays["offset"]
                )
                buffer.restore(windows, arrays["place"], arrays["label"])
            buffer.go_on(card["taken"], card["first"], heard=card["heard"])
        except (StateError, *DAMAGE) as error:
            raise _damaged(self._folder, error) from error
        return buffer


def save(folder: Path, buffer: Buffer, extra: Mapping[str, Any]) -> None:
    """Write a buffer so that a reader finds the whole of it, or the one before.

    Parameters
    ----------
    folder : Path
        Made if need be; of one process at a time.
    buffer : Buffer
    extra : mapping of str
        JSON values that belong to it, such as positions and the record of the quarantine.

    Raises
    ------
    OutputError
        Where it cannot be written; the one before stays.
    """
    buffer.trim()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    files = dict(_write(folder, part) for part in _parts(buffer.slots))
    card = {
        "form": FORM,
        "windows": buffer.spec.digest(),
        "machines": buffer.slots.names.tolist(),
        "taken": buffer.taken,
        "first": buffer.first,
        "heard": buffer.heard,
        "files": files,
        "extra": dict(extra),
    }
    body = orjson.dumps(card, option=orjson.OPT_SORT_KEYS)
    put(folder / NAME, b'{"sha256":"%s",' % _digest(body).encode() + body[1:] + b"\n")
    _clear(folder, {NAME, *files})


def load(folder: Path, spec: WindowSpec) -> Saved:
    """Find what was saved.

    Raises
    ------
    StateError
        Where nothing was saved, or what was is damaged or of another window grid: the caller may
        begin anew.
    """
    try:
        content = (folder / NAME).read_bytes()
    except FileNotFoundError as error:
        raise StateError(f"{folder}: no buffer was saved there") from error
    except OSError as error:
        raise _damaged(folder, error) from error
    card = _card(folder, content)
    if (card.get("form"), card.get("windows")) != (FORM, spec.digest()):
        raise StateError(
            f"{folder}: the buffer was saved with other window settings, or by another version of "
            f"this program; {ADVICE}"
        )
    return Saved(card["extra"], folder, card)


def _card(folder: Path, content: bytes) -> dict[str, Any]:
    try:
        card: dict[str, Any] = orjson.loads(content)
        said = card.pop("sha256")
        if said != _digest(orjson.dumps(card, option=orjson.OPT_SORT_KEYS)):
            raise StateError(f"{NAME} does not fit its own digest")
    except (StateError, *DAMAGE) as error:
        raise _damaged(folder, error) from error
    return card


def _parts(slots: Slots) -> Iterator[Arrays]:
    rows = np.flatnonzero(slots.place != EMPTY)
    step = max(1, PART_BYTES // max(1, slots.values[:1].nbytes))
    for first in range(0, len(rows), step):
        some = rows[first : first + step]
        names = ("machine", "start", "offset", "values", "place", "label")
        yield {name: getattr(slots, name).take(some, axis=0) for name in names}


def _write(folder: Path, part: Arrays) -> tuple[str, str]:
    data = safetensors.numpy.save(part)
    digest = _digest(data)
    name = PARTS.replace("*", digest[:16])
    put(folder / name, data)
    return name, digest


def _part(path: Path, digest: str) -> Arrays:
    data = path.read_bytes()
    if _digest(data) != digest:
        raise StateError(f"{path.name} does not fit its digest")
    arrays: Arrays = safetensors.numpy.load(data)
    if not np.isin(arrays["place"], PLACES).all():
        raise StateError(f"{path.name} has windows in no place")
    return arrays


def _clear(folder: Path, known: set[str]) -> None:
    """Remove what an earlier buffer, or one that was never complete, left."""
    with writing(folder):
        for path in [*folder.glob(PARTS), *folder.glob(f".*{TEMPORARY}")]:
            if path.name not in known:
                path.unlink(missing_ok=True)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _damaged(folder: Path, error: Exception) -> StateError:
    return StateError(f"{folder}: the saved buffer is damaged ({error}); {ADVICE}")
