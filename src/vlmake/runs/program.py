"""How every stage program ends: 0, or one line on stderr and a non-zero exit code, without a traceback."""

import errno
import io
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from vlmake.errors import VlmakeError

INTERRUPTED = 130  # 128 + SIGINT, what a shell reports for a program that Ctrl-C ended

# What a machine does to a program: the text of these errors is all that a user can act on.
_MACHINE_ERRORS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.EMFILE,
    errno.ESTALE,
}


def run_program(name: str, command: click.Command, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run ``command`` and exit.

    Args:
        name: The stage, e.g. ``decode``; error lines start with ``vlmake decode: ``. Empty for ``vlmake`` itself.
        command: The click command that does the work.
        arguments: Its arguments; this process's own if absent.

    Exit codes: 0, or what the command returned through ``ctx.exit``; 1 for a ``VlmakeError`` or a disk or permission
    error, as one line; 2 for wrong arguments; 130 for Ctrl-C. Any other exception is a bug and keeps its traceback.
    """
    label = f"vlmake {name}".strip()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a letter that the terminal's encoding lacks costs no result
        sys.stdout.reconfigure(errors="replace")
    try:
        code = command.main(arguments, prog_name=label, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):  # click turns the one that reaches it into the other
        _complain(label, "interrupted")
        sys.exit(INTERRUPTED)
    except VlmakeError as error:
        _complain(label, str(error))
        sys.exit(1)
    except OSError as error:
        if error.errno not in _MACHINE_ERRORS:
            raise
        _complain(label, f"{error.strerror}: {error.filename}" if error.filename else str(error))
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _complain(label: str, message: str) -> None:
    """Write one line to stderr, without the control characters that could repaint a terminal."""
    line = "".join(letter if letter.isprintable() else "?" for letter in message)
    print(f"{label}: {line}", file=sys.stderr, flush=True)
