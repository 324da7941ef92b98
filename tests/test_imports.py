"""Imports run one way, third parties have one home each, and light commands stay light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import stream_ad

ROOT = Path(stream_ad.__file__).parent

# A room may import from the rooms of its own line's right side, and from itself. Rooms that
# hold one file are named like it. ``versions`` and ``report`` name types of the detector and
# the records only for the type checker; such imports are not looked at.
ALLOWED = {
    "errors": "",
    "progress": "",
    "redaction": "",
    "config": "redaction errors",
    "records": "",
    "windows": "config errors",
    "alerting": "windows records config errors",
    "detector": "windows records config errors",
    "description": "versions alerting detector windows records",
    "versions": "windows",
    "groups": "config versions",
    "lineup": "groups versions windows config errors",
    "judged": "description alerting windows",
    "state": "alerting windows records errors",
    "transport": "windows records config errors",
    "machines": "state alerting transport windows",
    "pipeline": "lineup judged groups machines state versions description alerting transport "
    "windows records config errors",
    "stream": "pipeline judged progress transport",
    "training": "judged detector groups versions machines state alerting transport windows "
    "records config progress errors",
    "inspection": "transport windows config errors",
    "report": "records windows errors",
    "evaluation": "training report stream pipeline machines versions detector alerting transport "
    "windows records config progress errors",
    "replay": "evaluation training stream pipeline state versions detector transport "
    "windows records config progress errors",
    "settings": "inspection transport config progress errors",
    "demo": "replay transport config progress errors",
    "service": "training pipeline lineup groups machines state versions alerting transport windows "
    "records progress config errors",
    "cli": "service demo replay settings training inspection transport windows records config "
    "errors",
}
# Packages that may be imported in these rooms only (a path within a room where it ends in /).
HOMES = {
    "torch": ["detector", "evaluation/baselines"],
    "safetensors": ["detector", "training/buffer_store"],
    "fsspec": ["training/remote_store"],
    "scipy": ["detector", "evaluation"],
    "sklearn": ["evaluation/baselines"],
    "river": ["evaluation/baselines", "training/drift_watch"],
    "plotly": [],
    "pandas": [],
    "hnswlib": ["detector/hnsw"],
    "kafka": ["transport/kafka"],
    "structlog": ["service"],
    "prometheus_client": ["service"],
    "typer": ["cli"],
    "rich": ["cli"],
    "yaml": ["config", "inspection", "demo"],
    "pyarrow": ["transport", "inspection", "evaluation/outputs"],
    "pickle": [],
    "simulators": ["demo"],
}


def typing_only(tree: ast.Module) -> set[ast.AST]:
    """Return the nodes that stand under ``if TYPE_CHECKING``."""
    blocks = [
        n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n.test)
    ]
    return {node for block in blocks for part in block.body for node in ast.walk(part)}


@cache
def imports(path: Path) -> frozenset[str]:
    """Return the modules that a file imports, at the top or later, by their full names."""
    return frozenset(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    unseen = typing_only(tree)
    for node in ast.walk(tree):
        if node in unseen:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module is not None
            if node.module == "stream_ad":
                yield from (f"stream_ad.{alias.name}" for alias in node.names)
            else:
                yield node.module


FILES = sorted(ROOT.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def test_every_room_stands_in_the_table() -> None:
    assert {room_of(path) for path in FILES} - {"__init__", "__main__"} == ALLOWED.keys()


def test_the_table_has_no_circle() -> None:
    done: set[str] = set()
    left = {room: set(others.split()) for room, others in ALLOWED.items()}
    while left:
        free = {room for room, others in left.items() if others <= done}
        assert free, f"these import each other: {sorted(left)}"
        done |= free
        left = {room: others for room, others in left.items() if room not in free}


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_from_rooms_below(room: str) -> None:
    for path in FILES:
        if room_of(path) != room:
            continue
        others = {name.split(".")[1] for name in imports(path) if name.startswith("stream_ad.")}
        above = others - {room, "__version__"} - set(ALLOWED[room].split())
        assert not above, f"{path.relative_to(ROOT)} imports {sorted(above)}"


@pytest.mark.parametrize("package", HOMES)
def test_a_third_party_has_one_home(package: str) -> None:
    for path in FILES:
        if package in {name.split(".")[0] for name in imports(path)}:
            place = path.relative_to(ROOT).with_suffix("").as_posix()
            assert any(place == h or place.startswith(f"{h}/") for h in HOMES[package]), place


def test_simulators_know_nothing_of_the_program() -> None:
    import simulators

    for path in Path(simulators.__file__).parent.rglob("*.py"):
        names = {name.split(".")[0] for name in imports(path)}
        assert not names & {"stream_ad", "torch", "scipy", "pydantic"}, path
        assert "pyarrow" not in names or path.name == "parquet.py"


def test_every_import_is_declared() -> None:
    """A package that only happens to be installed must not be needed."""
    import tomllib

    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["eval"], *extras["hnsw"]]
    declared = {re.split(r"[>=\[]", line)[0].replace("-", "_") for line in lines}
    declared |= {"pydantic_core"}  # comes with pydantic, which pins it
    module_of = {"pyyaml": "yaml", "scikit_learn": "sklearn", "kafka_python": "kafka"}
    modules = {module_of.get(name, name) for name in declared}
    used = {name.split(".")[0] for path in FILES for name in imports(path)}
    used -= {*sys.stdlib_module_names, "stream_ad", "simulators"}
    assert used <= modules
    assert "torch" in used


HEAVY = ["torch", "pyarrow", "scipy", "river", "sklearn", "safetensors"]


def loaded(code: str) -> set[str]:
    """Return which heavy packages a fresh interpreter has after some code."""
    tail = f"import sys; sys.stderr.write(' '.join(set(sys.modules) & set({HEAVY})))"
    program = f"try:\n {code}\nfinally:\n {tail}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT.parent,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_the_walk_for_heavy_packages_sees_them() -> None:
    assert "pyarrow" in loaded("import pyarrow")


def test_the_light_modules_load_nothing_heavy() -> None:
    assert loaded("import stream_ad, stream_ad.records, stream_ad.config") == set()


def test_everything_but_the_detector_does_without_torch() -> None:
    rooms = "windows, stream_ad.alerting, stream_ad.transport, stream_ad.transport.files"
    assert "torch" not in loaded(f"import stream_ad.{rooms}, stream_ad.pipeline, stream_ad.report")
    assert "torch" not in loaded("import stream_ad.inspection, simulators, simulators.writers")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["replay", "--help"],
        ["config", "schema"],
        ["config", "check", "C"],
    ],
    ids=" ".join,
)
def test_light_commands_load_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("windows: {sensors: [a], period_s: 1}\n")
    argv = ["stream-ad", *(str(file) if a == "C" else a for a in arguments)]
    code = f"import sys; sys.argv = {argv!r}; from stream_ad.cli import main; main()"
    assert loaded(code) == set()
