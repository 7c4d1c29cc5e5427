"""Registry entries before they are typed: read from YAML files and laid over each other, key by key.

Files of one folder (``models/*.yaml``, ``models.yaml``) hold different entries. An entry of a later folder that has the
name of an earlier one is laid over it: keys it gives replace the earlier ones, a mapping such as ``pixels`` is merged
key by key, one level down, and ``null`` takes a key back to its default. ``based_on: NAME`` starts from another entry
instead.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from vlmake import paths
from vlmake.errors import VlmakeError, did_you_mean

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same YAML, several times faster where it was built

# A key that names another origin ends what was said about the earlier one.
_SUPERSEDED = {
    "repository": ("path", "modelscope", "revision"),
    "url": ("path", "source"),
    "source": ("path", "url", "md5"),
    "path": ("url", "source", "md5", "columns", "first_option"),
    "max_tokens": ("max_new_tokens",),  # two names of one key
    "max_new_tokens": ("max_tokens",),
}
_NOT_INHERITED = ("aliases", "description")


@dataclass(frozen=True)
class Draft:
    """An entry's raw values, where its last layer is, and by which layer each (nested) key was given."""

    values: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""
    given_by: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Layer:
    """What one file says about one entry: the file's defaults, its own keys, and the entry it starts from."""

    defaults: Draft
    own: Draft
    based_on: str | None


