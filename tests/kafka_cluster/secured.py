"""One broker with SCRAM over TLS, mutual TLS and rights."""

from __future__ import annotations

import base64
import uuid
from pathlib import Path

from tests.kafka_cluster.certificates import Authority
from tests.kafka_cluster.lifetime import Lifetime
from tests.kafka_cluster.node import Node
from tests.kafka_cluster.ports import HOST, reserve
from tests.kafka_cluster.runtime import Runtime
from tests.kafka_cluster.settings import NodePorts, server_properties

PRINCIPAL = r"RULE:^(?:.*,)?CN=([^,]+)(?:,.*)?$/$1/,DEFAULT"  # the subject comes reversed
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


class SecuredBroker(Lifetime):
    """A broker where nobody may do anything without a right; as a context, started and killed.

    Parameters
    ----------
    runtime : Runtime
        Java and jars.
    folder : Path
        For data and certificates.
    users : dict
        Passwords by name, for SCRAM.

    Attributes
    ----------
    open, scram, mtls : str
        Addresses: without any check and with all rights (for the test itself), with SCRAM over
        TLS, with TLS and a client's certificate, whose CN is the user.
    authority : Authority
        Signed the broker's certificate, and signs clients'.
    """

    def __init__(self, runtime: Runtime, folder: Path, users: dict[str, str]) -> None:
        self.authority = Authority(folder, "authority")
        self._held = [reserve() for _ in range(4)]
        ports = [held.getsockname()[1] for held in self._held]
        self.open, self.scram, self.mtls, _ = (f"{HOST}:{port}" for port in ports)
        place = folder / "node-1"
        place.mkdir()
        settings = server_properties(1, [NodePorts(ports[0], ports[3])], place / "data")
        self._node = Node(
            runtime,
            place,
            settings | self._listeners(f"{HOST}:{ports[3]}") | self._security(folder),
            address=self.open,
            cluster_id=base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="),
            format_options=[
                f"--add-scram=SCRAM-SHA-512=[name={name},password={password}]"
                for name, password in users.items()
            ],
        )

    def _listeners(self, controller: str) -> dict[str, str]:
        known = f"PLAINTEXT://{self.open},SCRAM://{self.scram},MTLS://{self.mtls}"
        kinds = "PLAINTEXT:PLAINTEXT,SCRAM:SASL_SSL,MTLS:SSL,CONTROLLER:PLAINTEXT"
        return {
            "listeners": f"{known},CONTROLLER://{controller}",
            "advertised.listeners": known,
            "listener.security.protocol.map": kinds,
        }

    def _security(self, folder: Path) -> dict[str, str]:
        own, both = self.authority.sign("broker", f"IP:{HOST}"), folder / "broker.pem"
        both.write_text(own.key.read_text() + own.certificate.read_text())
        return {
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.scram.scram-sha-512.sasl.jaas.config": SCRAM,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(both),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority.file),
            "listener.name.mtls.ssl.client.auth": "required",
            "listener.name.mtls.ssl.principal.mapping.rules": PRINCIPAL,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",  # whoever comes without a check, the broker too
            "allow.everyone.if.no.acl.found": "false",
        }

    def start(self) -> None:
        """Start it and wait until it serves."""
        self._node.start()

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._node.kill()
