"""The launcher finds Java and fetches Kafka once, or says what is missing."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kafka.missing import skip_or_fail
from tests.kafka_cluster import KafkaUnavailable, Runtime, jars
from tests.kafka_cluster import runtime as runtimes

SHELL = "#!/bin/sh\n"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a machine with an empty cache where only the programs of a folder are installed."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def install(folder: Path, name: str, script: str) -> Path:
    program = folder / name
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(SHELL + script)
    program.chmod(0o755)
    return program


def install_java(folder: Path, version: str) -> Path:
    return install(folder, "java", f"echo 'openjdk version \"{version}\"' >&2\n")


def install_maven(folder: Path, then: str) -> Path:
    """Install a Maven that fetches Kafka's jar and then does something."""
    find = "for word; do case $word in -DoutputDirectory=*) out=${word#*=};; esac; done\n"
    fetch = '/bin/mkdir -p "$out"; : > "$out/kafka_2.13-4.1.0.jar"\n'
    return install(folder, "mvn", find + fetch + then)


def cached() -> list[str]:
    folder = jars.cache_folder().parent
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    return [name for name in names if not name.endswith(".lock")]


def test_without_java_it_says_so(programs: Path) -> None:
    with pytest.raises(KafkaUnavailable, match="no `java` on the path: install Java 17"):
        Runtime.find()


@pytest.mark.parametrize(("version", "number"), [("11.0.2", 11), ("1.8.0_392", 8), ("16", 16)])
def test_a_java_too_old_is_named_with_what_is_needed(
    programs: Path, version: str, number: int
) -> None:
    java = install_java(programs, version)
    with pytest.raises(KafkaUnavailable, match=f"{java} is Java {number}, .* Java 17 or later"):
        Runtime.find()


def test_a_java_that_tells_no_version_is_not_trusted(programs: Path) -> None:
    install(programs, "java", "echo 'no runtime present' >&2; exit 1\n")
    with pytest.raises(KafkaUnavailable, match=r"does not tell its version .*no runtime present"):
        Runtime.find()


def test_java_home_is_used_before_the_path(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_java(programs, "11.0.2")
    newer = install_java(tmp_path / "jdk" / "bin", "21.0.1")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    assert runtimes.find_java() == str(newer)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    with pytest.raises(KafkaUnavailable, match=r"no `java` in JAVA_HOME=.*gone"):
        runtimes.find_java()


def test_without_maven_it_says_what_to_install(programs: Path) -> None:
    install_java(programs, "17.0.1")
    with pytest.raises(KafkaUnavailable, match=r"Maven .* not installed.*STREAM_AD_TEST_BOOTSTRAP"):
        Runtime.find()


def test_jars_in_the_cache_need_no_maven(programs: Path) -> None:
    java = install_java(programs, "17.0.1")
    maven = install_maven(programs, "")
    fetched = Runtime.find()
    maven.unlink()
    assert Runtime.find() == fetched == Runtime(str(java), jars.cache_folder())
    assert [path.name for path in fetched.jars.iterdir()] == ["kafka_2.13-4.1.0.jar"]


def test_a_maven_that_fails_leaves_nothing_and_says_what_to_do(programs: Path) -> None:
    install_maven(programs, "echo '[ERROR] Unknown host repo.maven.apache.org'; exit 1\n")
    expected = r"could not fetch Apache Kafka .*\(Unknown host .*\): connect to Maven Central"
    with pytest.raises(KafkaUnavailable, match=expected):
        jars.fetch()
    assert cached() == []


def test_a_maven_that_fetches_nothing_is_not_believed(programs: Path) -> None:
    install(programs, "mvn", "exit 0\n")
    with pytest.raises(KafkaUnavailable, match="Kafka is not among what it fetched"):
        jars.fetch()
    assert cached() == []


def test_a_maven_that_hangs_is_ended(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "LONGEST_FETCH_S", 0.2)
    install(programs, "mvn", "exec /bin/sleep 20\n")
    with pytest.raises(KafkaUnavailable, match=r"longer than 0.2 s"):
        jars.fetch()


def test_of_two_processes_at_once_one_fetches(programs: Path, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    install_maven(programs, f"echo call >> {calls}; /bin/sleep 0.5\n")
    fetch = [sys.executable, "-c", "from tests.kafka_cluster import jars; print(jars.fetch())"]

    def in_a_process(_: int) -> str:
        root = jars.DEPLOY.parents[1]
        return subprocess.run(fetch, cwd=root, capture_output=True, text=True, check=True).stdout

    with ThreadPoolExecutor(3) as pool:
        folders = set(pool.map(in_a_process, range(3)))
    assert folders == {f"{jars.cache_folder()}\n"}
    assert calls.read_text() == "call\n"
    assert cached() == [jars.cache_folder().name]


def test_another_pom_has_jars_of_its_own(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, pom = jars.cache_folder(), tmp_path / "pom.xml"
    pom.write_text(jars.POM.read_text().replace("2.24.3", "2.24.4"))
    monkeypatch.setattr(jars, "POM", pom)
    assert jars.cache_folder() != before


def test_a_skip_is_a_failure_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no Kafka here: Java is missing"):
        skip_or_fail("Java is missing")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="not be skipped in CI: Java is missing"):
        skip_or_fail("Java is missing")
