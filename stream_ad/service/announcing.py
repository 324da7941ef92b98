"""Promotions of a registry, told on the models topic by the trainer that leads."""

from __future__ import annotations

from collections.abc import Sequence

from stream_ad.config import Config
from stream_ad.records import ModelRecord
from stream_ad.service.readiness import insistently
from stream_ad.service.shell import Shell
from stream_ad.training.promotions import Promotion
from stream_ad.transport.kafka.announcements import Announcements
from stream_ad.transport.kafka.announcer import Announcer
from stream_ad.transport.kafka.clients import announcer


class Announcing:
    """Makes up for every announcement that is missing, whoever promoted and died, or was cut off.

    Parameters
    ----------
    config : Config
    shell : Shell
    """

    def __init__(self, config: Config, shell: Shell) -> None:
        kafka = config.kafka
        # first of all, as it ends what a predecessor left open and keeps it from telling more
        self._announcer = insistently(
            lambda: Announcer(kafka, lambda: announcer(kafka)),
            "starting to announce",
            config,
            shell,
        )

        def told() -> list[ModelRecord]:
            follower = Announcements(kafka, shell.log.warning)
            try:
                return follower.so_far()
            finally:
                follower.close()

        records = insistently(told, "reading announcements", config, shell)
        self._told = {(one.machine_group, one.promotion) for one in records}

    def tell(self, promotions: Sequence[Promotion]) -> None:
        """Tell of those promotions that nobody has told of.

        Raises
        ------
        Fenced
            Another trainer leads by now.
        Undelivered
            The brokers did not take it: begin with another one.
        BrokerError
            They never will.
        """
        missing = [one for one in promotions if (one.group, one.number) not in self._told]
        if missing:
            self._announcer.tell([one.record() for one in missing])
            self._told |= {(one.group, one.number) for one in missing}

    def close(self) -> None:
        """End the producer."""
        self._announcer.close()
