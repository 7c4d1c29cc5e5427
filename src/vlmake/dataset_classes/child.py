"""The process in which a user's dataset class runs: ``python -m vlmake.dataset_classes.child FOLDER``.

FOLDER holds ``request.json``; what came of it is written there as ``answer.json``, rows as ``rows.jsonl``. What the
class writes belongs into the folder in it that is the working directory. A fault of the class is an answer as well, and
its traceback goes to stderr.
"""

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from vlmake import paths
from vlmake.data.images import ImageError
from vlmake.dataset_classes.faults import FaultError, calling, one_line
from vlmake.dataset_classes.files import dump
from vlmake.dataset_classes.image_files import found_inside
from vlmake.dataset_classes.process import WORK
from vlmake.dataset_classes.results import as_table, hits_by_index
from vlmake.errors import VlmakeError
from vlmake.orphans import die_with_parent
from vlmake.tables.plain_values import plain

_DATA_URI = "data:image/"


@dataclass(frozen=True)
class _Folders:
    """Where image files may lie: the class's own folder, and the one in which those lie that the TSV names."""

    work: Path
    images: Path


def _found(request: Mapping[str, Any]) -> Any:
    """Import the class, which is told where its TSV lies."""
    sys.path.insert(0, request["folder"])
    with calling("import", request["folder"]):
        module = importlib.import_module(request["module"])
    found = getattr(module, request["name"], None)
    if not isinstance(found, type):
        raise FaultError(f"import: the module has no class {request['name']}")
    return found


def _built(request: Mapping[str, Any]) -> tuple[Any, _Folders]:
    """Return the class's instance for the benchmark, its rows checked and cut to the limit, and its images' folders.

    Images that the TSV names lie where the class says in its ``img_root``; what it writes there goes into its own
    folder from here on.
    """
    found = _found(request)
    found.tsv_files = {request["dataset"]: request["tsv"]}
    with calling("__init__", request["folder"]):
        built = found(dataset=request["dataset"])
    data = getattr(built, "data", None)
    if not isinstance(data, pd.DataFrame) or "index" not in data:
        raise FaultError("__init__: it must leave a DataFrame with a column 'index' in self.data")
    indices = [str(index) for index in data["index"]]
    if len(set(indices)) != len(indices):
        twice = next(index for place, index in enumerate(indices) if index in indices[:place])
        raise FaultError(f"__init__: index '{twice}' is in self.data more than once")
    built.data = data.iloc[: request["limit"]]
    work = Path(request["scratch"]) / WORK
    root = getattr(built, "img_root", None) or paths.image_root(request["dataset"], paths.lmu_data(None))
    folders = _Folders(work, Path(root).absolute())
    built.image_folder = str(folders.images)
    built.img_root = str(work / "pictures")
    return built, folders


def published(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return where the class says that its TSV is: url and md5, each None where it does not say."""
    found = _found(request)
    answer = {}
    for key, attribute in (("url", "DATASET_URL"), ("md5", "DATASET_MD5")):
        known = getattr(found, attribute, None)
        value = known.get(request["dataset"]) if isinstance(known, Mapping) else None
        answer[key] = str(value) if value else None
    return answer


def ask(request: Mapping[str, Any]) -> dict[str, Any]:
    """Write a line a row: its index, its cells as text, and what ``build_prompt`` makes of it."""
    built, folders = _built(request)
    data = built.data
    with (Path(request["scratch"]) / "rows.jsonl").open("wb") as lines:
        for number in range(len(data)):
            line = data.iloc[number]
            method = f"build_prompt at row {number + 1} (index {line['index']})"
            with calling(method, request["folder"]):
                asked = _asked(built, line, method, folders)
                row = {"index": str(line["index"]), "cells": _cells(line), **asked}
            lines.write(_encoded(row, method) + b"\n")
    return {"columns": [str(name) for name in data.columns if name != "image"]}


def _encoded(value: Any, method: str) -> bytes:
    """Return a value as JSON; FaultError for a text that no file can hold."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        half = f"U+{ord(text[error.start]):04X}"
        raise FaultError(f"{method}: a text holds half a character ({half}, a lone surrogate); take it out") from None


def _asked(built: Any, line: "pd.Series[Any]", method: str, folders: _Folders) -> dict[str, Any]:
    """Return a row's messages, or why its image cannot be used."""
    try:
        return {"messages": _messages(built.build_prompt(line), method, folders)}
    except ImageError as error:
        return {"image_error": one_line(str(error))}


def _cells(line: "pd.Series[Any]") -> dict[str, str | None]:
    """Return a row's cells as text; numbers that are whole lose the ``.0`` that a gap in their column gave them."""
    return {str(name): _text(plain(value)) for name, value in line.items() if name != "image"}


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, default=str)


