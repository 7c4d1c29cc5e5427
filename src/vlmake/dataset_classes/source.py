"""Which class an entry names, where its source lies, and a digest of it: all that planning needs, nothing imported."""

import ast
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vlmake.errors import VlmakeError

NAME = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*"
"""How a class is written: ``my_module:MyDataset``."""


PROTOCOL = "class"
"""The protocol of scores that a dataset class made, and the rule of its judged rows."""

EVALUATION_VERSION = 2
"""Raised by hand when a class is given something else to evaluate, or its result is read in another way."""


class ClassName(NamedTuple):
    """A class by its module, its name there, and the folder in which the module is looked for."""

    module: str
    name: str
    folder: Path

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"


def class_name(written: str, folder: str | None) -> ClassName:
    """Return the class behind ``my_module:MyDataset``; VlmakeError for a text of another form."""
    if not re.fullmatch(NAME, written):
        raise VlmakeError(f"'{written}' is no class; write my_module:MyDataset")
    module, _, name = written.partition(":")
    return ClassName(module, name, Path(folder or "."))


def module_file(found: ClassName) -> Path:
    """Return the file of the class's module; VlmakeError where it is not there."""
    file = _file(found.module, found.folder)
    if file is None:
        relative = Path(*found.module.split(".")).with_suffix(".py")
        raise VlmakeError(f"there is no {relative} in {found.folder}; `python_path` says where it lies")
    return file


def class_digest(written: str, folder: str | None) -> str:
    """Return a SHA-256 over the class's module and the modules in its folder that it imports, however far."""
    sources = class_sources(written, folder)
    digests = {module: hashlib.sha256(source).hexdigest() for module, source in sources.items()}
    listed = "".join(f"{module} {digest}\n" for module, digest in sorted(digests.items()))
    return hashlib.sha256(listed.encode()).hexdigest()


def class_sources(written: str, folder: str | None) -> dict[str, bytes]:
    """Return the sources of the class's module and of the modules in its folder that it imports, by module."""
    found = class_name(written, folder)
    module_file(found)
    waiting, sources = [found.module], {}
    while waiting:
        module = waiting.pop()
        file = _file(module, found.folder)
        if file is not None and module not in sources:
            sources[module] = file.read_bytes()
            waiting += _imported(sources[module], module, file)
    return sources


def _file(module: str, folder: Path) -> Path | None:
    path = folder.joinpath(*module.split("."))
    return next((file for file in (path.with_name(f"{path.name}.py"), path / "__init__.py") if file.is_file()), None)


def _imported(source: bytes, module: str, file: Path) -> Iterator[str]:
    """Yield the names of what may be modules; none for a source that is no Python, which the import will say."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_packages(alias.name)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield from _with_packages(base)
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)


def _with_packages(module: str) -> Iterator[str]:
    """Yield a module and the packages that are imported on the way to it."""
    parts = module.split(".")
    yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1) if parts[0])
