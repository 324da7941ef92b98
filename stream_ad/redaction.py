"""What of a setting may be shown: errors print values, and some values are secrets."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Misspelt keys hide too: a password under `pasword` is a password.
_SECRET = re.compile(r"pas|pw|secre|token|cred", re.IGNORECASE)
_SECURITY = re.compile(r"sec.?r", re.IGNORECASE)
_OPEN = frozenset({"protocol", "mechanism", "username", "password_file", "key_password_file"}) | {
    *("ca_file", "cert_file", "key_file"),
}
DEEPEST = 6  # parts of a path; YAML can nest, and refer to itself, without end


class _Hidden:
    """Stands for a value in a message."""

    def __repr__(self) -> str:
        return "(not shown)"


HIDDEN = _Hidden()


def shown(path: Sequence[int | str], value: object) -> object:
    """Return a setting as an error may print it, with `HIDDEN` for all that may be a secret.

    Examples
    --------
    >>> shown(["kafka", "security"], {"protocol": "ssl", "password": "x"})
    {'protocol': 'ssl', 'password': (not shown)}
    >>> shown(["windows", "hop"], 0)
    0
    """
    if len(path) > DEEPEST:
        return HIDDEN
    if isinstance(value, dict):
        return {key: shown([*path, str(key)], inner) for key, inner in value.items()}
    keys = [part for part in path if isinstance(part, str)]
    if keys and keys[-1].lower() in _OPEN:
        return value
    if any(_SECRET.search(key) or _SECURITY.search(key) for key in keys):
        return HIDDEN
    if isinstance(value, list):
        return [shown([*path, place], inner) for place, inner in enumerate(value)]
    return value
