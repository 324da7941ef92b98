"""The detectors of all machine groups in a registry."""

from __future__ import annotations

from stream_ad.config.groups import DEFAULT
from stream_ad.errors import ArtifactNotFound
from stream_ad.groups import Groups
from stream_ad.training.registry import Registry
from stream_ad.versions import Version
from stream_ad.windows import WindowSpec


def load_all(registry: Registry, spec: WindowSpec, groups: Groups) -> list[Version]:
    """Load all versions that may still score, group by group, each in the order of promotion.

    Parameters
    ----------
    registry : Registry
    spec : WindowSpec
        The grid that they must have been made for.
    groups : Groups
        Their settings: device and budget.

    Raises
    ------
    ArtifactNotFound
        If no group has one.
    ArtifactError
        If one of them cannot be trusted.
    """
    found: list[Version] = []
    missing: dict[str, ArtifactNotFound] = {}
    for name in groups.names:
        try:
            found += registry.load(spec, groups.config(name), name)
        except ArtifactNotFound as error:
            missing[name] = error
    if not found:
        raise missing[DEFAULT]
    return found
