"""The interpreter that a published checkpoint's own code runs under: named by the user, or made from a pinned list."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlmake import paths
from vlmake.digests import cache_home
from vlmake.errors import VlmakeError
from vlmake.locks import hold
from vlmake.store import text_digest, write_text

_MADE = "made-from.txt"  # in a finished environment: the list it was made from


@dataclass(frozen=True)
class Published:
    """What the code of a converter's checkpoints needs: pinned requirements, and the transformers it works with.

    Below the first version the architectures are missing; after the last one its language models cannot generate.
    """

    requirements: str
    transformers: tuple[str, str]


PUBLISHED = {"internvl2": Published("internvl2.txt", ("4.37.2", "4.51.3"))}


def requirements_file(converter: str) -> Path:
    """Return the pinned list of the original's environment."""
    return paths.product_root() / "resources" / "environments" / PUBLISHED[converter].requirements


def find_python(requirements: Path, named: Path | None, make: bool) -> Path:
    """Return the original's interpreter.

    Args:
        requirements: The pinned list of its environment.
        named: The interpreter to use, if the user named one.
        make: Make the environment if it is not there yet; it may download.

    Raises VlmakeError that says how to make one where none is named or made.
    """
    if named is not None:
        if found := shutil.which(named.expanduser()):
            return Path(found).absolute()  # not resolved: a venv is known by the place of its link
        raise VlmakeError(f"--python {named} is not there, or is no program")
    folder = environment_folder(requirements)
    if is_made(folder):
        return _python(folder)
    if make:
        make_environment(requirements, folder)
        return _python(folder)
    raise VlmakeError(
        "the original runs in an environment of its own, which is not there: make it by --make-environment, or by"
        f" `{Path(sys.executable).name} -m venv ENV` and `ENV/bin/pip install -r {requirements}`, then give"
        " --python ENV/bin/python"
    )


def environment_folder(requirements: Path) -> Path:
    """Return where the environment of a list lies, by the list's content and this Python's version."""
    version = ".".join(map(str, sys.version_info[:2]))
    digest = text_digest(f"{version}\n{requirements.read_text(encoding='utf-8')}")
    return cache_home() / "environments" / f"{requirements.stem}-{digest[:16]}"


def is_made(folder: Path) -> bool:
    """Tell whether an environment was finished."""
    return (folder / _MADE).is_file() and _python(folder).is_file()


def make_environment(requirements: Path, folder: Path) -> None:
    """Make a virtual environment and install the list into it; what an earlier try left behind is removed.

    Raises VlmakeError with the last thing pip said.
    """
    with hold(folder.with_name(f".{folder.name}.lock"), f"waiting: another process is making {folder}"):
        if is_made(folder):
            return
        shutil.rmtree(folder, ignore_errors=True)
        print(f"making {folder} from {requirements}; it takes a few minutes", file=sys.stderr, flush=True)
        _call([sys.executable, "-m", "venv", str(folder)], folder)
        install(_python(folder), requirements, folder)
        write_text(folder / _MADE, requirements.read_text(encoding="utf-8"))


def install(python: Path, requirements: Path, folder: Path) -> None:
    """Install a list by an interpreter's own pip; raise VlmakeError that names the environment ``folder``."""
    quietly = ["install", "--quiet", "--disable-pip-version-check"]
    _call([str(python), "-m", "pip", *quietly, "--requirement", str(requirements)], folder)


def _call(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if line.strip()]
        errors = [line for line in said if line.startswith("ERROR:")] or said or ["no message"]
        raise VlmakeError(f"the original's environment {folder} cannot be made: {errors[-1]}")


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"
