"""What can go wrong with a cluster of one's own.

::

    ClusterError
      KafkaUnavailable   Java or Maven is missing, or too old, or cannot reach its repository
      PortTaken          another program listens there
      BrokerFailed       a broker ended, or did not come up in time
"""

from __future__ import annotations


class ClusterError(Exception):
    """The cluster cannot be started or used; the message says what to do."""


class KafkaUnavailable(ClusterError):
    """Apache Kafka cannot run on this machine: the tests that need it are skipped."""


class PortTaken(ClusterError):
    """A port that was asked for cannot be listened on."""


class BrokerFailed(ClusterError):
    """A broker ended by itself or does not answer; carries the end of its log."""
