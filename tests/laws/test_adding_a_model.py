"""Adding a model is one file and one line: a toy one keeps the laws and walks the whole path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from torch import Tensor

from stream_ad.config.scoring import MODELS as NAMES
from stream_ad.detector import Detector
from stream_ad.detector.blocks import one_thread
from stream_ad.detector.models import MODELS
from stream_ad.detector.models.base import WindowModel
from stream_ad.detector.models.descent import Descent, descend, mean_error
from stream_ad.detector.networks import NETWORKS
from tests.cli import recordings
from tests.cli.command import good, scores
from tests.conftest import Plant
from tests.detector.streams import few_steps, waves
from tests.laws import test_detectors, test_models

NAME = "toy"


class Toy(WindowModel):
    """What one file of a new model holds: its own evidence, and a way to fit it."""

    def own_error(self, z: Tensor, reconstruction_error: Tensor) -> Tensor:
        return reconstruction_error + z.square().mean(1) / 100

    def fit(self, x: Tensor, validation: Tensor, **settings: Any) -> dict[str, Any]:
        short = Descent(batch=100, min_steps=30)
        return descend(
            self,
            len(x),
            lambda rows: self(x[rows]).error.mean(),
            lambda: mean_error(self, validation),
            epochs=1,
            seed=settings["seed"],
            settings=short,
        )


@pytest.fixture
def _added() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        few_steps(patch, 30)
        patch.setitem(NAMES, NAME, "Toy")  # the one line
        patch.setitem(MODELS, NAME, Toy)  # which the import of the family makes of it
        yield


@pytest.mark.usefixtures("_added")
@pytest.mark.parametrize("law", test_models.MODEL_LAWS)
@pytest.mark.parametrize("network", NETWORKS)
def test_the_toy_keeps_the_laws_of_models(law: Callable[..., None], network: str) -> None:
    with one_thread():
        law(test_models.making(MODELS[NAME], network))


@pytest.mark.usefixtures("_added")
@pytest.mark.parametrize("law", test_detectors.DETECTOR_LAWS)
def test_a_detector_with_the_toy_keeps_the_laws_of_detectors(law: Callable[..., None]) -> None:
    law(lambda **settings: Detector(NAME, "ares", epochs=1, **settings))


@pytest.mark.usefixtures("_added")
def test_it_is_the_toy_that_learns_is_saved_and_is_loaded(tmp_path: Path) -> None:
    x = waves(80)
    detector = Detector(NAME, "error").fit(x)
    detector.save(tmp_path / "toy")
    loaded = Detector.load(tmp_path / "toy")
    for each in (detector, loaded):
        assert type(each._fitted().model) is Toy
        found = each.score(x)
        # what its error has beyond the reconstruction's is its own evidence
        assert (found.error > found.sensor_error.sum(axis=1)).all()
    np.testing.assert_array_equal(loaded.score(x).raw, detector.score(x).raw)


@pytest.mark.usefixtures("_added")
def test_train_and_replay_use_it(plant: Plant, tmp_path: Path) -> None:
    until = recordings.LEARNED * len(recordings.MACHINES)
    config = tmp_path / "toy.yaml"
    known = plant.learning.read_text()
    assert "model: ae" in known
    config.write_text(known.replace("model: ae", f"model: {NAME}"))
    command = (plant.recording, "-c", config, "--train-until", until)
    good("train", *command, "-o", tmp_path / "registry")
    (file,) = tmp_path.rglob("card.json")
    card = orjson.loads(file.read_bytes())
    assert card["settings"]["model"] == NAME
    assert card["fit"]["steps"] == 30
    good("replay", *command, "-o", tmp_path / "out")
    mine, of_the_other = scores(tmp_path / "out"), plant.clean
    assert mine.keys() == of_the_other.keys()
    assert mine != of_the_other
