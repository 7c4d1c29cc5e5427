"""Keys of servers: the value of a named variable of the environment, or of a ``.env`` file; never of a config file."""

import os
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from vlmake.endpoints.key_names import NO_VARIABLE, is_like_a_key, may_be_variable
from vlmake.endpoints.spellings import spellings_of
from vlmake.errors import VlmakeError

_HIDDEN = "***"
_ENDS_A_KEY = r"\s\"'<>,;(){}\[\]"
_LIKE_A_KEY = re.compile(  # masked in the middle, or cut
    rf"\b(?:sk|key|ak|Bearer)[-_ ](?=[^{_ENDS_A_KEY}]*[\d*])[^{_ENDS_A_KEY}]{{6,}}"
)
_PART = 8  # so many of its characters in a row are a part of the key
_LONG_ENOUGH = 6  # a shorter "key" (EMPTY, none) is no secret, and hiding it would blank ordinary words


@dataclass(frozen=True)
class Key:
    """A key and the variable that it came from; the value is in no text that this class makes.

    ``others`` are further secrets on the way to the server, as a query in its address.
    """

    variable: str | None
    value: str | None = field(default=None, repr=False)
    others: tuple[str, ...] = field(default=(), repr=False)

    def headers(self) -> dict[str, str]:
        """Return the header that carries the key; none without one."""
        return {"Authorization": f"Bearer {self.value}"} if self.value else {}

    def hidden_in(self, text: str) -> str:
        """Return a message with the key's value blanked: servers like to quote it, whole or in part."""
        for other in self.others:
            if len(other) >= _LONG_ENOUGH:
                text = re.sub(spellings_of(other), _HIDDEN, text)
        if not self.value or len(self.value) < _LONG_ENOUGH:
            return text
        return _LIKE_A_KEY.sub(_HIDDEN, _without_parts(self._spellings.sub(_HIDDEN, text), self.value))

    def hidden_in_answer(self, text: str) -> str:
        """Return a model's words with the key's whole value blanked, and nothing else.

        A key that is a mere word or number stays: the model may well mean the word.
        """
        if not self.value or len(self.value) < _PART or self.value.isalpha() or self.value.isdigit():
            return text
        return self._spellings.sub(_HIDDEN, text)

    @cached_property
    def _spellings(self) -> re.Pattern[str]:
        return re.compile(spellings_of(self.value or ""))

    def at(self, url: str) -> "Key":
        """Return the key for a server, with the values in its address's query as secrets too."""
        return replace(self, others=tuple(value for _, value in parse_qsl(urlsplit(url).query)))

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
    named = may_be_variable(variable)
    value = variable_value(variable, folder) if named else None
    if not named or (not value and is_like_a_key(variable)):
        raise VlmakeError(NO_VARIABLE)
    if not value or not value.strip():
        advice = f"set the environment variable {variable}, or write {variable}=... into .env"
        raise VlmakeError(f"no key: {advice}{_unread_line(folder / '.env', variable)}")
    if not value.strip().isprintable():
        raise VlmakeError(f"the key in {variable} holds a line break or a control character: set it anew")
    return Key(variable, value.strip())


def variable_value(name: str, folder: Path) -> str | None:
    """Return a variable of the environment, else of ``folder/.env``; None where it is set nowhere, or to nothing."""
    return os.environ.get(name) or _from_file(folder / ".env").get(name) or None


def dotenv_values_of(folder: Path) -> dict[str, str]:
    """Return the variables that ``folder/.env`` sets; VlmakeError for a file that cannot be read."""
    return {name: value for name, value in _from_file(folder / ".env").items() if value is not None}


def _without_parts(text: str, value: str) -> str:
    """Return ``text`` with every stretch of the value blanked that is long enough to be a secret."""
    for start in range(len(value) - _PART + 1):
        while (found := text.find(value[start : start + _PART])) >= 0:
            end, same = found + _PART, start + _PART
            while end < len(text) and same < len(value) and text[end] == value[same]:
                end, same = end + 1, same + 1
            text = text[:found] + _HIDDEN + text[end:]
    return text


def _unread_line(file: Path, variable: str) -> str:
    """Return which line of a file was passed over as no assignment: the variable's own if it has one, else the first.

    The line is not quoted: it may hold the key.
    """
    if not file.is_file():
        return ""
    with file.open(encoding="utf-8", errors="replace") as lines:
        unread = [binding.original for binding in parse_stream(lines) if binding.error]
    own = [line for line in unread if re.match(rf"\s*(?:export\s+)?['\"]?{variable}\b", line.string)]
    if not unread:
        return ""
    line = (own or unread)[0]
    blank = len(line.string) - len(line.string.lstrip())
    number = line.line + line.string[:blank].count("\n")
    return f" ({file}, line {number} is no NAME=value, perhaps for a quote without its end: it was passed over)"


def _from_file(file: Path) -> dict[str, str | None]:
    if not file.is_file():
        return {}
    try:
        return dict(dotenv_values(file, interpolate=False))
    except (OSError, UnicodeDecodeError) as error:
        raise VlmakeError(f"{file} cannot be read ({type(error).__name__}): write NAME=value lines in UTF-8") from None
