"""Virtual environments from lists of packages, built by uv into the user's cache and shared by all work directories.

An environment is known by its list, this Python and, where it rests on vlmake's own packages, by where these lie.
"""

import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from vlmake.digests import cache_home
from vlmake.errors import VlmakeError
from vlmake.locks import hold
from vlmake.store import canonical_json, text_digest, write_text

_MADE = "made.json"  # in a finished environment: what lies in its folder of packages
_CORE = "zz_vlmake_core.pth"  # read last of all: a package of the environment's own comes before the core's


def environment_folder(requirements: Path, *, on_core: bool) -> Path:
    """Return where the environment of a list lies."""
    core = _core_packages() if on_core else []
    version = ".".join(map(str, sys.version_info[:2]))
    digest = text_digest("\n".join([version, *core, requirements.read_text(encoding="utf-8")]))
    return cache_home() / "environments" / f"{requirements.stem}-{digest[:16]}"


def interpreter(folder: Path) -> Path:
    """Return the interpreter of an environment."""
    return folder / "bin" / "python"


def is_whole(folder: Path) -> bool:
    """Tell whether an environment was finished and nothing in its folder of packages is gone since."""
    try:
        listed = json.loads((folder / _MADE).read_text(encoding="utf-8"))["packages"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    present = {path.name for path in _packages(folder).glob("*")}
    return interpreter(folder).is_file() and present.issuperset(listed)


def last_failure(folder: Path) -> str | None:
    """Return why an environment could not be built when that was tried last; None where nothing is known of it."""
    try:
        return _failure(folder).read_text(encoding="utf-8")
    except OSError:
        return None


def build(requirements: Path, folder: Path, *, on_core: bool) -> None:
    """Build an environment unless it is whole; what an earlier try left behind is removed.

    Args:
        requirements: The list of its packages.
        folder: Where it is made.
        on_core: Whether packages that are not in the list are vlmake's own: then exactly the list is installed. Else
            what its packages depend on is installed too, and nothing of vlmake's is seen.

    Raises VlmakeError with the reason that uv gives.
    """
    with hold(folder.with_name(f".{folder.name}.lock"), f"waiting: another process is making {folder}"):
        if is_whole(folder):
            return
        shutil.rmtree(folder, ignore_errors=True)
        _failure(folder).unlink(missing_ok=True)
        print(f"making {folder} from {requirements}", file=sys.stderr, flush=True)
        exactly = ["--no-deps"] if on_core else []
        where = ["--python", str(interpreter(folder))]
        try:
            _uv(["venv", "--no-project", "--python", sys.executable, str(folder)], requirements)
            _uv(["pip", "install", *where, *exactly, "--requirement", str(requirements)], requirements)
        except VlmakeError as error:
            write_text(_failure(folder), str(error))
            raise
        if on_core:
            lines = [f"import site; site.addsitedir({core!r})\n" for core in _core_packages()]
            write_text(_packages(folder) / _CORE, "".join(lines))
        content = {"packages": sorted(path.name for path in _packages(folder).glob("*"))}
        write_text(folder / _MADE, canonical_json(content))


def _uv(words: Sequence[str], requirements: Path) -> None:
    done = subprocess.run(
        [find_uv(), "--quiet", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise VlmakeError(f"environment {requirements.stem} ({requirements}) cannot be made: {_reason(done.stdout)}")


def find_uv() -> str:
    """Return the uv beside this interpreter, else the one on the path; raise VlmakeError where there is none."""
    beside = sysconfig.get_path("scripts")
    found = shutil.which("uv", path=beside) or shutil.which("uv")
    if found is None:
        raise VlmakeError(f"uv, which builds environments, is not there: `{sys.executable} -m pip install uv`")
    return found


def _reason(said: str) -> str:
    """Return uv's message without the drawing around it."""
    return " ".join(word for word in said.split() if not set(word) <= set("×╰─▶│├")) or "no message"


def _failure(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.failed")


def _packages(folder: Path) -> Path:
    return folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"


def _core_packages() -> list[str]:
    """Return the folders of vlmake's own packages."""
    return list(dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]))
