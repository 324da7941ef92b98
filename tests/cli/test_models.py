"""``stream-ad models``: what scores, why, and how to change it by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stream_ad.cli.model_list import Listing
from stream_ad.config import KafkaConfig
from stream_ad.errors import BrokerError
from stream_ad.records import ModelRecord
from stream_ad.training.registry import Registry
from tests.cli.command import good, refused
from tests.cli.recordings import write_config
from tests.training.registries import HOUR, fitted, made, promoted, said

GATE = {
    "gate": {
        "passed": True,
        "checks": [
            {"name": "alarms", "passed": True, "figures": {"rate": 0.01}, "sentence": "1 % alarm"},
            {"name": "index", "passed": False, "figures": {}, "sentence": "recall 0.9"},
        ],
    }
}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(str(tmp_path / "registry"))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path / "c.yaml", registry={"uri": str(tmp_path / "registry")})


# ------------------------------------------------------------------ looking


def test_an_empty_registry_says_so(config: Path) -> None:
    assert "no detectors" in good("models", "list", "-c", config).out


def test_versions_that_nobody_promoted_are_told(registry: Registry, config: Path) -> None:
    registry.add(made())
    assert "version 1, not promoted" in good("models", "list", "-c", config).out


def test_the_list_tells_promotions_and_refusals_in_order(registry: Registry, config: Path) -> None:
    promoted(registry, 1, 2)
    registry.refuse("refused: loses 30 % recall of [steps]")
    promoted(registry, 3)
    registry.rollback(reason="too loud")
    said = good("models", "list", "-c", config).out
    first, heading, *lines = said.splitlines()
    assert first == (
        f"default in {registry.where}: version 2 scores since promotion 4; drift is judged by "
        "version 1"
    )
    assert heading.split() == ["promotion", "version", "scores", "from", "model", "state", "reason"]
    texts = [" ".join(line.split()) for line in lines]
    assert texts == [
        "1 1 1970-01-01T01:00:00Z linear+joined scored, reference at 1",
        "2 2 1970-01-01T02:00:00Z linear+joined scored at 2",
        "- - - - refused refused: loses 30 % recall of [steps]",
        "3 3 1970-01-01T03:00:00Z linear+joined replaced at 3",
        "4 2 1970-01-01T03:00:00Z linear+joined scores now "
        "back from version 3 of promotion 3: too loud",
    ]


def reasoned(registry: Registry) -> list[str]:
    promoted(registry, 1)
    words = [f"word{number}" for number in range(40)]
    registry.promote(registry.add(made()), 2 * HOUR + 1, " ".join(words))
    return words


def test_through_a_pipe_a_decision_is_one_whole_line(
    registry: Registry, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = reasoned(registry)
    monkeypatch.setenv("COLUMNS", "80")
    *_, last = good("models", "list", "-c", config).out.splitlines()
    row = ["2", "2", "1970-01-01T02:00:00Z", "linear+joined", "scores", "now"]
    assert last.split() == [*row, *words]


def test_on_a_screen_reasons_stand_below_as_wide_as_it_is(registry: Registry) -> None:
    words = reasoned(registry)
    lines = [*Listing.read(registry, "default").lines(80)]
    heading, reason, *_ = lines
    assert (heading.split()[-1], reason) == ("state", "    reason")
    rows = [line for line in lines[2:] if not line.startswith("    ")]
    assert [row.split()[0] for row in rows] == ["1", "2"]
    told = lines[lines.index(rows[1]) + 1 :]
    assert " ".join(told).split() == words
    assert max(map(len, lines)) <= 80
    assert min(map(len, told[:-1])) > 60


def test_removed_versions_are_told_and_a_damaged_card_hides_no_other(
    registry: Registry, config: Path
) -> None:
    promoted(registry, 1, 2, 3, 4)
    registry.retain(2)
    Path(registry.where, "default/000003/card.json").write_text("{")
    texts = [line.split() for line in good("models", "list", "-c", config).out.splitlines()[2:]]
    assert [words[3:5] for words in texts] == [
        ["linear+joined", "scored,"],
        ["-", "removed"],
        ["unreadable", "scored"],
        ["linear+joined", "scores"],
    ]


def test_the_list_as_json(registry: Registry, config: Path) -> None:
    promoted(registry, 1)
    registry.refuse("worse", {"recall": 0.5})
    registry.add(made())
    said = json.loads(good("models", "list", "-c", config, "--json").out)
    assert (said["version"], said["promotion"], said["reference"]) == (1, 1, 1)
    assert said["versions"] == [{"version": n, "model": "linear+joined"} for n in (1, 2)]
    first, second = said["decisions"]
    assert (first["decision"], first["state"]) == ("promoted", "scores now, reference")
    assert first["effective_from"] == "1970-01-01T01:00:00Z"
    assert first["card_sha256"] == registry.promotions()[0].card_sha256
    assert (second["decision"], second["after"], second["figures"]) == (
        "refused",
        1,
        {"recall": 0.5},
    )


def test_a_group_of_its_own(registry: Registry, config: Path) -> None:
    promoted(registry, 1)
    registry.promote(registry.add(made(), "presses"), 5 * HOUR, "its first", "presses")
    out = good("models", "list", "-c", config, "--group", "presses").out
    assert out.startswith(f"presses in {registry.where}: version 1 ")
    assert "its first" in out
    good("models", "show", 1, "-c", config, "--group", "presses")
    registry.add(made(), "presses")
    good("models", "promote", 2, "-c", config, "--group", "presses")
    good("models", "rollback", "-c", config, "--group", "presses")
    assert [one.version for one in registry.promotions("presses")] == [1, 2, 1]
    assert len(registry.promotions()) == 1


@pytest.mark.parametrize("act", [("list",), ("show", 1), ("promote", 1), ("rollback",)])
def test_a_group_that_does_not_exist_is_refused_by_those_that_do(
    registry: Registry, tmp_path: Path, act: tuple[object, ...]
) -> None:
    promoted(registry, 1)
    uri, groups = str(tmp_path / "registry"), {"presses": {"match": ["p*"]}}
    config = write_config(tmp_path / "c.yaml", registry={"uri": uri}, groups=groups)
    said = refused("models", *act, "-c", config, "--group", "nix")
    assert "--group = 'nix': allowed is default, presses" in said


def test_all_groups_of_the_settings_are_listed(registry: Registry, tmp_path: Path) -> None:
    promoted(registry, 1)
    registry.promote(registry.add(made(), "presses"), 5 * HOUR, "its first", "presses")
    groups = {"presses": {"match": ["p*"]}, "mills": {"match": ["m*"]}}
    uri = str(tmp_path / "registry")
    config = write_config(tmp_path / "c.yaml", registry={"uri": uri}, groups=groups)
    lines = good("models", "list", "-c", config, "--json").out.splitlines()
    assert [(tree["group"], tree["version"]) for tree in map(json.loads, lines)] == [
        ("default", 1),
        ("mills", None),
        ("presses", 1),
    ]
    assert "mills in " in good("models", "list", "-c", config).out


def test_show_tells_what_a_version_is_and_why_it_scores(registry: Registry, config: Path) -> None:
    registry.add(fitted(0))
    registry.promote(1, HOUR, "the first", figures=GATE)
    registry.refuse("looked at again", version=1)
    lines = good("models", "show", 1, "-c", config).out.splitlines()
    assert lines[0] == f"version 1 of default in {registry.where}"
    told = dict(line.strip().split(": ", 1) for line in lines[1:] if ": " in line)
    assert told["model"].startswith("model linear, scorer error")
    assert told["windows"] == "4 slots of 60 s, one every 4 slots"
    assert told["sensors"] == "a, b"
    assert "windows 120, machines 1, from 1970-01-01T00:00:00Z" in told["learned from"]
    assert told["index"].startswith("exact, why ")
    assert told["calibration"].startswith("windows ")
    assert "budget supported" in told["line"]
    assert (
        "promotion 1: scores from 1970-01-01T01:00:00Z, drift is judged by version 1: the first"
        in lines
    )
    assert "  gate, alarms: held: 1 % alarm" in lines
    assert "    rate 0.01" in lines
    assert "  gate, index: MISSED: recall 0.9" in lines
    assert lines[-1] == "refused: looked at again"


def test_show_as_json_is_the_card_and_the_decisions(registry: Registry, config: Path) -> None:
    promoted(registry, 1, 2)
    said = json.loads(good("models", "show", 2, "-c", config, "--json").out)
    assert said["card"] == registry.card(2)
    assert [one["number"] for one in said["decisions"]] == [2]
    registry.add(made())
    assert "never promoted" in good("models", "show", 3, "-c", config).out


# ------------------------------------------------------------------ changing


def test_promote_and_rollback_change_what_scores(registry: Registry, config: Path) -> None:
    promoted(registry, 1)
    registry.add(made(4))
    out = good("models", "promote", 2, "-c", config, "--reason", "the gate was too strict").out
    assert out == (
        "promotion 2 of default: version 2 scores windows that end at or after "
        "1970-01-01T04:00:00.000000001Z; drift is judged by version 1\n"
    )
    assert registry.promotions()[-1].reason == "the gate was too strict"
    assert "version 1 scores" in good("models", "rollback", "-c", config).out
    assert "version 2 scores" in good("models", "rollback", "-c", config, "--to", 2).out
    assert [one[1] for one in said(registry.promotions())] == [1, 2, 1, 2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("promote", 1), "another version of default: it scores since promotion 1"),
        (("promote", 7), "models promote = 7: allowed is a version of "),
        (("rollback",), "no version to go back to"),
        (("rollback", "--to", 3), "no version to go back to of number 3"),
        (("show", 7), "models show = 7: allowed is a version of "),
    ],
)
def test_what_cannot_be_done_is_refused(
    registry: Registry, config: Path, arguments: tuple[object, ...], words: str
) -> None:
    promoted(registry, 1)
    assert words in refused("models", *arguments, "-c", config)
    assert len(registry.promotions()) == 1


@pytest.mark.parametrize("act", ["show", "promote"])
def test_a_version_that_is_not_there_is_refused_by_those_that_are(
    registry: Registry, config: Path, act: str
) -> None:
    promoted(registry, 1, 2, 3, 4)
    registry.retain(2)
    place = f"allowed is a version of {registry.where}/default: 1, 3, 4"
    assert refused("models", act, 7, "-c", config).endswith(f"models {act} = 7: {place}")
    said = refused("models", act, 2, "-c", config)
    assert said.endswith(f"models {act} = 2: {place}; version 2 was removed (registry.keep)")


@pytest.mark.parametrize("act", ["show", "promote"])
def test_a_group_without_detectors_says_how_to_get_one(config: Path, act: str) -> None:
    said = refused("models", act, 1, "-c", config)
    assert f"models {act} = 1: allowed is nothing yet: no detector is in " in said
    assert "train one with `stream-ad train FILE --config C --out " in said


def test_where_all_was_taken_back_the_way_back_is_named_and_works(
    registry: Registry, config: Path
) -> None:
    promoted(registry, 1, 2)
    good("models", "rollback", "-c", config)
    said = refused("models", "rollback", "-c", config)
    assert said.endswith(
        "no version to go back to but what was rolled back from: `--to 2` brings version 2 back; "
        "versions that scored before: 2"
    )
    good("models", "rollback", "-c", config, "--to", 2)
    assert registry.promotions()[-1].version == 2


def test_settings_without_a_registry_are_refused(tmp_path: Path) -> None:
    config = write_config(tmp_path / "none.yaml")
    for arguments in (("list",), ("show", 1), ("promote", 1), ("rollback",)):
        assert "registry.uri = None" in refused("models", *arguments, "-c", config)


def test_a_store_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.yaml", registry={"uri": "nowhere://x"})
    assert "registry.uri = 'nowhere://x'" in refused("models", "list", "-c", config)


# ------------------------------------------------------------------ telling the workers


@pytest.fixture
def live(tmp_path: Path) -> Path:
    return write_config(
        tmp_path / "live.yaml",
        registry={"uri": str(tmp_path / "registry")},
        kafka={"bootstrap_servers": "broker:9092", "topics": {"models": "news"}},
    )


def test_with_brokers_a_change_is_announced(
    registry: Registry, live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(registry, 1, 2)
    told: list[tuple[Any, ModelRecord]] = []
    place = "stream_ad.transport.kafka.announcements.announce"
    monkeypatch.setattr(place, lambda kafka, record: told.append((kafka, record)))
    assert "announced on news" in good("models", "rollback", "-c", live).out
    registry.add(made())
    good("models", "promote", 3, "-c", live)
    assert [record for _, record in told] == [one.record() for one in registry.promotions()[2:]]
    assert all(isinstance(kafka, KafkaConfig) for kafka, _ in told)
    good("models", "list", "-c", live)
    assert len(told) == 2


def test_a_change_that_cannot_be_announced_stands(
    registry: Registry, live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(registry, 1, 2)

    def away(*_: object) -> None:
        raise BrokerError("no broker answers at broker:9092")

    monkeypatch.setattr("stream_ad.transport.kafka.announcements.announce", away)
    said = refused("models", "rollback", "-c", live)
    assert "promotion 3 stands in the registry, but no worker was told: no broker answers" in said
    assert registry.promotions()[-1].version == 1


def test_a_training_is_asked_for_in_somebodys_name(
    live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    place = "stream_ad.transport.kafka.labels.write_request"
    monkeypatch.setattr(place, lambda _, request: asked.append(request))
    assert "models list" in good("models", "retrain", "-c", live, "--who", "anna").out
    assert [(one.machine_group, one.who) for one in asked] == [("default", "anna")]
    assert "--group = 'press'" in refused("models", "retrain", "-c", live, "--group", "press")


def test_a_training_cannot_be_asked_for_without_brokers(config: Path) -> None:
    assert "kafka.bootstrap_servers" in refused("models", "retrain", "-c", config)


# ------------------------------------------------------------------ quickly


@pytest.mark.parametrize("arguments", [["--help"], ["list", "--help"], ["list"], ["show", "1"]])
def test_looking_loads_no_torch(registry: Registry, config: Path, arguments: list[str]) -> None:
    promoted(registry, 1)
    asked = arguments if "--help" in arguments else [*arguments, "-c", str(config)]
    code = (
        f"import sys; sys.argv = {['stream-ad', 'models', *asked]!r}\n"
        "from stream_ad.cli import main\n"
        "try:\n main()\n"
        "finally:\n sys.stderr.write('heavy' if 'torch' in sys.modules else 'light')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "light")
