"""The process in which a user's dataset class runs: ``python -m vlmake.dataset_classes.child FOLDER``.

FOLDER holds ``request.json``; what came of it is written there as ``answer.json``, rows as ``rows.jsonl``. A fault of
the class is an answer as well, and its traceback goes to stderr.
"""

import ctypes
import importlib
import json
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from vlmake import paths
from vlmake.dataset_classes.files import dump
from vlmake.dataset_classes.results import as_table, hits_by_index, plain
from vlmake.errors import VlmakeError
from vlmake.images import ImageError

_PR_SET_PDEATHSIG = 1
_DATA_URI = "data:image/"


class FaultError(Exception):
    """What the class did wrong, in one line."""


@contextmanager
def _calling(method: str, folder: str) -> Iterator[None]:
    """Turn whatever the user's code raises into a FaultError: method, exception, last place in the user's folder."""
    try:
        yield
    except FaultError:
        raise
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        places = traceback.extract_tb(error.__traceback__)
        own = [place for place in places if Path(place.filename).is_relative_to(folder)]
        where = f" ({Path(own[-1].filename).name} line {own[-1].lineno})" if own else ""
        raise FaultError(f"{method}: {type(error).__name__}: {error}{where}") from error


def _found(request: Mapping[str, Any]) -> Any:
    """Import the class, which is told where its TSV lies."""
    sys.path.insert(0, request["folder"])
    with _calling("import", request["folder"]):
        module = importlib.import_module(request["module"])
    found = getattr(module, request["name"], None)
    if not isinstance(found, type):
        raise FaultError(f"import: the module has no class {request['name']}")
    return found


def _built(request: Mapping[str, Any]) -> Any:
    """Return the class's instance for the benchmark, with its rows checked and cut to the limit."""
    found = _found(request)
    found.tsv_files = {request["dataset"]: request["tsv"]}
    with _calling("__init__", request["folder"]):
        built = found(dataset=request["dataset"])
    data = getattr(built, "data", None)
    if not isinstance(data, pd.DataFrame) or "index" not in data:
        raise FaultError("__init__: it must leave a DataFrame with a column 'index' in self.data")
    indices = [str(index) for index in data["index"]]
    if len(set(indices)) != len(indices):
        twice = next(index for place, index in enumerate(indices) if index in indices[:place])
        raise FaultError(f"__init__: index '{twice}' is in self.data more than once")
    built.data = data.iloc[: request["limit"]]
    built.img_root = str(Path(request["scratch"]) / "pictures")
    return built


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
    built = _built(request)
    image_root = paths.image_root(request["dataset"], paths.lmu_data(None))
    with (Path(request["scratch"]) / "rows.jsonl").open("w", encoding="utf-8") as lines:
        for number in range(len(built.data)):
            line = built.data.iloc[number]
            method = f"build_prompt at row {number + 1} (index {line['index']})"
            with _calling(method, request["folder"]):
                asked = _asked(built, line, method, image_root)
            row = {"index": str(line["index"]), "cells": _cells(line), **asked}
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
    return {"columns": [str(name) for name in built.data.columns if name != "image"]}


def _asked(built: Any, line: "pd.Series[Any]", method: str, image_root: Path) -> dict[str, Any]:
    """Return a row's messages, or why its image cannot be used."""
    try:
        return {"messages": _messages(built.build_prompt(line), method, image_root)}
    except ImageError as error:
        return {"image_error": str(error)}


def _cells(line: "pd.Series[Any]") -> dict[str, str | None]:
    """Return a row's cells as text; numbers that are whole lose the ``.0`` that a gap in their column gave them."""
    return {str(name): _text(plain(value)) for name, value in line.items() if name != "image"}


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, default=str)


def _messages(built: Any, method: str, image_root: Path) -> list[dict[str, str]]:
    """Return messages as the guide defines them, image values as absolute paths."""
    if not isinstance(built, list) or not built:
        raise FaultError(f"{method}: it must return a list of dict(type=…, value=…), not {built!r:.80}")
    return [_part(part, method, image_root) for part in built]


def _part(part: Any, method: str, image_root: Path) -> dict[str, str]:
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
    return {"type": kind, "value": str(_image_file(value.removeprefix("file://"), image_root))}


def _image_file(name: str, image_root: Path) -> Path:
    """Return where an image is: a name that the class took from its TSV is looked up where those of all TSVs are."""
    file = Path(name)
    if file.is_absolute() or _is_file(name):
        return file.absolute()
    inside = (image_root / file).resolve()
    if not inside.is_relative_to(image_root.resolve()):
        raise ImageError(f"image_path '{name:.80}' leads out of the image folder")
    return inside


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def evaluate(request: Mapping[str, Any]) -> dict[str, Any]:
    """Write the predictions as a spreadsheet, call ``evaluate`` on it, and return its table and hits by index."""
    built = _built(request)
    scratch = Path(request["scratch"])
    answers = json.loads((scratch / "predictions.json").read_text(encoding="utf-8"))
    indices = [str(index) for index in built.data["index"]]
    if unasked := [index for index in indices if index not in answers]:
        raise FaultError(f"__init__: its row with index '{unasked[0]}' was not asked; its rows must always be the same")
    frame = built.data.drop(columns="image", errors="ignore")
    eval_file = scratch / f"{request['model']}_{request['dataset']}.xlsx"
    dump(frame.assign(prediction=[answers[index] for index in indices]), eval_file)
    with _calling("evaluate", request["folder"]):
        result = built.evaluate(str(eval_file), **request["judge_kwargs"])
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
    if sys.platform == "linux":  # elsewhere it outlives a parent that is killed
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    request = json.loads((Path(folder) / "request.json").read_text(encoding="utf-8"))
    try:
        answer = OPERATIONS[request["operation"]]({**request, "scratch": folder})
    except (FaultError, VlmakeError) as error:
        answer = {"fault": str(error)}
    written = Path(folder) / "answer.part"
    written.write_text(json.dumps(answer, ensure_ascii=False, allow_nan=False), encoding="utf-8")
    written.rename(Path(folder) / "answer.json")


if __name__ == "__main__":
    main(sys.argv[1])
