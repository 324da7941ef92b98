"""``stream-ad train --compare``: a table, a choice by its rule, and a card that says why."""

from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest

from stream_ad.training.compare import MEMBERS
from stream_ad.training.injected import FAULTS
from tests.cli import recordings
from tests.cli.command import good, refused, scores
from tests.cli.recordings import write_config, write_csv
from tests.conftest import Plant
from tests.detector.streams import few_steps

UNTIL = recordings.LEARNED * len(recordings.MACHINES)


def test_compare_prints_a_table_takes_one_and_says_why(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_steps(monkeypatch, 30)
    command = ("train", plant.recording, "-c", plant.learning, "--train-until", UNTIL, "--compare")
    answer = good(*command, "-o", tmp_path / "a")
    for model, scorer in MEMBERS:
        assert f"{model} + {scorer}" in answer.out
    said = " ".join(answer.out.split())
    for kind, severity, _ in FAULTS:
        assert re.search(rf"{kind}: [^:]*\b{severity:g} in \d", said), kind
    table = [line for line in answer.out.splitlines() if line.startswith(("linear +", "ae +"))]
    assert len(table) == len(MEMBERS)
    assert all(len(line) <= 80 for line in table)
    card = orjson.loads((tmp_path / "a/default/000001/card.json").read_bytes())
    compared = card["compared"]
    assert f"taken: {compared['taken']} ({compared['why']})" in answer.out
    assert f"{card['settings']['model']} + {card['settings']['scorer']}" == compared["taken"]
    assert compared["taken"] in card["promoted"]
    assert compared["why"] in card["promoted"]
    assert len(compared["members"]) == len(MEMBERS)
    # it is fitted on everything, as without --compare
    plain = orjson.loads((plant.registry / "default/000001/card.json").read_bytes())
    assert card["history"] == plain["history"]
    assert card["effective_from"] == plain["effective_from"]
    # and it scores, whatever model the settings name
    scoring = write_config(tmp_path / "s.yaml", registry={"uri": str(tmp_path / "a")})
    good("replay", plant.recording, "-c", scoring, "-o", tmp_path / "out")
    assert scores(tmp_path / "out").keys() == plant.clean.keys()
    again = good(*command, "-o", tmp_path / "b")
    assert again.out.replace(str(tmp_path / "b"), str(tmp_path / "a")) == answer.out
    assert (tmp_path / "b/default/000001/card.json").read_bytes() == (
        tmp_path / "a/default/000001/card.json"
    ).read_bytes()


def test_a_history_too_short_to_compare_on_is_refused(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "short.csv", recordings.plant(50))
    config = write_config(tmp_path / "c.yaml", training={"min_windows": 10})
    said = refused("train", file, "-c", config, "-o", tmp_path / "r", "--compare")
    assert "--compare holds a quarter" in said
    assert not (tmp_path / "r").exists()
