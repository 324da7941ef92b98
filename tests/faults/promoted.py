"""Whether what was promoted, announced, activated and scored by is one and the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import orjson

from stream_ad.config import load_config
from stream_ad.errors import ArtifactError
from stream_ad.records import ActivationRecord, ModelRecord
from stream_ad.training.promotions import Promotion, loadable
from stream_ad.training.registry import Registry
from stream_ad.transport.kafka.activations import is_activation
from stream_ad.windows import WindowSpec
from tests.benchmarks.table import Figure
from tests.faults.outcome import Outcome
from tests.faults.site import Service
from tests.kafka.clients import records


@dataclass(frozen=True)
class Promoted:
    """What a run left of its promotions.

    Parameters
    ----------
    promotions : list of Promotion
        Of the registry.
    broken : int
        Of those that can still score, how many cannot be loaded as they were promoted.
    announced : list of ModelRecord
    activations : dict of int to list of ActivationRecord
        By partition, in order.
    scored_by : dict of int to int
        Scores by version.
    """

    promotions: list[Promotion]
    broken: int
    announced: list[ModelRecord]
    activations: dict[int, list[ActivationRecord]]
    scored_by: dict[int, int]

    @classmethod
    def read(cls, service: Service, outcome: Outcome) -> Promoted:
        """Read the registry and the topics of a service that has come to its end."""
        config = load_config(service.config)
        registry, spec = Registry(str(config.registry.uri)), WindowSpec.from_config(config.windows)
        made, broken = registry.promotions(), 0
        for promotion in loadable(made, {*registry.numbers()}):
            try:
                registry.version(promotion, spec, config)
            except ArtifactError:
                broken += 1
        activations: dict[int, list[ActivationRecord]] = {}
        for row in outcome.states:
            if is_activation(row.key):
                found = ActivationRecord.model_validate_json(row.value)
                activations.setdefault(row.partition, []).append(found)
        scored_by: dict[int, int] = {}
        for row in outcome.scores:
            version = orjson.loads(row.value)["model_version"]
            scored_by[version] = scored_by.get(version, 0) + 1
        told = records(service.bootstrap, config.kafka.topics.models)
        announced = [ModelRecord.model_validate_json(row.value) for row in told]
        return cls(made, broken, announced, activations, scored_by)

    def figures(self) -> Iterator[Figure]:
        """Yield all figures of right and wrong."""
        made = {one.number: one.record() for one in self.promotions}
        told = {one.promotion: one for one in self.announced}
        counted = [one for partition in self.activations.values() for one in partition]
        versions = {one.model_version for one in counted}

        def wrong(what: str, number: int) -> Figure:
            return Figure(what, number, 0, "exactly", form=",d", correctness=True)

        yield Figure("promotions", len(made), 3, form=",d", correctness=True)
        yield Figure("versions that scored", len(self.scored_by), 2, form=",d", correctness=True)
        yield wrong("promotions that cannot be loaded", self.broken)
        yield wrong("promotions not announced", len(made.keys() - told.keys()))
        unlike = sum(record != made.get(number) for number, record in told.items())
        yield wrong("announcements unlike the registry", unlike)
        yield wrong("numbers missing between promotions", max(made) - len(made))
        yield wrong(
            "activations of what was not promoted",
            sum(one.promotion not in made for one in counted),
        )
        yield wrong("activations out of order", sum(map(_disorder, self.activations.values())))
        yield wrong(
            "scores by versions that counted nowhere",
            sum(n for version, n in self.scored_by.items() if version not in versions),
        )


def _disorder(activations: list[ActivationRecord]) -> int:
    """Return how many say an earlier promotion, or an earlier offset, than the one before."""
    return sum(
        one.promotion <= before.promotion or one.first_offset <= before.first_offset
        for before, one in pairwise(activations)
    )