def _messages(prompt: Any, method: str, folders: _Folders) -> list[dict[str, str]]:
    """Return what ``build_prompt`` returned as the guide defines it, image values as absolute paths."""
    if not isinstance(prompt, list) or not prompt:
        raise FaultError(f"{method}: it must return a list of dict(type=…, value=…), not {prompt!r:.80}")
    return [_part(part, method, folders) for part in prompt]


def _part(part: Any, method: str, folders: _Folders) -> dict[str, str]:
    if isinstance(part, str):  # the guide's short form: a path or a text
        part = {"type": "image" if _is_file(part) else "text", "value": part}
    kind, value = (part.get("type"), part.get("value")) if isinstance(part, Mapping) else (None, None)
    if isinstance(value, Path):
        value = str(value)
    if kind not in ("image", "text") or not isinstance(value, str):
        raise FaultError(f"{method}: no part of a prompt that can be asked: {part!r:.80}")
    if kind == "image" and value.startswith(("http://", "https://")):
        raise FaultError(f"{method}: an image is a file on disk, not a URL: {value:.80}")
    if kind == "text" or value.startswith(_DATA_URI):
        return {"type": kind, "value": value}
    name = value.removeprefix("file://")
    file = found_inside(name, starts=(Path.cwd(), folders.images), folders=(folders.work, folders.images))
    return {"type": kind, "value": str(file)}


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def evaluate(request: Mapping[str, Any]) -> dict[str, Any]:
    """Write the predictions as a spreadsheet, call ``evaluate`` on it, and return its table and hits by index."""
    built, folders = _built(request)
    answers = json.loads((Path(request["scratch"]) / "predictions.json").read_text(encoding="utf-8"))
    indices = [str(index) for index in built.data["index"]]
    if unasked := [index for index in indices if index not in answers]:
        raise FaultError(f"__init__: its row with index '{unasked[0]}' was not asked; its rows must always be the same")
    frame = built.data.drop(columns="image", errors="ignore")
    eval_file = folders.work / f"{request['model']}_{request['dataset']}.xlsx"
    dump(frame.assign(prediction=[answers[index] for index in indices]), eval_file)
    with calling("evaluate", request["folder"]):
        result = built.evaluate(str(eval_file), **request["judge_kwargs"])
    with calling("evaluate", request["folder"]):  # what it returned is the user's too, down to its __str__
        try:
            columns, rows = as_table(result)
        except VlmakeError as error:
            raise FaultError(f"evaluate: {error}") from None
        return {"columns": columns, "rows": rows, "hits": hits_by_index(result, eval_file, indices)}


OPERATIONS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "published": published,
    "ask": ask,
    "evaluate": evaluate,
}


def main(folder: str) -> None:
    """Do what ``request.json`` in ``folder`` asks for."""
    die_with_parent()
    request = json.loads((Path(folder) / "request.json").read_text(encoding="utf-8"))
    if os.getppid() != request["parent"]:  # it was killed before the kernel knew that this process is to follow it
        return
    written = Path(folder) / "answer.part"
    written.write_bytes(_answer(request | {"scratch": folder}))
    written.rename(Path(folder) / "answer.json")


def _answer(request: Mapping[str, Any]) -> bytes:
    """Return what the operation came to, a fault included, as JSON."""
    operation = request["operation"]
    try:
        return _encoded(OPERATIONS[operation](request), operation)
    except (FaultError, VlmakeError) as error:
        fault = str(error)
    except Exception as error:  # whatever else comes of what the class left behind
        traceback.print_exc()
        fault = f"{operation}: {type(error).__name__}: {error}"
    return _encoded({"fault": one_line(fault)}, operation)


if __name__ == "__main__":
    main(sys.argv[1])
