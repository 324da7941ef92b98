"""How a client proves who it is: settings and secrets as the library's arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from stream_ad.config import SecurityConfig
from stream_ad.errors import ConfigError

SECTION = "kafka.security"


def client_arguments(security: SecurityConfig) -> dict[str, Any]:
    """Return what consumers, producers and admin clients take alike.

    The result holds secrets in clear: hand it to a constructor, never to a log.

    Parameters
    ----------
    security : SecurityConfig
        Secrets from the environment, or the names of files whose first line they are.

    Returns
    -------
    dict

    Raises
    ------
    ConfigError
        A file that is named cannot be read; the message names its key, never its content.

    Examples
    --------
    >>> client_arguments(SecurityConfig())
    {'security_protocol': 'PLAINTEXT'}
    """
    found: dict[str, Any] = {"security_protocol": security.protocol.upper()}
    if security.protocol.startswith("sasl"):
        found |= {
            "sasl_mechanism": security.mechanism,
            "sasl_plain_username": security.username,
            "sasl_plain_password": _secret(security, "password"),
        }
    if security.protocol.endswith("ssl"):
        found |= {
            "ssl_check_hostname": True,
            "ssl_cafile": _readable(security, "ca_file"),
            "ssl_certfile": _readable(security, "cert_file"),
            "ssl_keyfile": _readable(security, "key_file"),
            "ssl_password": _secret(security, "key_password"),
        }
    return found


def _secret(security: SecurityConfig, name: str) -> str | None:
    given: SecretStr | None = getattr(security, name)
    if given is not None:
        return given.get_secret_value()
    file = _readable(security, f"{name}_file")
    if file is None:
        return None
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    if not lines or not lines[0]:
        raise ConfigError(f"{SECTION}.{name}_file", file, "a text file whose first line it is")
    return lines[0]


def _readable(security: SecurityConfig, name: str) -> str | None:
    file: str | None = getattr(security, name)
    if file is None:
        return None
    try:
        with Path(file).open("rb"):
            return file
    except OSError as error:
        allowed = f"a readable file ({error.strerror})"
        raise ConfigError(f"{SECTION}.{name}", file, allowed) from None
