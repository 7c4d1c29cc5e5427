"""The punctuation step of the public VQA evaluation, as VLMEvalKit uses it before it looks for yes or no."""

import re

_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_COMMA_IN_NUMBER = re.compile(r"\d,\d")
_LONE_PERIOD = re.compile(r"(?<!\d)\.(?!\d)")
_PERIODS = 32  # VLMEvalKit passes re.UNICODE (32) where re.sub takes the count


def strip_punctuation(text: str) -> str:
    """Return ``text`` without punctuation, each mark deleted or turned into a blank.

    A mark is deleted when it stands next to a blank anywhere in the text, or when the text holds a number with a
    comma; else it becomes a blank. Then the first 32 periods without a digit on either side are deleted.
    Source: VQA evaluation (Antol et al. 2015) in VLMEvalKit's form.
    """
    comma = _COMMA_IN_NUMBER.search(text) is not None
    result = text
    for mark in _PUNCTUATION:
        if mark in text:
            gone = comma or f"{mark} " in text or f" {mark}" in text
            result = result.replace(mark, "" if gone else " ")
    return _LONE_PERIOD.sub("", result, count=_PERIODS) if "." in result else result
