"""The command ``stream-ad``: one file per command, no logic."""

from __future__ import annotations

import os
import sys

from stream_ad.errors import StreamAdError

INTERRUPTED = 130


class Interrupted(Exception):
    """The keyboard's interrupt, and what can be done now."""


def main() -> None:
    """Run the command; what goes wrong is a sentence and exit code 2, never a traceback."""
    try:
        from stream_ad.cli.app import app  # here, as the keyboard may interrupt this as well

        app()
    except StreamAdError as error:
        _stop("\n".join(f"error: {line}" for line in str(error).splitlines()), 2, error)
    except Interrupted as stop:
        _stop(f"interrupted; {stop}", INTERRUPTED)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # Typer has made that of the keyboard's interrupt
            _stop("interrupted", INTERRUPTED)
        raise
    except KeyboardInterrupt:
        _stop("interrupted", INTERRUPTED)
    except MemoryError:
        _stop("error: not enough memory", 1)
    except Exception as error:  # the last resort: a user gets a sentence, a developer can ask
        kind = type(error).__name__
        _stop(f"internal error ({kind}: {error}); STREAM_AD_DEBUG=1 shows where", 1, error)


def _stop(text: str, code: int, error: BaseException | None = None) -> None:
    if error is not None and os.environ.get("STREAM_AD_DEBUG"):
        raise error
    sys.stderr.write(text + "\n")
    sys.exit(code)
