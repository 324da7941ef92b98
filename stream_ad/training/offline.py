"""A detector from a recorded file, added to a registry."""

from __future__ import annotations

from pathlib import Path

from stream_ad.config import Config
from stream_ad.progress import Progress
from stream_ad.training.fit import ALL, learn_from
from stream_ad.training.registry import Registry
from stream_ad.transport.files import open_source
from stream_ad.versions import Version
from stream_ad.windows import WindowSpec


def train_from_file(
    file: Path, config: Config, uri: str, train_until: str | None, progress: Progress
) -> Version:
    """Fit a detector on the history in a file and publish it.

    Parameters
    ----------
    file : Path
    config : Config
    uri : str
        Folder of the registry.
    train_until : str or None
        Where the history ends, as in a replay; None takes the whole file.
    progress : Progress

    Returns
    -------
    Version
        It takes effect right after its history.

    Raises
    ------
    StreamAdError
        Of the input, the config, the history or the disk.
    """
    registry = Registry(uri)
    spec = WindowSpec.from_config(config.windows)
    source = open_source(file, config, spec)
    detector, history = learn_from(
        source, config, spec, ALL if train_until is None else train_until, progress
    )
    return registry.publish(detector, history.until + 1, f"trained from {file.name}")
