"""The forms in which a reply may quote a secret: as it is, and as JSON, URLs, HTML or a mistaken encoding make it."""

import re

_PLAIN = re.compile(r"[A-Za-z0-9]")


def spellings_of(value: str) -> str:
    """Return a regular expression for a value in which each character may be written in any of the usual forms.

    They are the character itself, JSON's escapes (also of JSON in JSON), its percent-encoding, HTML's references, the
    escapes of Python's ``repr`` of bytes, and UTF-8 that was read as Latin-1 or Windows-1252, the other way round, or
    with replacement characters.
    """
    return "".join(_character(character) for character in value)


def _character(character: str) -> str:
    if _PLAIN.fullmatch(character):
        return character
    forms = [rf"\\*{re.escape(character)}", _json(character), _html(character)]
    if character == " ":
        forms.append(r"\+")
    encoded = {character.encode(name, "ignore") for name in ("utf-8", "latin-1", "cp1252")} - {b""}
    for data in sorted(encoded, key=len, reverse=True):
        forms += [_bytes("%", data), _bytes(r"\\+x", data)]
    if not character.isascii():
        utf8 = character.encode("utf-8", "replace")
        misread = ["".join(_misread(byte, name) for byte in utf8) for name in ("cp1252", "latin-1")]
        forms += [re.escape(text) for text in misread] + ["".join(_json(one) for one in text) for text in misread]
        forms += ["".join(_bytes("%", one.encode()) for one in text) for text in misread]
        forms.append(rf"(?:\ufffd|\?){{1,{len(utf8)}}}")
    return f"(?:{'|'.join(forms)})"


def _json(character: str) -> str:
    """Return the form with four hexadecimal digits, small or capital; two of these outside the basic plane."""
    units = character.encode("utf-16-be", "surrogatepass")
    codes = [units[place : place + 2].hex() for place in range(0, len(units), 2)]
    return "".join(rf"(?i:\\+u{code})" for code in codes)


def _html(character: str) -> str:
    names = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
    named = rf"|&{names[character]};" if character in names else ""
    return rf"(?i:&#0*{ord(character)};|&#x0*{ord(character):x};{named})"


def _bytes(mark: str, data: bytes) -> str:
    return "(?i:" + "".join(f"{mark}{byte:02x}" for byte in data) + ")"


def _misread(byte: int, encoding: str) -> str:
    """Return the character that a byte becomes; one that the encoding has none for is taken as Latin-1."""
    try:
        return bytes([byte]).decode(encoding)
    except UnicodeDecodeError:
        return chr(byte)
