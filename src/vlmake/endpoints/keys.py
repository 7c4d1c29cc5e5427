"""Keys of servers: the value of a named variable of the environment, or of a ``.env`` file; never of a config file."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values

from vlmake.errors import VlmakeError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HIDDEN = "***"
_LIKE_A_KEY = r"\b(?:sk|key|ak|Bearer)[-_ ](?=[\w*.-]*[\d*])[\w*.-]{6,}"  # masked in the middle, or cut
_KEY_NOT_NAME = re.compile(r"(?=.*\d)(?=.*[a-z]).{20,}")
_LONG_ENOUGH = 6  # a shorter "key" (EMPTY, none) is no secret, and hiding it would blank ordinary words


@dataclass(frozen=True)
class Key:
    """A key and the variable that it came from; the value is in no text that this class makes."""

    variable: str | None
    value: str | None = field(default=None, repr=False)

    def headers(self) -> dict[str, str]:
        """Return the header that carries the key; none without one."""
        return {"Authorization": f"Bearer {self.value}"} if self.value else {}

    def hidden_in(self, text: str) -> str:
        """Return ``text`` with the key's value blanked: servers like to quote it, whole or in part."""
        if not self.value or len(self.value) < _LONG_ENOUGH:
            return text
        return re.sub(rf"{re.escape(self.value)}|{_LIKE_A_KEY}", _HIDDEN, text)

    def where(self) -> str:
        """Return the name by which a user knows the key."""
        return f"the key in {self.variable}" if self.variable else "no key (`api_key` names no variable)"


def read_key(variable: str | None, folder: Path) -> Key:
    """Return the key of a variable: of the environment, else of ``folder/.env``.

    Without a variable there is no key. Raises VlmakeError where the variable is set nowhere, or is no variable's name
    (a key itself, perhaps: it is not printed).
    """
    if variable is None:
        return Key(None)
    named = _NAME.fullmatch(variable) and not variable.startswith("sk_")
    value = variable_value(variable, folder) if named else None
    if not named or (not value and _KEY_NOT_NAME.fullmatch(variable)):
        raise VlmakeError("api_key: write the NAME of the environment variable that holds the key, not the key itself")
    if not value or not value.strip():
        raise VlmakeError(f"no key: set the environment variable {variable}, or write {variable}=... into .env")
    if not value.strip().isprintable():
        raise VlmakeError(f"the key in {variable} holds a line break or a control character: set it anew")
    return Key(variable, value.strip())


def variable_value(name: str, folder: Path) -> str | None:
    """Return a variable of the environment, else of ``folder/.env``; None where it is set nowhere, or to nothing."""
    return os.environ.get(name) or _from_file(folder / ".env").get(name) or None


def dotenv_values_of(folder: Path) -> dict[str, str]:
    """Return the variables that ``folder/.env`` sets; VlmakeError for a file that cannot be read."""
    return {name: value for name, value in _from_file(folder / ".env").items() if value is not None}


def _from_file(file: Path) -> dict[str, str | None]:
    if not file.is_file():
        return {}
    try:
        return dict(dotenv_values(file, interpolate=False))
    except (OSError, UnicodeDecodeError) as error:
        raise VlmakeError(f"{file} cannot be read ({type(error).__name__}): write NAME=value lines in UTF-8") from None
