"""A digest of the source that computes a metric, so that a changed scorer recomputes its scores and no others.

The imports inside the package are followed in the syntax tree, without importing anything: planning asks for digests
before every run, and pandas takes half a second to load.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from vlmake.extract.registry import extractor_module
from vlmake.metrics.registry import metric_entry

_PACKAGE = "vlmake"
_ROOT = Path(__file__).resolve().parents[1]
_ENTRANCE = "vlmake.scoring.protocols"

# Not followed: the tables of names, of which a metric uses one line (the modules it names are hashed), and the error
# type.
_LEFT_OUT = frozenset(
    ("vlmake.metrics.registry", "vlmake.extract.registry", "vlmake.judges.registry", "vlmake.errors", _PACKAGE)
)


@cache
def source_digest(metric: str, folder: Path | None = None) -> str:
    """Return a SHA-256 over the modules that scoring with ``metric`` runs through, as 64 hexadecimal digits.

    Args:
        metric: Its name in the registry; VlmakeError for an unknown one.
        folder: Where the package's modules lie; None for this package.
    """
    waiting = [_ENTRANCE, extractor_module(metric), *filter(None, [metric_entry(metric).module])]
    return _digest_from(waiting, folder or _ROOT)


@cache
def module_digest(module: str) -> str:
    """Return a SHA-256 over a module of this package and all of the package that it imports."""
    return _digest_from([module], _ROOT)


def _digest_from(waiting: list[str], folder: Path) -> str:
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += _module(name, folder)[1]
    total = hashlib.sha256()
    for name in sorted(seen):
        total.update(f"{name} {_module(name, folder)[0]}\n".encode())
    return total.hexdigest()


@cache
def _module(name: str, folder: Path) -> tuple[str, tuple[str, ...]]:
    """Return a module's digest and the modules of the package that it imports."""
    source = _file(name, folder).read_bytes()
    imported = dict.fromkeys(found for found in _imports(source, folder) if found not in _LEFT_OUT)
    return hashlib.sha256(source).hexdigest(), tuple(imported)


def _imports(source: bytes, folder: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _inside(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module and _inside(node.module):
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if _file(name, folder).is_file() else node.module


def _inside(name: str) -> bool:
    return name == _PACKAGE or name.startswith(f"{_PACKAGE}.")


def _file(name: str, folder: Path) -> Path:
    path = folder.joinpath(*name.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
