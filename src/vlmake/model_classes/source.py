"""What a plugin is, by its source alone: all that planning and the keys of predictions need, nothing imported."""

import ast

from vlmake.dataset_classes.source import class_digest, class_sources
from vlmake.registry.model_entries import VLMEVALKIT, PluginEntry

_BUILDS_PROMPTS = "use_custom_prompt"
"""The method by which a class of the guide says that it builds its own prompts."""


def plugin_identity(entry: PluginEntry) -> str:
    """Return what a plugin is: its class with the digest of its source, and what the entry calls its state.

    Of a model of an installed vlmeval only the name is known here. Raises VlmakeError where the module is not there.
    """
    if entry.model.startswith(VLMEVALKIT):
        return f"plugin:{entry.model}@{entry.revision}"
    return f"plugin:{entry.model}@{entry.revision} {class_digest(entry.model, entry.python_path)}"


def may_build_prompts(entry: PluginEntry) -> bool:
    """Tell whether a plugin may make prompts from rows: whether its source names the method that says so."""
    if entry.model.startswith(VLMEVALKIT):
        return True
    return any(_names(source, _BUILDS_PROMPTS) for source in class_sources(entry.model, entry.python_path).values())


def _names(source: bytes, name: str) -> bool:
    """Tell whether a module defines, assigns or mentions a name; a source that is no Python will say so itself."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    return any(
        (isinstance(node, ast.FunctionDef) and node.name == name)
        or (isinstance(node, ast.Name) and node.id == name)
        or (isinstance(node, ast.Attribute) and node.attr == name)
        for node in ast.walk(tree)
    )
