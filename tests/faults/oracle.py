"""What two runs of one input gave, compared: lost, duplicated, altered and reordered outputs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks.table import Figure


@dataclass(frozen=True, slots=True)
class Output:
    """One output as the reader of a topic sees it.

    Parameters
    ----------
    id : str
        Deterministic: the same output of any run has it.
    lane : str
        Outputs of one lane come in a fixed order: a machine's name.
    content : bytes
        All of it that must not differ between runs.
    """

    id: str
    lane: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many outputs of a kind there should be, and what is wrong with those there are.

    Parameters
    ----------
    expected : int
        Outputs of the run that nothing disturbed.
    lost, duplicated : int
        Copies that are missing, and copies too many.
    altered : int
        Outputs of other content, and those of ids that the undisturbed run never gave.
    reordered : int
        Lanes in which the outputs of both runs follow each other in another order.
    """

    expected: int
    lost: int
    duplicated: int
    altered: int
    reordered: int

    @property
    def wrong(self) -> int:
        """Everything that is wrong."""
        return self.lost + self.duplicated + self.altered + self.reordered

    def figures(self, kind: str) -> Iterator[Figure]:
        """Yield the figures with their targets: some outputs, and none of them wrong."""
        yield Figure(kind, self.expected, 1, form=",d", correctness=True)
        for what in ("lost", "duplicated", "altered", "reordered"):
            number = getattr(self, what)
            yield Figure(f"{kind} {what}", number, 0, "exactly", form=",d", correctness=True)


def compare(expected: Sequence[Output], actual: Sequence[Output]) -> Verdict:
    """Compare what came out with what should have, as multisets by id and by content.

    Parameters
    ----------
    expected : sequence of Output
        Of the undisturbed run, in order of reading.
    actual : sequence of Output
        Of the disturbed one.

    Examples
    --------
    >>> one, two, three = (Output(f"m/{n}", "m", b"%d" % n) for n in (1, 2, 3))
    >>> compare([one, two, three], [one, three, three])
    Verdict(expected=3, lost=1, duplicated=1, altered=0, reordered=0)
    """
    wanted, found = _by_id(expected), _by_id(actual)
    lost = duplicated = altered = 0
    for name in wanted.keys() | found.keys():
        want, have = wanted.get(name, Counter()), found.get(name, Counter())
        if not want:
            altered += have.total()
            continue
        lost += max(0, want.total() - have.total())
        duplicated += max(0, have.total() - want.total())
        altered += min(want.total(), have.total()) - (want & have).total()
    return Verdict(len(expected), lost, duplicated, altered, _reordered(expected, actual))


def _by_id(outputs: Iterable[Output]) -> Mapping[str, Counter[bytes]]:
    contents: dict[str, Counter[bytes]] = defaultdict(Counter)
    for output in outputs:
        contents[output.id][output.content] += 1
    return contents


def _reordered(expected: Sequence[Output], actual: Sequence[Output]) -> int:
    common = {output.id for output in expected} & {output.id for output in actual}
    wanted, found = _lanes(expected, common), _lanes(actual, common)
    return sum(wanted[lane] != found[lane] for lane in wanted)


def _lanes(outputs: Iterable[Output], ids: set[str]) -> dict[str, list[str]]:
    """Return the order in which the ids of each lane first appear."""
    lanes: dict[str, dict[str, None]] = defaultdict(dict)
    for output in outputs:
        if output.id in ids:
            lanes[output.lane][output.id] = None
    return {lane: list(order) for lane, order in lanes.items()}
