"""Lock files: every package that an environment has otherwise than vlmake's own, with its version.

``resources/environments/NAME.txt`` is known by its name, a lock file of the user's by its path. What is not in a lock
file is the core's: its torch, its pyarrow, vlmake itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from vlmake import paths
from vlmake.errors import VlmakeError, did_you_mean
from vlmake.store import text_digest


@dataclass(frozen=True)
class Lock:
    """A lock file that was read: ``requirements`` are its pins, sorted, without comments and options."""

    file: Path
    requirements: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return what the environment is called."""
        return self.file.stem

    @cached_property
    def digest(self) -> str:
        """Return what the environment is, wherever its lock file lies and whatever its comments say."""
        return text_digest("\n".join(self.requirements))

    @cached_property
    def versions(self) -> Mapping[str, str]:
        """Return the pinned version of every package that has one, by its normalised name."""
        pins = [Requirement(text) for text in self.requirements]
        return {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in pins if pin.specifier}

    def version(self, package: str) -> str:
        """Return a package's version in the environment: the pinned one, else the core's.

        Raises PackageNotFoundError where neither has it.
        """
        return self.versions.get(canonicalize_name(package)) or version(package)


def lock_folder() -> Path:
    """Return the folder of the lock files that come with vlmake."""
    return paths.product_root() / "resources" / "environments"


def shipped_locks() -> dict[str, Path]:
    """Return the lock files that come with vlmake, by name."""
    return {file.stem: file for file in sorted(lock_folder().glob("*.txt"))}


def find_lock(run_in: str) -> Lock:
    """Return the lock that a model's ``run_in`` names: a shipped one, or the file at an absolute path.

    Raises VlmakeError for an unknown name, and for a lock file that cannot be read or pins nothing.
    """
    if Path(run_in).is_absolute():
        return read_lock(Path(run_in))
    shipped = shipped_locks()
    if run_in not in shipped:
        known = f"{', '.join(shipped)}{did_you_mean(run_in, shipped)}"
        raise VlmakeError(f"run_in: unknown environment '{run_in}'; there are {known}, or a lock file: ./{run_in}.txt")
    return read_lock(shipped[run_in])


def read_lock(file: Path) -> Lock:
    """Return a lock file's content; raise VlmakeError with file and line for one that pins less than a version."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise VlmakeError(f"lock file {file} cannot be read: {error}") from error
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        said = line.split(" #")[0].strip()
        if said and not said.startswith(("#", "--")):
            found.append(_pinned(said, f"{file} line {number}"))
    if not found:
        raise VlmakeError(f"lock file {file} pins no package")
    return Lock(file, tuple(sorted(found)))


def _pinned(said: str, where: str) -> str:
    try:
        requirement = Requirement(said)
    except InvalidRequirement:
        raise VlmakeError(f"{where}: '{said}' is no requirement as pip writes them") from None
    exact = [part.operator in ("==", "===") and "*" not in part.version for part in requirement.specifier]
    if requirement.url is None and exact != [True]:
        raise VlmakeError(f"{where}: '{said}' pins no version: a lock file says `name==version`")
    return str(requirement)
