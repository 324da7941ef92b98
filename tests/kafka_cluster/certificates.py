"""An authority of one's own, with a certificate for a broker and some for its clients."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.kafka_cluster.errors import KafkaUnavailable


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates, as long as its folder stands.

    Raises
    ------
    KafkaUnavailable
        There is no `openssl`.
    """

    def __init__(self, folder: Path, name: str) -> None:
        if shutil.which("openssl") is None:
            raise KafkaUnavailable("no `openssl` on the path, which makes the certificates")
        self._folder, self.file, self._key = folder, folder / f"{name}.crt", folder / f"{name}.key"
        self._run(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", self._key, "-out", self.file, "-subj", f"/CN={name}"),
            *("-addext", "basicConstraints=critical,CA:TRUE"),
        )

    def sign(self, name: str, names: str, password: str | None = None) -> Pair:
        """Make a key, encrypted where there is a password, and its certificate.

        Parameters
        ----------
        name : str
            Of whoever proves to be it: the CN.
        names : str
            Hosts that it may stand for, as openssl writes them.
        password : str, optional
            Encrypts the key.
        """
        raw, request, extensions = (self._folder / f"{name}.{end}" for end in ("raw", "csr", "ext"))
        pair = Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        subject = f"/CN={name}/O=plant"
        self._run(
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", subject),
            *("-keyout", raw, "-out", request),
        )
        lock = ("-nocrypt",) if password is None else ("-passout", f"pass:{password}")
        self._run("pkcs8", "-topk8", *lock, "-in", raw, "-out", pair.key)
        usage = "extendedKeyUsage=serverAuth,clientAuth"
        extensions.write_text(f"subjectAltName={names}\n{usage}\n")
        self._run(
            *("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self._key),
            *("-CAcreateserial", "-days", "2", "-out", pair.certificate, "-extfile", extensions),
        )
        return pair

    def _run(self, *arguments: str | Path) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
