"""What became of the labels that a replay was given."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from stream_ad.config import Config
from stream_ad.groups import Groups
from stream_ad.records import LabelRecord
from stream_ad.windows.spec import parse_rfc3339

CAUSES = "training.on_labels, every_s, every_windows or on_drift"
ODD = "no_such_incident"


def in_vain(labels: Sequence[LabelRecord], config: Config) -> str | None:
    """Return a warning if no training will come that could learn from labels.

    Examples
    --------
    >>> label = LabelRecord(incident_id="0123456789abcdef", label="normal", machine_id="m",
    ...     machine_group="default", started_at="2024-01-01T00:00:00Z", ended_at=None,
    ...     labelled_at="2024-01-02T00:00:00Z")
    >>> in_vain([label], Config())[:60]
    'the labels will not be used: nothing says when to train anew'
    >>> in_vain([label.model_copy(update={"new_normal": "machine"})], Config())
    """
    groups = Groups(config)
    awake = {name for name in groups.names if groups.config(name).training.trains_anew}
    awake |= {groups.of(label.machine_id) for label in labels if label.new_normal != "no"}
    waits = [label for label in labels if groups.of(label.machine_id) not in awake]
    if not waits:
        return None
    which = "the labels" if len(waits) == len(labels) else f"{len(waits):,} labels"
    return f"{which} will not be used: nothing says when to train anew ({CAUSES})"


def account(
    labels: Sequence[LabelRecord],
    groups: Groups,
    records: Mapping[str, Mapping[str, Any]],
    machines: Collection[str],
) -> dict[str, int]:
    """Count labels by what became of them.

    Parameters
    ----------
    labels : sequence of LabelRecord
    groups : Groups
    records : mapping of str to dict
        Of each group, as of `Retraining`, when the replay is over.
    machines : collection of str
        Of the recording.

    Returns
    -------
    dict
        ``given`` = ``used`` + ``no_such_machine`` + ``after_the_end`` + ``no_training_after``;
        ``no_such_incident``: labels of any of these that name an incident which this run did not
        open on a machine that it has. What it says of a span counts all the same.
    """
    counts = dict.fromkeys(("given", "used", *_WORDS), 0)
    for label in labels:
        record = records.get(groups.of(label.machine_id), {})
        incident = record.get("quarantine", {}).get(label.incident_id)
        here = label.machine_id in machines
        counts["given"] += 1
        counts[ODD] += here and (incident is None or incident["told"] is None)
        counts[_fate(label, record) if here else "no_such_machine"] += 1
    return counts


def sentences(counts: Mapping[str, int]) -> Iterator[str]:
    """Say it in a line, and in another what is odd about it.

    Examples
    --------
    >>> print(*sentences({"given": 3, "used": 1, "no_training_after": 2}), sep="; ")
    labels: 1 of 3 learned from, 2 without a training after them
    """
    if not counts:
        return
    said = {key: words.format(counts[key]) for key, words in _WORDS.items() if counts.get(key)}
    used, odd = f"{counts['used']:,} of {counts['given']:,} learned from", said.pop(ODD, None)
    yield f"labels: {', '.join([used, *said.values()])}"
    if odd:
        yield odd


_WORDS = {
    "no_such_machine": "{:,} of machines that the recording does not have",
    "after_the_end": "{:,} count from after its end",
    "no_training_after": "{:,} without a training after them",
    ODD: "{:,} labels name incidents that did not open in this run: what they say "
    "of a span of time counts all the same",
}


def _fate(label: LabelRecord, record: Mapping[str, Any]) -> str:
    if all(one[0] != label.incident_id for one in record.get("heard", ())):
        return "after_the_end"
    since = parse_rfc3339(label.labelled_at)
    learned = (one for one in record.get("tried", ()) if "failed" not in one)
    after = any(parse_rfc3339(one["at"]) >= since for one in learned)
    return "used" if after else "no_training_after"
