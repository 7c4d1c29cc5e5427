"""The class of a plugin is imported and its instance made: the user's own, or a model of an installed vlmeval."""

import importlib
import importlib.util
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from vlmake.dataset_classes.faults import calling
from vlmake.dataset_classes.source import class_name, module_file
from vlmake.errors import VlmakeError
from vlmake.model_classes.guarding import guarded
from vlmake.registry.model_entries import VLMEVALKIT, PluginEntry


def make_model(entry: PluginEntry) -> Any:
    """Return the instance that a plugin's entry describes.

    Raises:
        FaultError: The class raised, in one line; its traceback goes to stderr.
        VlmakeError: There is no such module, class or model.
    """
    if entry.model.startswith(VLMEVALKIT):
        return _of_vlmeval(entry.model.removeprefix(VLMEVALKIT), entry.arguments)
    found = class_name(entry.model, entry.python_path)
    file, folder = module_file(found), str(found.folder)
    sys.path.insert(0, folder)
    with _without_bytecode(), calling("import", folder), guarded(f"{entry.model}: import"):
        module = importlib.import_module(found.module)
    loaded = getattr(module, "__file__", None)
    if loaded is None or Path(loaded).resolve() != file.resolve():
        raise VlmakeError(f"another module is called '{found.module}' ({loaded or 'built in'}): rename {file.name}")
    made = getattr(module, found.name, None)
    if not isinstance(made, type):
        raise VlmakeError(f"{file} has no class {found.name}")
    with calling("__init__", folder), guarded(f"{entry.model}: __init__"):
        return made(**entry.arguments)


def _of_vlmeval(name: str, arguments: Mapping[str, Any]) -> Any:
    """Return a model that vlmeval registers under ``name``, made in the interpreter that runs this job."""
    if importlib.util.find_spec("vlmeval") is None:
        raise VlmakeError(
            f"vlmeval is not installed in {sys.prefix}: give the entry `run_in: ms-vlmeval`, or run"
            f" `{sys.executable} -m pip install ms-vlmeval`"
        )
    with _checked_https(), calling("import", ""), guarded("vlmeval: import"):
        models = importlib.import_module("vlmeval.config").supported_VLM
    if name not in models:
        close = get_close_matches(name, models, 1)
        raise VlmakeError(f"vlmeval knows no model '{name}'" + (f"; did you mean '{close[0]}'?" if close else ""))
    with calling("__init__", ""), guarded(f"{VLMEVALKIT}{name}: __init__"):
        return models[name](**arguments)


@contextmanager
def _checked_https() -> Iterator[None]:
    """Keep certificates checked: the import of vlmeval switches that off for the whole process."""
    checked = ssl._create_default_https_context
    try:
        yield
    finally:
        ssl._create_default_https_context = checked


@contextmanager
def _without_bytecode() -> Iterator[None]:
    """Write no compiled files beside the user's source: one of the same second and size would pass for a newer one."""
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
