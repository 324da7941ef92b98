"""What others may rely on: exported names, the detector's signature, the commands' names."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import tomllib
from pathlib import Path

import pytest

import simulators
import stream_ad
from tests.cli.command import good

PACKAGES = [
    package.__name__ if info is None else info.name
    for package in (stream_ad, simulators)
    for info in (None, *pkgutil.walk_packages(package.__path__, f"{package.__name__}."))
    if info is None or info.ispkg
]


@pytest.mark.parametrize("name", PACKAGES)
def test_all_is_true(name: str) -> None:
    """Each name is there, once, in order, and belongs to a documented thing."""
    module = importlib.import_module(name)
    assert module.__doc__
    exported = getattr(module, "__all__", [])
    assert len(exported) == len(set(exported))
    for member in exported:
        thing = getattr(module, member)
        assert not callable(thing) or inspect.getdoc(thing), f"{name}.{member}"


def test_the_packages_were_found() -> None:
    assert {"stream_ad", "stream_ad.detector", "stream_ad.windows", "simulators"} <= set(PACKAGES)


def test_the_package_offers_the_detector_and_its_version() -> None:
    assert set(stream_ad.__all__) == {"Detector", "__version__"}
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert stream_ad.__version__ == project["version"]
    with pytest.raises(AttributeError, match="nonsense"):
        _ = stream_ad.nonsense


def test_the_detector_has_the_names_and_defaults_of_the_contract() -> None:
    parameters = inspect.signature(stream_ad.Detector).parameters
    wanted = {
        "model": "linear",  # decided by docs/benchmarks/streams.md
        "scorer": "joined",
        "seed": 0,
        "device": "auto",
        "false_alarm_rate": 0.01,
    }
    assert {name: parameters[name].default for name in wanted} == wanted
    assert list(parameters)[:2] == ["model", "scorer"]
    assert list(inspect.signature(stream_ad.Detector.fit).parameters) == [
        "self",
        "X",
        "y",
        "negatives",
    ]
    for method in ("decision_function", "predict"):
        assert list(inspect.signature(getattr(stream_ad.Detector, method)).parameters) == [
            "self",
            "X",
            "start",
        ]
    for method in ("decision_function", "predict", "explain"):
        start = inspect.signature(getattr(stream_ad.Detector, method)).parameters["start"]
        assert start.default is None  # only for a detector that learned the course of the day
    assert "path" in inspect.signature(stream_ad.Detector.save).parameters
    assert inspect.ismethod(stream_ad.Detector.load)


def test_defaults_of_the_detector_are_those_of_its_settings() -> None:
    from stream_ad.config import DetectorConfig

    parameters = inspect.signature(stream_ad.Detector).parameters
    for name, field in DetectorConfig.model_fields.items():
        assert parameters[name].default == field.default, name


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("demo", ["--out", "--seed", "--seconds"]),
        ("init", ["--config", "--time-column", "--machine-column", "--label-column", "--force"]),
        (
            "replay",
            [
                "--config",
                "--out",
                "--time-column",
                "--machine-column",
                "--label-column",
                "--train-until",
                "--baselines",
                "--checkpoint-s",
            ],
        ),
        ("train", ["--config", "--out", "--train-until"]),
    ],
)
def test_commands_have_the_options_of_the_contract(command: str, options: list[str]) -> None:
    assert f" {command} " in good("--help").out
    said = good(command, "--help").out
    assert all(option in said for option in options)


def test_the_version_is_said() -> None:
    assert good("--version").out == f"stream-ad {stream_ad.__version__}\n"
