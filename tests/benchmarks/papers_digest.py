"""What a finished run depends on: data, settings, libraries, and the code that decides it.

The code is what fitting and scoring import, from the detector's rooms and from the benchmark,
without comments and docstrings; of the models only the one that runs and what it imports. So
a run is done again when, and only when, something could have changed its figures.
"""

from __future__ import annotations

import ast
import hashlib
import platform
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from stream_ad.detector.models import MODELS
from tests.benchmarks.papers_default import DEFAULT, TABLE_DEFAULT
from tests.benchmarks.papers_peers import PEERS
from tests.benchmarks.papers_runs import GROUPS, Job
from tests.benchmarks.papers_tasks import digest_of, table_file

ROOT = Path(__file__).resolve().parents[2]
FITTING = ("stream_ad.detector.learning", "stream_ad.detector.ares", "stream_ad.detector.joined")
PROTOCOL = ("tests.benchmarks.papers_tasks", "tests.benchmarks.papers_runs")
TABLE_OF_MODELS = "stream_ad.detector.models"  # it names all, and decides nothing
OURS = ("torch", "numpy")
THEIRS = ("scikit-learn", "pyod", "numpy")


def digest(job: Job, data: Path) -> str:
    """Return what tells a run from one of other code, data or libraries; 16 hex digits.

    Raises
    ------
    InputError
        When its set is not there.
    """
    peer = job.detector in PEERS
    parts = [
        repr(job),
        digest_of(file_of(job, data)),
        code("tests.benchmarks.papers_peers", *PROTOCOL[:1]) if peer else _ours(job),
        platform.python_version(),
        *(_version(package) for package in (THEIRS if peer else OURS)),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def file_of(job: Job, data: Path) -> Path:
    """Return the file of a job's set."""
    if job.group not in GROUPS:
        return table_file(data, job.subject)
    motors = "motor" in job.group
    return data / ("sensorless/sensorless_subset.npz" if motors else "mnist/mnist.npz")


def _ours(job: Job) -> str:
    chosen = dict(TABLE_DEFAULT) if job.detector == DEFAULT else {}
    name = job.detector if job.detector in MODELS else chosen.get("model", "linear")
    more = ("tests.benchmarks.papers_classes",) if job.group in GROUPS else ()
    model = MODELS[name].__module__
    if job.group == "memory":
        more = ("tests.benchmarks.papers_memory",)
    return repr(sorted(chosen.items())) + code(*FITTING, model, *PROTOCOL, *more)


@lru_cache
def code(*modules: str) -> str:
    """Return the digest of modules and of all that they import from the detector's rooms."""
    found: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        file = _file(module)
        if file is None or module in found or module == TABLE_OF_MODELS:
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        found[module] = ast.dump(_bare(tree))
        waiting += (name for name in _imports(tree) if name.startswith("stream_ad.detector."))
    text = "\0".join(f"{name}\0{found[name]}" for name in sorted(found))
    return hashlib.sha256(text.encode()).hexdigest()


def _file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    for file in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _bare(tree: ast.Module) -> ast.Module:
    """Take the docstrings out; comments are none in a tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return tree


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package}: not installed"
