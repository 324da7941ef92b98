"""A detector on disk: a readable card and two files of tensors, each with its digest.

::

    PATH/
    ├── card.json             what it is, how it was made, SHA-256 of itself and the others
    ├── weights.safetensors   the model
    └── arrays.safetensors    scaler, bank, calibration, alarm line

Nothing is ever unpickled: a card is JSON, the rest are plain numbers.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from stream_ad.errors import ArtifactCorrupt, ArtifactMismatch, ArtifactNotFound, OutputError

FORMAT = 4
SEAL = "sha256"
ADVICE = "copy the whole folder again from where it is sound, or train anew into an empty one"
CARD, WEIGHTS, ARRAYS = "card.json", "weights.safetensors", "arrays.safetensors"

Arrays = dict[str, NDArray[Any]]


def write_artifact(path: Path, card: Mapping[str, Any], weights: Arrays, arrays: Arrays) -> None:
    """Write an artifact so that a reader finds the whole of it or nothing.

    Parameters
    ----------
    path : Path
        The folder; an artifact that is already there is replaced.
    card : dict
        JSON values; ``format``, ``files`` and ``sha256`` are added.
    weights, arrays : dict of arrays

    Raises
    ------
    OutputError
        When the folder cannot be written or holds something else.
    """
    files = {WEIGHTS: _packed(weights), ARRAYS: _packed(arrays)}
    digests = {name: {"sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()}
    files[CARD] = sealed({"format": FORMAT, **card, "files": digests})
    fresh = path.parent / f".{path.name}.{os.getpid()}.new"
    try:
        if path.exists() and not (path / CARD).is_file() and any(path.iterdir()):
            raise OutputError(
                f"{path} holds something that is not an artifact: choose another folder"
            )
        _write_folder(fresh, files)
        _swap_in(fresh, path)
    except OSError as cause:
        shutil.rmtree(fresh, ignore_errors=True)
        raise OutputError(f"cannot write the artifact {path}: {cause.strerror or cause}") from cause


def sealed(card: Mapping[str, Any]) -> bytes:
    """Return a card as it stands on disk, with the digest of everything in it.

    Examples
    --------
    >>> orjson.loads(sealed({"k": 10})) == {"k": 10, "sha256": _seal({"k": 10})}
    True
    """
    plain = orjson.loads(orjson.dumps(card, option=orjson.OPT_SERIALIZE_NUMPY))
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(plain | {SEAL: _seal(plain)}, option=options)


def _seal(card: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in card.items() if key != SEAL}
    return hashlib.sha256(orjson.dumps(rest, option=orjson.OPT_SORT_KEYS)).hexdigest()


def read_artifact(path: Path) -> tuple[dict[str, Any], Arrays, Arrays]:
    """Read card, weights and arrays, and check that they belong together.

    Raises
    ------
    ArtifactNotFound
        When one of the three files is missing.
    ArtifactCorrupt
        When the card cannot be read or a file does not match its digest.
    ArtifactMismatch
        When the artifact has a format that this version does not read.
    """
    card = _read_card(path)
    weights, arrays = (_verified(path, name, card) for name in (WEIGHTS, ARRAYS))
    return card, weights, arrays


def card_digest(path: str | Path) -> str:
    """Return the SHA-256 of an artifact's card, which covers the other files' digests.

    Raises
    ------
    ArtifactNotFound
    """
    return hashlib.sha256(_bytes(Path(path) / CARD)).hexdigest()


def pack_names(names: NDArray[np.object_], prefix: str) -> Arrays:
    """Store machine ids as numbers: a JSON list of the different ones, and places in it.

    Examples
    --------
    >>> packed = pack_names(np.array(["b", "a", "b"], object), "bank.")
    >>> packed["bank.machine"], bytes(packed["bank.machines"])
    (array([1, 0, 1]), b'["a","b"]')
    >>> unpack_names(packed, "bank.")
    array(['b', 'a', 'b'], dtype=object)
    """
    different, places = np.unique(names.astype(str), return_inverse=True)
    text = orjson.dumps([str(name) for name in different])
    return {
        f"{prefix}machine": places.reshape(-1).astype(np.int64),
        f"{prefix}machines": np.frombuffer(text, np.uint8),
    }


def unpack_names(arrays: Arrays, prefix: str) -> NDArray[np.object_]:
    """Restore what `pack_names` stored."""
    different = np.array(orjson.loads(bytes(arrays[f"{prefix}machines"])), dtype=object)
    names: NDArray[np.object_] = different[arrays[f"{prefix}machine"]]
    return names


def _packed(arrays: Arrays) -> bytes:
    return safetensors.numpy.save({name: np.ascontiguousarray(a) for name, a in arrays.items()})


def _write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, data in files.items():
        with (folder / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    _sync(folder)


def _swap_in(fresh: Path, path: Path) -> None:
    """Put the fresh folder in the place of the old one, if there is any."""
    old = path.parent / f".{path.name}.{os.getpid()}.old"
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
        path.rename(old)
    fresh.rename(path)
    _sync(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as cause:
        reason = cause.strerror or cause
        raise ArtifactNotFound(f"no artifact in {file.parent}: {file.name}: {reason}") from cause


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = orjson.loads(_bytes(path / CARD))
    except orjson.JSONDecodeError as cause:
        raise ArtifactCorrupt(f"{path / CARD} is not readable JSON ({cause}): {ADVICE}") from cause
    if not isinstance(card, dict) or not isinstance(card.get("files"), dict):
        raise ArtifactCorrupt(f"{path / CARD} is not the card of a detector: {ADVICE}")
    if card.get("format") != FORMAT:
        raise ArtifactMismatch(
            f"{path} has artifact format {card.get('format')!r}; this version reads {FORMAT}"
        )
    if card.get(SEAL) != _seal(card):
        raise ArtifactCorrupt(
            f"{path / CARD} was changed, its sha256 is not that of its content: {ADVICE}"
        )
    return card


def _verified(path: Path, name: str, card: dict[str, Any]) -> Arrays:
    data = _bytes(path / name)
    entry = card["files"].get(name)
    asked = entry.get("sha256") if isinstance(entry, dict) else None
    given = hashlib.sha256(data).hexdigest()
    if given != asked:
        raise ArtifactCorrupt(
            f"{path / name} is damaged or another detector's (SHA-256 {given}; its card says "
            f"{asked}): {ADVICE}"
        )
    try:
        arrays: Arrays = safetensors.numpy.load(data)
    except (SafetensorError, ValueError, KeyError) as cause:
        raise ArtifactCorrupt(
            f"{path / name} is not a safetensors file ({cause}): {ADVICE}"
        ) from cause
    return arrays
