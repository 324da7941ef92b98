"""The checkpoint of a replay: where it is, what every machine remembers, how long outputs are."""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from stream_ad.errors import StateError
from stream_ad.transport.durable import put

NAME = "checkpoint.json"
ADVICE = "use another folder, or delete checkpoint.json to start anew"


@dataclass(frozen=True, slots=True)
class Run:
    """What a checkpoint belongs to: digests of input, config and window grid."""

    input: str
    config: str
    windows: str

    def differences(self, other: Run) -> list[str]:
        """Return the names of the parts in which two runs differ."""
        mine, theirs = asdict(self), asdict(other)
        return [name for name in mine if mine[name] != theirs[name]]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One commit of a replay, whole.

    Parameters
    ----------
    run : Run
    position : int
        Records of the input that are behind it.
    lengths : mapping of str to int
        Bytes of each output that stand for those records.
    states : mapping of str to bytes
        By machine.
    extra : mapping of str
        What the caller wants to find again; JSON values.
    finished : bool
        Whether the outputs are complete and sorted.

    Examples
    --------
    >>> c = Checkpoint(Run("a", "b", "c"), 7, {"scores.csv": 80}, {"press-1": b"state"})
    >>> Checkpoint.from_json(c.to_json()) == c
    True
    """

    run: Run
    position: int
    lengths: Mapping[str, int]
    states: Mapping[str, bytes]
    extra: Mapping[str, Any] = field(default_factory=dict)
    finished: bool = False

    def to_json(self) -> bytes:
        """Return the file's content, its own digest included."""
        states = {machine: b64encode(self.states[machine]).decode() for machine in self.states}
        tree = {
            "finished": self.finished,
            "position": self.position,
            "run": asdict(self.run),
            "lengths": dict(self.lengths),
            "extra": dict(self.extra),
            "states": states,
        }
        body = orjson.dumps(tree)
        return b'{"sha256":"%s",' % hashlib.sha256(body).hexdigest().encode() + body[1:] + b"\n"

    @classmethod
    def from_json(cls, content: bytes) -> Checkpoint:
        """Read one back.

        Raises
        ------
        StateError
            For content that is damaged.
        """
        try:
            tree = orjson.loads(content)
            digest = tree.pop("sha256")
            if digest != hashlib.sha256(orjson.dumps(tree)).hexdigest():
                raise StateError("the content does not fit its digest")
            states = {m: b64decode(text, validate=True) for m, text in tree.pop("states").items()}
            return _ADAPTER.validate_python(tree | {"states": states})
        except (ValueError, KeyError, AttributeError, TypeError, binascii.Error) as error:
            kind = "fields" if isinstance(error, ValidationError) else "JSON"
            raise StateError(f"the {kind} cannot be read") from error


_ADAPTER = TypeAdapter(Checkpoint)


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the checkpoint of a folder, or None where there is none.

    Raises
    ------
    StateError
        For one that is damaged.
    """
    path = folder / NAME
    try:
        return Checkpoint.from_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, StateError) as error:
        raise StateError(f"{path}: damaged ({error}); {ADVICE}") from error


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint of a folder, all of it or nothing.

    Raises
    ------
    OutputError
        Where it cannot be written; the former one stays.
    """
    put(folder / NAME, checkpoint.to_json())
