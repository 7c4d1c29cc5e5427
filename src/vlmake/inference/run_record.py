"""What happened while answers were made: settings as the backend really had them, devices, batches, fall-backs.

One file a process, beside the journal. Nothing of it is part of a prediction's key; it is what a reader asks for when
two runs differ.
"""

import json
import os
import socket
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlmake.store import canonical_json, write_text


def new_record(journal: Path) -> Path:
    """Return the name of a new record in a journal's folder."""
    return journal / f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.record.json"


def since(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return a backend's facts with what it counts less what it had counted before: ``samples``, ``seconds``, ``cost``.

    Of its ``concurrency``, a list of changes, those since then remain, behind the one that held at the beginning.
    """
    counted = {
        name: {key: round(value - before.get(name, {}).get(key, 0), 3) for key, value in now[name].items()}
        for name in ("samples", "seconds")
        if name in now
    }
    found = dict(now) | counted
    if found.get("cost") is not None:
        found["cost"] = round(found["cost"] - (before.get("cost") or 0.0), 9)
    if "concurrency" in now:
        held = before.get("concurrency", [])
        found["concurrency"] = [*held[-1:], *(change for change in now["concurrency"] if change not in held)]
    return found


def write_record(file: Path, content: Mapping[str, Any]) -> None:
    """Write a record atomically, over an earlier state of itself."""
    write_text(file, canonical_json(dict(content)))


def read_records(journal: Path, dataset: str) -> list[dict[str, Any]]:
    """Return the records of a dataset's answers, in the order of their files; damaged ones are left out."""
    found = []
    for file in sorted(journal.glob("*.record.json")):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(content, dict) and content.get("dataset") == dataset:
            found.append(content)
    return found
