"""Apache Kafka's jars, fetched by Maven once and kept outside the repository."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kafka_cluster.errors import KafkaUnavailable

DEPLOY = Path(__file__).parents[2] / "deploy" / "kafka"
POM = DEPLOY / "pom.xml"
LONGEST_FETCH_S = 600.0
OTHERWISE = "or set STREAM_AD_TEST_BOOTSTRAP to the address of a cluster that runs"


def kafka_version() -> str:
    """Return the version of Apache Kafka that the pom names.

    Examples
    --------
    >>> kafka_version().split(".")[0]
    '4'
    """
    found = re.search(r"<kafka\.version>(.+?)</kafka\.version>", POM.read_text(encoding="utf-8"))
    assert found is not None
    return found[1]


def cache_folder() -> Path:
    """Return where the jars of this very pom are kept, under the user's cache folder."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(POM.read_bytes()).hexdigest()[:8]
    return base / "stream-ad" / f"kafka-{kafka_version()}-{digest}"


def fetch() -> Path:
    """Return a folder with the jars; fetch them (43 MB) if they are not in the cache.

    The folder appears whole or not at all, and of several processes one fetches while the
    others wait.

    Raises
    ------
    KafkaUnavailable
        The jars are not there and Maven is not installed, or could not fetch them.
    """
    folder = cache_folder()
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_name(f"{folder.name}.lock")):
        if not folder.exists():
            _fetch_into(folder)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch_into(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        what = f"Maven (`mvn`) is not installed, which fetches Apache Kafka {kafka_version()} once"
        raise KafkaUnavailable(f"{what}: install it, {OTHERWISE}")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as work:
        jars = Path(work, "jars")
        _run_maven(maven, jars)
        jars.rename(folder)


def _run_maven(maven: str, jars: Path) -> None:
    options = ["-q", "-B", "--strict-checksums", "-Dstyle.color=never", f"-DoutputDirectory={jars}"]
    command = [maven, "-f", str(POM), *options, "dependency:copy-dependencies"]
    try:
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=LONGEST_FETCH_S)
    except subprocess.TimeoutExpired as error:
        raise _failed(f"it took longer than {LONGEST_FETCH_S:g} s") from error
    except subprocess.CalledProcessError as error:
        raise _failed(_reason(error.stdout + error.stderr)) from error
    if not any(jars.glob("kafka_*.jar")):
        raise _failed("it ended without an error, but Kafka is not among what it fetched")


def _failed(reason: str) -> KafkaUnavailable:
    what = f"Maven could not fetch Apache Kafka {kafka_version()} ({reason})"
    cure = "connect to Maven Central or name a mirror in ~/.m2/settings.xml, and try again"
    return KafkaUnavailable(f"{what}: {cure}; {OTHERWISE}")


def _reason(output: str) -> str:
    lines = [line.removeprefix("[ERROR] ") for line in output.splitlines() if line.strip()]
    return lines[0] if lines else "it gave no reason"
