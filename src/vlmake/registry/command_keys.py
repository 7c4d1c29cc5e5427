"""Secrets in a command line or a request's further keys: these are written into results, so none may stand there."""

import re
import shlex
from collections.abc import Mapping

_SECRETS = (
    ("api", "key"),
    ("api", "keys"),
    ("apikey",),
    ("api", "token"),
    ("auth", "token"),
    ("access", "token"),
    ("hf", "token"),
    ("password",),
    ("secret",),
)
"""The last words of names whose values are secrets; ``--tokens`` of engines are numbers."""
_NO_SECRETS = frozenset({"empty", "none", "null", "true", "false", ""})
_ASSIGNED = re.compile(r"(-{0,2}[A-Za-z_][\w.-]*)=(.*)", re.DOTALL)
_LIKE_A_KEY = re.compile(r"\b(?:sk-[\w-]{16,}|hf_[A-Za-z0-9]{20,}|Bearer\s+\S{6,})")


def secret_place(command: str) -> str | None:
    """Return where a command holds a secret: the name before it, or ``a value``; None where it holds none.

    Raises ValueError for a command that cannot be split into arguments.
    """
    words = shlex.split(command)
    for word, following in zip(words, [*words[1:], "-"], strict=True):
        assigned = _ASSIGNED.fullmatch(word)
        if assigned is not None:
            name, value = assigned.groups()
        else:
            name, value = word, "" if following.startswith("-") else following
        if (assigned is not None or word.startswith("-")) and _is_secret(name) and value.lower() not in _NO_SECRETS:
            return name
        if _LIKE_A_KEY.search(word):
            return "a value"
    return None


def holds_secret(values: object) -> bool:
    """Tell whether keys and values, nested or not, hold a secret: by a key's name, or by the looks of a value."""
    if isinstance(values, Mapping):
        return any(
            (_is_secret(str(name)) and isinstance(value, str) and value.lower() not in _NO_SECRETS)
            or holds_secret(value)
            for name, value in values.items()
        )
    if isinstance(values, list | tuple):
        return any(map(holds_secret, values))
    return isinstance(values, str) and bool(_LIKE_A_KEY.search(values))


def _is_secret(name: str) -> bool:
    words = tuple(re.split("[-_.]+", name.lstrip("-").lower()))
    return words == ("token",) or any(words[-len(secret) :] == secret for secret in _SECRETS)
