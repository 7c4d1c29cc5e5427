"""What was found out about a file, remembered in the user's cache by path, size and modification time.

Losing the memory, or being unable to write it, costs only the time to find out again.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlmake.digests import cache_home
from vlmake.store import canonical_json, text_digest, write_text

_SETTLED_SECONDS = 2.0  # a file changed this recently may change again within the clock's resolution


def recall(what: str, file: Path, under: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what was remembered of ``file``; None if nothing was, or of another content.

    Args:
        what: The memory's folder below the cache.
        file: The file, which must be there.
        under: What else it depends on.
    """
    try:
        content = json.loads(_memory(what, file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    known_as = {**_known_as(file), **under}
    if not isinstance(content, dict) or {key: content.get(key) for key in known_as} != known_as:
        return None
    return content


def remember(
    what: str, file: Path, under: Mapping[str, Any], content: Mapping[str, Any], seen: Mapping[str, Any]
) -> None:
    """Remember ``content`` of a file that had the state ``seen`` before it was read, unless it is still changing."""
    if seen != file_state(file) or time.time() - file.stat().st_mtime <= _SETTLED_SECONDS:
        return
    try:
        write_text(_memory(what, file), canonical_json({**_known_as(file), **under, **content}))
    except OSError:
        return  # a read-only home


def file_state(file: Path) -> dict[str, Any]:
    """Return size and modification time, which change with the content."""
    stat = file.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _known_as(file: Path) -> dict[str, Any]:
    return {"path": str(file.resolve()), **file_state(file)}


def _memory(what: str, file: Path) -> Path:
    return cache_home() / what / f"{text_digest(str(file.resolve()))[:32]}.json"
