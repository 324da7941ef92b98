"""One broker, which is a controller too: a process that is started, stopped and killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence, Set
from pathlib import Path

from tests.kafka_cluster.errors import BrokerFailed
from tests.kafka_cluster.jars import DEPLOY
from tests.kafka_cluster.metadata import serving_brokers
from tests.kafka_cluster.runtime import Runtime
from tests.kafka_cluster.settings import as_text
from tests.kafka_cluster.waiting import until

GUARD = Path(__file__).with_name("guard.py")
HEAP = ("-Xms256m", "-Xmx512m", "-XX:+UseG1GC")
QUICK_TO_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


class Node:
    """A broker with its folder; it ends with the process that started it.

    Parameters
    ----------
    runtime : Runtime
        Java and jars.
    folder : Path
        For data, log and temporary files; what an earlier node left there is used again.
    settings : mapping
        Its server.properties.
    address : str
        ``host:port`` of a listener without TLS or passwords, to ask whether it serves.
    cluster_id : str
        The same for all nodes of a cluster.
    format_options : sequence of str
        For the storage tool, such as ``--add-scram``.
    """

    def __init__(
        self,
        runtime: Runtime,
        folder: Path,
        settings: Mapping[str, str],
        *,
        address: str,
        cluster_id: str,
        format_options: Sequence[str] = (),
    ) -> None:
        self.address = address
        self.number = int(settings["node.id"])
        self.folder = folder
        self.log = folder / "broker.log"
        self._runtime = runtime
        self._settings = dict(settings)
        self._format = [f"--cluster-id={cluster_id}", *format_options]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process lives; it may not serve yet."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the broker and wait until it serves.

        Raises
        ------
        BrokerFailed
            It ended, or did not answer in time.
        """
        self.launch()
        self.wait_until_serving()

    def launch(self) -> None:
        """Start the process with the same ports and data as before; do not wait for it."""
        assert not self.running, f"node {self.number} runs already"
        self.format()
        config = f"-Dlog4j2.configurationFile={DEPLOY / 'log4j2.xml'}"
        scratch = f"-Djava.io.tmpdir={self.folder / 'tmp'}"  # unpacked libraries, left by a kill
        kafka = self._runtime.command(
            "kafka.Kafka", str(self._properties), options=(*HEAP, config, scratch)
        )
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(GUARD), *kafka],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in a terminal is for whoever started it
            )

    def format(self) -> None:
        """Write the settings and, if the data folder is new, prepare it."""
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        self._properties.write_text(as_text(self._settings))
        if Path(self._settings["log.dirs"], "meta.properties").exists():
            return
        arguments = ["format", *self._format, "-c", str(self._properties), "--ignore-formatted"]
        command = self._runtime.command(
            "kafka.tools.StorageTool", *arguments, options=QUICK_TO_START
        )
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stdout + done.stderr).strip()
            raise BrokerFailed(f"the data folder of node {self.number} was not formatted: {said}")

    def wait_until_serving(self, timeout_s: float = 120.0, others: Set[int] = frozenset()) -> None:
        """Wait until the broker answers and lists itself, and others, among those that serve.

        Raises
        ------
        BrokerFailed
            It ended, or did not answer in time.
        """
        wanted = others | {self.number}

        def settled() -> bool:
            return not self.running or wanted <= serving_brokers(self.address)

        if not until(settled, timeout_s):
            raise self.failure(f"did not serve within {timeout_s:g} s")
        if not self.running:
            raise self.failure("ended by itself")

    def failure(self, what: str) -> BrokerFailed:
        """Return an error that carries the end of the broker's log."""
        lines = self.log.read_text(errors="replace").splitlines()[-15:]
        head = f"node {self.number} {what}; the end of {self.log}:"
        return BrokerFailed("\n".join([head, *lines]))

    def stop(self, timeout_s: float = 30.0) -> None:
        """End the broker in order (SIGTERM); kill it if that takes too long."""
        self.terminate()
        self.wait_until_ended(timeout_s)

    def terminate(self) -> None:
        """Ask the broker to end; do not wait for it."""
        if self._process is not None and self.running:
            self._process.terminate()

    def wait_until_ended(self, timeout_s: float = 30.0) -> None:
        """Wait for the end of a broker that was asked to; kill it if that takes too long."""
        until(lambda: not self.running, timeout_s)
        self.kill()

    def kill(self) -> None:
        """End the broker at once (SIGKILL) and wait until it is gone, with its locks and ports."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()  # which the guard takes as the order to kill
        self._process.wait()
        self._process = None

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"
