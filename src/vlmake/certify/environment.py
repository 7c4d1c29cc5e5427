"""The interpreter that a published checkpoint's own code runs under: named by the user, or made from a pinned list."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from vlmake.environments import building
from vlmake.environments.locks import lock_folder
from vlmake.errors import VlmakeError


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
    return lock_folder() / PUBLISHED[converter].requirements


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
    folder = building.environment_folder(requirements, on_core=False)
    if make:
        building.build(requirements, folder, on_core=False)
    if building.is_whole(folder):
        return building.interpreter(folder)
    raise VlmakeError(
        "the original runs in an environment of its own, which is not there: make it by --make-environment, or by"
        f" `{Path(sys.executable).name} -m venv ENV` and `ENV/bin/pip install -r {requirements}`, then give"
        " --python ENV/bin/python"
    )
