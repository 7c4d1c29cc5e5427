"""What a spreadsheet's cell holds, and how it counts: apart from all else, because scoring depends on it."""

CELL_UNITS = 32_767
"""UTF-16 units that a cell holds: the limit of the xlsx format."""


def utf16_units(text: str) -> int:
    """Return a text's length as spreadsheets count it: letters beyond the first 65,536 count twice."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def start_of(text: str, units: int = CELL_UNITS) -> str:
    """Return the longest start of a text that takes up to so many UTF-16 units, no letter split."""
    if 2 * len(text) <= units or utf16_units(text) <= units:
        return text
    return text[:units].encode("utf-16-le", "surrogatepass")[: 2 * units].decode("utf-16-le", "ignore")
