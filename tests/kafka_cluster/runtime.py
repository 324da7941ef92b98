"""Java, and the commands of Apache Kafka in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.kafka_cluster import jars
from tests.kafka_cluster.errors import KafkaUnavailable

OLDEST_JAVA = 17  # which Kafka 4 brokers need


@dataclass(frozen=True)
class Runtime:
    """A Java and a folder of jars."""

    java: str
    jars: Path

    @classmethod
    def find(cls) -> Runtime:
        """Look for Java in JAVA_HOME and on the path, for the jars in the cache and by Maven.

        Raises
        ------
        KafkaUnavailable
            Java or the jars cannot be had; the message says how to get them.
        """
        return cls(find_java(), jars.fetch())

    def command(self, main_class: str, *arguments: str, options: tuple[str, ...] = ()) -> list[str]:
        """Return the command line that runs a class of Kafka's."""
        # Without the shared performance file, which a killed Java leaves in /tmp.
        always = ["-XX:-UsePerfData", "-cp", f"{self.jars}/*"]
        return [self.java, *options, *always, main_class, *arguments]


def find_java() -> str:
    """Return a Java that is new enough.

    Raises
    ------
    KafkaUnavailable
        There is none, or it is too old.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home, "bin"))) if home else shutil.which("java")
    if java is None:
        where = f"in JAVA_HOME={home}" if home else "on the path"
        raise KafkaUnavailable(f"no `java` {where}: install Java {OLDEST_JAVA}, {jars.OTHERWISE}")
    version = _major_version(java)
    if version < OLDEST_JAVA:
        found = f"{java} is Java {version}, and Kafka needs Java {OLDEST_JAVA} or later"
        raise KafkaUnavailable(f"{found}: install one or point JAVA_HOME to it, {jars.OTHERWISE}")
    return java


def _major_version(java: str) -> int:
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    if found is None:
        first = said.strip().partition("\n")[0]
        raise KafkaUnavailable(f"{java} does not tell its version ({first!r}), {jars.OTHERWISE}")
    return int(found[1])