def read_yaml(file: Path) -> Any:
    """Return the content of a YAML file; raise VlmakeError with file and line on bad YAML or a key given twice."""
    try:
        loader = _LOADER(file.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_repeated_keys(file, node)
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise VlmakeError(f"{file}{line}: {error.problem or error.context}") from error
    except OSError as error:
        raise VlmakeError(f"{file}: {error.strerror or error}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise VlmakeError(f"{file}: {error}") from error


def read_layers(folder: Path, section: str) -> dict[str, Layer]:
    """Return what the files of one registry folder say about each entry of ``section``.

    Raises VlmakeError for bad YAML, wrong top-level keys, names that cannot be one, and a name in two files.
    """
    found: dict[str, Layer] = {}
    for file in [*folder.glob(f"{section}.yaml"), *sorted((folder / section).glob("*.yaml"))]:
        content = read_yaml(file) or {}
        unknown = set(map(str, content)) - {"defaults", section} if isinstance(content, dict) else {repr(content)}
        if unknown:
            raise VlmakeError(f"{file}: expected 'defaults' and '{section}', found {', '.join(sorted(unknown))}")
        defaults = mapping(content.get("defaults"), f"{file}: defaults")
        for name, values in mapping(content.get(section), f"{file}: {section}").items():
            _check_name(name, file)
            if str(name) in found:
                other = found[str(name)].own.where
                raise VlmakeError(f"{file}: {name} is in this folder already ({other}); a later folder may change it")
            where = f"{file}: {name}"
            own = mapping(values, where)
            based_on = own.pop("based_on", None)
            found[str(name)] = Layer(
                _draft(_anchored(defaults, file), where),
                _draft(_anchored(own, file), where),
                None if based_on is None else str(based_on),
            )
    return found


def lay_over(earlier: Mapping[str, Draft], layers: Mapping[str, Layer]) -> dict[str, Draft]:
    """Return all drafts with one folder's layers over the earlier ones; raise VlmakeError for a faulty ``based_on``."""
    done: dict[str, Draft] = {}

    def finish(name: str, above: tuple[str, ...]) -> Draft:
        if name not in done:
            done[name] = start(name, (*above, name)) if name in layers else earlier[name]
        return done[name]

    def start(name: str, above: tuple[str, ...]) -> Draft:
        layer = layers[name]
        if layer.based_on is None:
            return _over(_over(earlier.get(name, Draft()), layer.defaults), layer.own)
        if layer.based_on in above:
            circle = " → ".join((*above[above.index(layer.based_on) :], layer.based_on))
            raise VlmakeError(f"{layer.own.where}: based_on goes round in a circle: {circle}")
        known = [*earlier, *layers]
        if layer.based_on not in known:
            hint = did_you_mean(layer.based_on, known)
            raise VlmakeError(f"{layer.own.where}: based_on: there is no '{layer.based_on}'{hint}")
        base = _without(finish(layer.based_on, above), _NOT_INHERITED)
        return _over(_over(layer.defaults, base), layer.own)

    return {**earlier, **{name: finish(name, ()) for name in layers}}


def mapping(values: Any, where: str) -> dict[str, Any]:
    """Return a copy of ``values`` with text keys, empty for nothing; raise VlmakeError where it is no mapping."""
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise VlmakeError(f"{where}: expected keys and values, found {values!r}")
    for key in values:
        if not isinstance(key, str):
            raise VlmakeError(f"{where}: YAML reads the name {key!r} as a {type(key).__name__}; put it in quotes")
    return dict(values)


def _draft(values: Mapping[str, Any], where: str) -> Draft:
    return Draft(values, where, dict.fromkeys(_key_paths(values), where))


def _key_paths(values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        yield key
        if isinstance(value, dict):
            yield from (f"{key}.{nested}" for nested in value)


def _over(lower: Draft, upper: Draft) -> Draft:
    dropped = [
        old
        for key, superseded in _SUPERSEDED.items()
        if upper.values.get(key) not in (None, lower.values.get(key))
        for old in superseded
    ]
    kept = _without(lower, dropped)
    values = dict(kept.values)
    for key, value in upper.values.items():
        old = values.get(key)
        merged = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
        values[key] = {k: v for k, v in merged.items() if v is not None} if isinstance(merged, dict) else merged
    values = {key: value for key, value in values.items() if value is not None}
    return Draft(values, upper.where or lower.where, {**kept.given_by, **upper.given_by})


def _without(draft: Draft, keys: tuple[str, ...] | list[str]) -> Draft:
    return Draft({key: value for key, value in draft.values.items() if key not in keys}, draft.where, draft.given_by)


def _check_name(name: str, file: Path) -> None:
    if not re.fullmatch(paths.NAME, name) or name in paths.RESERVED_NAMES:
        raise VlmakeError(f"{file}: '{name}' cannot be a name: letters, digits and . _ + - only, not report or summary")


def _anchored(values: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Make the entry's folders absolute: a relative one is relative to the YAML file that names it."""
    anchored = dict(values)
    if isinstance(path := values.get("path"), str):
        anchored["path"] = _absolute(path, file)
    if isinstance(run_in := values.get("run_in"), str) and run_in.startswith((".", "/", "~")):
        anchored["run_in"] = _absolute(run_in, file)
    if "dataset" in values or values.get("backend") == "plugin" or isinstance(values.get("python_path"), str):
        anchored["python_path"] = _absolute(str(values.get("python_path") or "."), file)
    if isinstance(source := values.get("source"), str):
        anchored["source"] = _anchored_source(source, file)
    adapters = values.get("adapters")
    adapters = [adapters] if isinstance(adapters, str) else adapters
    if isinstance(adapters, list):
        anchored["adapters"] = [_anchored_adapter(adapter, file) for adapter in adapters]
    return anchored


def _anchored_source(source: str, file: Path) -> str:
    """A source is a folder if it is written as one (``./``, ``../``, ``~``, ``/``); else it is on a hub."""
    folder, colon, parts = source.removeprefix("hf:").partition(":")
    if folder.startswith(("./", "../", "/", "~")):
        return f"hf:{_absolute(folder, file)}{colon}{parts}"
    return source


def _anchored_adapter(adapter: Any, file: Path) -> Any:
    """An adapter is a folder if it is written as one (``./``, ``../``, ``~``, ``/``) or is there; else a hub id."""
    if not isinstance(adapter, str):
        return adapter
    if adapter.startswith((".", "/", "~")) or (file.parent / adapter).is_dir():
        return _absolute(adapter, file)
    return adapter


def _absolute(path: str, file: Path) -> str:
    try:
        return str((file.parent / Path(path).expanduser()).resolve())
    except (RuntimeError, ValueError) as error:
        raise VlmakeError(f"{file}: path {path!r} is none: {error}") from None


def _refuse_repeated_keys(file: Path, root: yaml.Node) -> None:
    """YAML's last value would win silently; two values are a mistake that nobody sees in a long file."""
    seen: set[int] = set()  # anchors make a node appear several times, and may make it hold itself
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            lines: dict[tuple[str, str], int] = {}
            for key, value in node.value:
                waiting.append(value)
                if not isinstance(key, yaml.ScalarNode):
                    continue
                line = key.start_mark.line + 1
                if (known_as := (key.tag, key.value)) in lines:
                    first = lines[known_as]
                    raise VlmakeError(f"{file} line {line}: key '{key.value}' is given twice, first in line {first}")
                lines[known_as] = line
