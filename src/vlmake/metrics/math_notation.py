r"""Expressions as models write them, brought to LaTeX: ``2*pi`` is ``2\pi``, ``1 1/2`` is ``1\frac{1}{2}``."""

import re

_MARKS = re.compile(r"^(?:\s|\$|`|\*\*)+|(?:\s|\$|`|\*\*|[.。])+$|^\\[(\[]|\\[)\]]$")
_SIGNS = str.maketrans(
    {
        **{"−": "-", "–": "-", "÷": "/", "，": ",", "（": "(", "）": ")", "²": "^2", "³": "^3", "°": r"^\circ"},
        **{"×": r"\times ", "·": r"\cdot ", "π": r"\pi ", "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne "},
    }
)
_POWER_OF_TEN = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)[eE]([+-]?\d{1,3})(?!\w)")
_MIXED = re.compile(r"(?<![\w.])(\d{1,9})\s+(\d{1,9})\s*/\s*(\d{1,9})(?![\w.])")
_MIXED_LATEX = re.compile(r"(?<![\w.])(\d{1,9})\s+(?=\\[dt]?frac)")
_FUNCTION = re.compile(r"(?<![A-Za-z\\])(sin|cos|tan|cot|log|ln|exp|pi|alpha|beta|gamma|theta)(?![A-Za-z])")
_ROOT = re.compile(r"(?:(?<![A-Za-z\\])sqrt|√)\s*(?:\(([^()]{1,80})\)|(\d+(?:\.\d+)?|[A-Za-z](?![A-Za-z])))")
_TEXT = re.compile(r"\\(?:text|mathrm|textrm|mbox|operatorname)\s*\{([^{}]*)\}")
_UNITS = {
    **dict.fromkeys(("cm", "centimeter", "centimetre"), "cm"),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), "mm"),
    **dict.fromkeys(("dm", "decimeter", "decimetre"), "dm"),
    **dict.fromkeys(("m", "meter", "metre"), "m"),
    **dict.fromkeys(("km", "kilometer", "kilometre"), "km"),
    **dict.fromkeys(("in", "inch", "inche"), "in"),
    **dict.fromkeys(("ft", "foot", "feet"), "ft"),
    **dict.fromkeys(("kg", "kilogram"), "kg"),
    **dict.fromkeys(("g", "gram"), "g"),
    **dict.fromkeys(("ml", "milliliter", "millilitre"), "ml"),
    **dict.fromkeys(("l", "liter", "litre"), "l"),
    **dict.fromkeys(("sec", "second"), "s"),
    **dict.fromkeys(("min", "minute"), "min"),
    **dict.fromkeys(("h", "hr", "hour"), "h"),
    **dict.fromkeys(("day",), "day"),
    **dict.fromkeys(("year",), "year"),
    **dict.fromkeys(("degree", "deg"), "°"),
    **dict.fromkeys(("dollar", "usd"), "$"),
    **dict.fromkeys(("cent",), "cent"),
    **dict.fromkeys(("euro", "eur"), "€"),
    **dict.fromkeys(("unit", "square unit", "sq unit", "piece", "square", "cube", "point", "time", "way"), "1"),
}
_UNIT = re.compile(
    r"(?P<value>.*(?:[\d)}]|\\pi))(?P<gap>\s*)(?P<unit>[A-Za-z][A-Za-z ]*?)\.?(?P<power>\^\s*\{?[23]\}?)?"
)
_DEGREES = re.compile(r"(?P<value>.*\d)\s*\^\s*(?:\\circ|\{\s*\\circ\s*\})\s*")
_PROSE = re.compile(r"[^\W\d_]{3,}")
_COMMAND = re.compile(r"\\[A-Za-z]+")


def in_latex(text: str) -> str:
    """Return an expression in LaTeX, without marks of maths around it."""
    text = _TEXT.sub(r" \1 ", text)
    while (bare := _MARKS.sub("", text)) != text:
        text = bare
    text = text.translate(_SIGNS).replace(r"\$", "").replace("**", "^").replace(r"\%", "%").replace("%", r"\%")
    text = _ROOT.sub(lambda match: rf"\sqrt{{{match[1] or match[2]}}}", text)
    text = _POWER_OF_TEN.sub(r"\1\\times 10^{\2}", text)
    text = _MIXED.sub(r"\1\\frac{\2}{\3}", text)
    text = _MIXED_LATEX.sub(r"\1", text)
    return " ".join(_FUNCTION.sub(r"\\\1 ", text).split())


def split_unit(text: str) -> tuple[str | None, str]:
    """Return an expression's value and the unit behind it; no value for prose, an empty unit for none.

    A single letter is a unit behind a blank alone: ``5m`` may be a product.
    """
    if degrees := _DEGREES.fullmatch(text):
        return degrees["value"], "°"
    if match := _UNIT.fullmatch(text):
        name = match["unit"].strip().lower()
        unit = _UNITS.get(name) or _UNITS.get(name.removesuffix("s"))
        if unit and (len(name) > 1 or match["gap"]):
            power = re.sub(r"\D", "", match["power"] or "")
            return _value(match["value"]), unit + power
    return _value(text), ""


def _value(text: str) -> str | None:
    """Return the text; None where it has words: letters of which algebra would make products, equal in any order."""
    return None if _PROSE.search(_COMMAND.sub(" ", text)) or not text.strip() else text.strip()
