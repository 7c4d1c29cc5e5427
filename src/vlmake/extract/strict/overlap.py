"""How far a sentence speaks of what a question asks: shared words, by their stems, and shared Chinese characters."""

import re
from functools import lru_cache

_TOKEN = re.compile(r"[A-Za-z\u00c0-\u024f][A-Za-z\u00c0-\u024f'-]*|\d[\d.,:/-]*|[\u4e00-\u9fff]")

_LATIN = re.compile(r"[a-z']+")


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text that lists them."""
    return frozenset(text.split())


_STOP = word_set(
    "a an the this that these those it its it's he she they them his her their him i you we my your our one ones "
    "and or but nor of to by with as at for from into than then there here is are was were be been being am do "
    "does did done has have had having will would can could should shall may might must not no n't what which who "
    "whom whose where when why how much many any some anyone anybody anything someone somebody something if so "
    "also just only very please answer question following image picture photo photograph figure diagram chart "
    "graph screenshot scene shown show see visible seen appear seem look according based yes tell me us kind type "
    "sort name single word phrase option options choice letter whether isn't aren't wasn't weren't doesn't don't "
    "didn't hasn't haven't can't cannot won't"
)
_STOP_ZH = frozenset(
    "的了着过是吗呢吧啊么这那哪此该有在和与及或个一些张幅图中片照里上看到请问能会可以"
    "否什谁几多少怎样为何都还就也很您你我他她它们从根据显示所其"
)
_IRREGULAR = {
    form: base
    for base, forms in {
        "wear": "wore worn",
        "hold": "held",
        "sit": "sat",
        "stand": "stood",
        "make": "made",
        "eat": "ate eaten",
        "give": "gave given",
        "take": "took taken",
        "go": "went",
        "win": "won",
        "lie": "lay lying",
        "color": "colour",
        "get": "got",
        "write": "wrote written",
        "gray": "grey",
        "person": "people",
        "man": "men",
        "woman": "women",
        "child": "children",
    }.items()
    for form in forms.split()
}


@lru_cache(maxsize=4096)
def words_in(text: str) -> frozenset[str]:
    """Return the words of a text in lower case, Latin letters only; a cheap look at what it may hold."""
    return frozenset(_LATIN.findall(text.lower()))


@lru_cache(maxsize=4096)
def content(text: str) -> frozenset[str]:
    """Return what a text is about: stems of English words, numbers, and Chinese characters, function words left out."""
    found = set()
    for token in _TOKEN.findall(text):
        if "\u4e00" <= token <= "\u9fff":
            if token not in _STOP_ZH:
                found.add(token)
        elif token.lower() not in _STOP:
            found.add(stem(token))
    return frozenset(found - _STOP)


def coverage(asked: frozenset[str], text: str) -> float:
    """Return which share of what is asked a text names, 0 to 1; 0 when nothing is asked."""
    return len(asked & content(text)) / len(asked) if asked else 0.0


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """Return an English word's stem, roughly: lower case without the common endings."""
    word = word.lower().removesuffix("'s").strip("'-.,:")
    word = _IRREGULAR.get(word, word)
    for ending, least in (("ings", 7), ("ing", 6), ("ied", 5), ("ies", 5), ("ed", 5), ("es", 5), ("s", 4)):
        if word.endswith(ending) and len(word) >= least and not word.endswith(("ss", "eed")):
            word = word[: -len(ending)] + ("y" if ending in ("ied", "ies") else "")
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 3 else word
