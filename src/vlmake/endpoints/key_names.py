"""Whether what an entry has for the name of a key's variable may be one, or is the key itself."""

import re

NO_VARIABLE = "api_key: write the NAME of the environment variable that holds the key, not the key itself"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BEGIN_OF_KEYS = ("sk_", "AIza")
_LIKE_A_KEY = re.compile(r"(?=.*\d)(?=.*[a-z]).{20,}")


def may_be_variable(text: str) -> bool:
    """Tell whether a text may be a variable's name, whatever variables are set: no word of a name is like a key."""
    is_key = text.startswith(_BEGIN_OF_KEYS) or any(map(_LIKE_A_KEY.fullmatch, text.split("_")))
    return _NAME.fullmatch(text) is not None and not is_key


def is_like_a_key(text: str) -> bool:
    """Tell whether a name that is set nowhere is rather a key itself: long, with small letters and digits."""
    return _LIKE_A_KEY.fullmatch(text) is not None
