"""The strict extractors against outputs that people labelled by reading; docs/extraction.md shows these figures.

``pytest -s`` prints them. A half is all files of its folder, ``<task>.jsonl`` and ``<task>_2.jsonl``. The held-out half
is only counted: nobody looks at its lines.
"""

import json
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from vlmake.extract.answer import Extraction
from vlmake.extract.strict.choice import read_choice
from vlmake.extract.strict.vqa import read_text
from vlmake.extract.strict.yes_no import read_yes_no
from vlmake.scoring.intervals import wilson

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "data" / "extraction"
HALVES = ("development", "held_out")
TASKS = ("multiple_choice", "yes_no", "vqa")
LANGUAGES = ("en", "zh", "mixed")
LEVELS = ("high", "medium", "low")
TARGET = {"wrong": 0.003, "abstained": 0.03}
"""Outcome → its share of the held-out lines at most, as it should be; not reached yet."""
OUTCOMES = ("right", "wrong", "abstained")
REACHED = {"development": (0, 77), "held_out": (8, 22)}
"""Half → lines that are read wrong, and left open though labelled, at most; docs/extraction.md names the target."""


def lines_of(half):
    """The labelled lines of all files of a half, task by task."""
    return [
        json.loads(line)
        for task in TASKS
        for file in sorted((CORPUS / half).glob(f"{task}*.jsonl"))
        for line in file.open(encoding="utf-8")
    ]


def read(line) -> Extraction:
    if line["task"] == "multiple_choice":
        return read_choice(line["prediction"], line["options"], line["question"])
    if line["task"] == "yes_no":
        return read_yes_no(line["prediction"], line["question"])
    return read_text(line["prediction"], line["question"])


def normal(text):
    r"""An open answer for comparison: width, case, blanks, outer punctuation, articles, ``\text{}`` and ``^\circ``."""
    text = unicodedata.normalize("NFKC", re.sub(r"\\(?:text|mathrm)\s*\{([^{}]*)\}", r"\1", text))
    text = re.sub(r"\^\s*\{?\\circ\}?", "°", text).replace("\\%", "%").replace("\\$", "$")
    text = re.sub(r"\\[,;: ]|\\(?:left|right)\b", " ", text).translate(str.maketrans("’‘“”−", "''\"\"-"))
    text = " ".join(text.lower().split()).strip(" .,;:!?\"'。$")
    return re.sub(r"^(?:an?|the)\s+", "", text)


def same(task, answer, label):
    """Letters and Yes or No are equal or not; open answers may differ in a unit behind the label's number.

    A label may be a list of texts, any of which is right.
    """
    if isinstance(label, list):
        return any(same(task, answer, one) for one in label)
    if task != "vqa" or answer is None or label is None:
        return answer == label
    mine, wanted = normal(answer), normal(label)
    if mine == wanted:
        return True
    number = re.fullmatch(r"[-+]?[\d,.]*\d", wanted)
    return bool(
        number
        and re.fullmatch(re.escape(wanted) + r"\s*(?:[^\W\d]{1,12}|%|°\s?[cf]?|[^\W\d]{1,4}[/²³][^\W\d]{0,4})", mine)
    )


def outcome(line, extraction):
    if same(line["task"], extraction.answer, line["answer"]):
        return "right"
    return "abstained" if extraction.answer is None else "wrong"


@pytest.fixture(scope="module")
def judged():
    """Half → one (task, language, outcome, confidence) a line."""
    found = {}
    for half in HALVES:
        found[half] = []
        for line in lines_of(half):
            extraction = read(line)
            found[half].append((line["task"], line["language"], outcome(line, extraction), extraction.confidence))
    return found


def share(count, n):
    low, high = wilson(count / n, n)
    return f"{count} ({100 * count / n:.1f} %, {100 * low:.1f}–{100 * high:.1f})"


def row(name, outcomes):
    n = len(outcomes)
    counts = Counter(outcomes)
    return f"| {name} | {n} | " + " | ".join(share(counts[kind], n) for kind in OUTCOMES) + " |"


def figures(judged):
    """The tables of docs/extraction.md."""
    lines = []
    for half in HALVES:
        lines += [
            f"### {half.replace('_', '-').capitalize()} half",
            "",
            "| lines | n | right | wrong | abstained |",
            "|---|--:|--:|--:|--:|",
        ]
        rows = judged[half]
        lines.append(row("all", [kind for *_, kind, _ in rows]))
        lines += [row(task, [kind for own, _, kind, _ in rows if own == task]) for task in TASKS]
        lines += [row(language, [kind for _, own, kind, _ in rows if own == language]) for language in LANGUAGES]
        lines += ["", "| confidence | answers | right |", "|---|--:|--:|"]
        for level in LEVELS:
            kinds = [kind for *_, kind, own in rows if own == level]
            lines.append(f"| {level} | {len(kinds)} | {share(kinds.count('right'), len(kinds))} |")
        lines.append("")
    lines += [
        "### Target and held-out figures",
        "",
        "| held-out lines | wrong | target | abstained | target |",
        "|---|--:|--:|--:|--:|",
    ]
    for name in ("all", *TASKS):
        kinds = [kind for task, _, kind, _ in judged["held_out"] if name in ("all", task)]
        wrong, abstained = (rate(kinds.count(kind), len(kinds)) for kind in ("wrong", "abstained"))
        lines.append(
            f"| {name} | {wrong} | ≤ {100 * TARGET['wrong']:g} % | {abstained} | ≤ {100 * TARGET['abstained']:g} % |"
        )
    return "\n".join(lines)


def rate(count, n):
    low, high = wilson(count / n, n)
    return f"{100 * count / n:.1f} % ({100 * low:.1f}–{100 * high:.1f})"


def test_the_figures_are_those_of_the_documentation(judged):
    measured = figures(judged)
    print("\n" + measured)
    text = (ROOT / "docs" / "extraction.md").read_text(encoding="utf-8")
    shown = text.partition("<!-- figures -->\n")[2].partition("<!-- end of figures -->")[0]
    assert shown.strip() == measured.strip(), "docs/extraction.md shows other figures: paste those printed above"


@pytest.mark.parametrize("half", HALVES)
def test_no_more_is_wrong_or_left_open_than_was_reached(judged, half):
    kinds = Counter(kind for *_, kind, _ in judged[half])
    wrong, abstained = REACHED[half]
    assert kinds["wrong"] <= wrong and kinds["abstained"] <= abstained


def test_the_corpus_is_large_and_its_halves_share_no_line():
    lines = {half: lines_of(half) for half in HALVES}
    assert sum(map(len, lines.values())) >= 2_000
    for half in HALVES:
        assert len({line["style"] for line in lines[half]}) >= 20
        assert all(
            line["answer"] is None or line["task"] != "multiple_choice" or line["answer"] in line["options"]
            for line in lines[half]
        )
    both = [{(line["question"], line["prediction"]) for line in lines[half]} for half in HALVES]
    assert len({line["id"] for half in HALVES for line in lines[half]}) == sum(map(len, lines.values()))
    assert all(isinstance(line["answer"], list) <= (line["task"] == "vqa") for half in HALVES for line in lines[half])
    assert sum(len(one) for one in both) - len(both[0] | both[1]) <= 0.01 * sum(map(len, both))  # "B" to one question
