"""``python -m vlmake.environments.enter MARKER PROGRAM [ARGUMENTS]``: run a program by an environment's interpreter."""

import os
import sys
from pathlib import Path

from vlmake.environments.markers import read_interpreter
from vlmake.errors import VlmakeError


def main(words: list[str]) -> None:
    """Become the program: same process, same leases, other libraries. Its servers find the environment's commands."""
    try:
        python = read_interpreter(Path(words[0]))
    except VlmakeError as error:
        print(f"vlmake: {error}", file=sys.stderr)
        sys.exit(1)
    path = f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    os.execve(python, [str(python), *words[1:]], {**os.environ, "PATH": path})


if __name__ == "__main__":
    main(sys.argv[1:])
