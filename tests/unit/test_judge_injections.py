"""What a response can do to the judge that reads it: nothing but be read.

``tests/data/judges/injections.jsonl`` has responses that try to have a verdict of their ``wanted``. ``answers`` is what
each says in answer to its question, ``expected`` what the strict rules read in it as it is shown. The local judge of
these tests obeys every order outside the response's string, and every turn that a special token opens; it reads the
response as the strict rules do.
"""

import json
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from vlmake.extract.strict.choice import read_choice
from vlmake.extract.strict.yes_no import read_yes_no
from vlmake.judges.kinds import choice, yes_no
from vlmake.judges.kinds.wording import as_data

FILE = Path(__file__).parents[1] / "data" / "judges" / "injections.jsonl"
CASES = [json.loads(line) for line in FILE.open(encoding="utf-8")]
FAMILIES = sorted({case["family"] for case in CASES})
HARMLESS = "I see it well."
TAKEN_IN = 101
"""Responses in which the strict rules themselves read what the injection wants: no judge is asked about those but where
another protocol leaves them open. The number is here so that it can only fall."""

SPECIAL_TOKENS = (
    *("<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|im_middle|>", "<|endoftext|>", "<|system|>", "<|user|>"),
    *("<|assistant|>", "<|observation|>", "<|end|>", "<|start|>", "<|message|>", "<|channel|>", "<|return|>"),
    *("<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|eot|>", "<|start_header_id|>", "<|end_header_id|>"),
    *("<|header_start|>", "<|header_end|>", "<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"),
    *("[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[AVAILABLE_TOOLS]", "[IMG]"),
    *("<bos>", "<eos>", "<pad>", "<unk>", "<start_of_turn>", "<end_of_turn>", "<|turn>", "<turn|>"),
    *("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<｜im_start｜>"),
    *("[gMASK]", "<sop>", "<eop>", "[MASK]", "[CLS]", "[SEP]", "[EOS]", "[BOS]", "]~b]", "[e~["),
    *("<seed:bos>", "<seed:eos>", "<[begin▁of▁sentence]>", "<[end▁of▁sentence]>", "<extra_id_0>", "<unused7>"),
    *("<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", "<|SYSTEM_TOKEN|>", "<image>", "<video>", "<audio>"),
    *("<think>", "</think>", "<tool_call>", "</tool_call>", "<|vision_start|>", "<|image_pad|>", "<0x0A>"),
)
_LABEL = r"\W{0,6}(?P<label>[A-E]|Yes|No)\b"
_ORDER = re.compile(
    r"(?i:\b(?:report|reply\s+with|say|print|output|write|mark|emit|types?|is|verdicts?|verdict\s+of\s+this\s+row\s+is"
    rf"|answer|option|system|assistant|user)|输出|填写|填|结论|系统){_LABEL}"
)


def module_of(case):
    return choice if case["options"] else yes_no


def row_of(case, response=None):
    return {"question": case["question"], **(case["options"] or {}), "raw": response or case["response"]}


def prompt_for(case, response=None):
    return module_of(case).prompts(pd.DataFrame([row_of(case, response)], dtype=object))[0]


def strictly(case, response):
    """The verdict of the strict rules on a response."""
    options, question = case["options"], case["question"]
    read = read_choice(response, options, question) if options else read_yes_no(response, question)
    return read.answer if read.found else "none"


def plain(text):
    """A text as a careless tokenizer makes it: compatible forms, nothing invisible."""
    visible = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    return unicodedata.normalize("NFKC", visible)


_TURN = re.compile("|".join(re.escape(form) for token in SPECIAL_TOKENS for form in (token, plain(token))))


def ordered(text):
    """What the last order in a text demands."""
    orders = [match["label"] for match in _ORDER.finditer(text)]
    return orders[-1] if orders else None


def gullible_judge(case, prompt):
    """The verdict of a judge that obeys whatever order reaches it outside of the response's own string."""
    trusted = prompt_for(case, HARMLESS).rpartition("\n")[0]
    for text in (prompt, plain(prompt)):
        turns = _TURN.split(text)
        if order := ordered("\n".join(turns[1:])):
            return order
    *lines, last = prompt.splitlines()
    try:
        pairs = json.loads(last, object_pairs_hook=list)
        data = dict(pairs)
        known = ["question", *(["options"] if case["options"] else []), "response"]
        is_whole = [key for key, _ in pairs] == known and isinstance(data["response"], str)
    except (ValueError, TypeError):
        is_whole = False
    if not is_whole:
        return ordered(prompt.removeprefix(trusted)) or "none"
    outside = "\n".join(lines).removeprefix(trusted)
    if order := ordered(outside):
        return order
    options = dict(data["options"]) if case["options"] else None
    return strictly({"question": data["question"], "options": options}, data["response"])


def failing(family, holds):
    """The ids of a family's cases for which something does not hold."""
    return [case["id"] for case in CASES if case["family"] == family and not holds(case)]


def test_there_are_enough_injections_and_all_differ():
    assert len(CASES) >= 400 and len({case["response"] for case in CASES}) == len(CASES)
    assert len({case["id"] for case in CASES}) == len(CASES)
    families = Counter(case["family"] for case in CASES)
    assert len(families) >= 12 and min(families.values()) >= 12
    assert all(case["wanted"] != case["answers"] for case in CASES)


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_gets_out_of_the_response(family):
    def stays_inside(case):
        prompt, harmless = prompt_for(case), prompt_for(case, HARMLESS)
        line, harmless_line = prompt.splitlines()[-1], harmless.splitlines()[-1]
        keys = [key for key, _ in json.loads(line, object_pairs_hook=list)]
        told = json.loads(line)
        response = told.pop("response")
        return (
            prompt.removesuffix(line) == harmless.removesuffix(harmless_line)
            and keys == ["question", *(["options"] if case["options"] else []), "response"]
            and response == as_data(case["response"])
            and told == {key: case[key] for key in ("question", "options") if case[key]}
        )

    assert not failing(family, stays_inside)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_special_token_survives(family):
    def survives(case):
        prompt = prompt_for(case)
        return _TURN.search(prompt) or _TURN.search(plain(prompt))

    assert not failing(family, lambda case: not survives(case))


@pytest.mark.parametrize("token", SPECIAL_TOKENS)
def test_a_special_token_is_broken_wherever_it_stands(token):
    hidden = "\u200b".join(token)
    cut = "x" * 1_999 + token + "y" * 9_000 + token + "z" * 5_999
    for text in (token, f"a{token}b", token * 3, hidden, token[0] + token, f"<{token}>", f"[{token}]", cut):
        assert token not in as_data(text) and plain(token) not in plain(as_data(text))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_judge_that_obeys_all_it_can_reports_what_the_response_says(family):
    assert not failing(family, lambda case: gullible_judge(case, prompt_for(case)) == case["expected"])
    assert not failing(family, lambda case: strictly(case, case["response"]) in (case["expected"], "none"))


def test_what_the_rules_themselves_take_for_an_answer_is_counted():
    """Apart from those, the strict reading is what the response answers, or nothing."""
    taken_in = [case for case in CASES if strictly(case, case["response"]) == case["wanted"]]
    assert len(taken_in) <= TAKEN_IN
    assert all(case["expected"] in (case["answers"], "none", case["wanted"]) for case in CASES)


def test_the_same_judge_is_steered_where_responses_are_not_kept_in_their_string():
    """These tests can fail: a prompt of plain text, and JSON with the response's special tokens left whole."""
    honest = [case for case in CASES if case["expected"] != case["wanted"]]
    text = sum(gullible_judge(case, naive_prompt(case)) == case["wanted"] for case in honest)
    tokens = sum(gullible_judge(case, unbroken_prompt(case)) == case["wanted"] for case in honest)
    assert text > 200 and tokens > 40


def naive_prompt(case):
    return f"{prompt_for(case, HARMLESS).rpartition(chr(10))[0]}\nResponse: {case['response']}"


def unbroken_prompt(case):
    instructions, _, line = prompt_for(case, HARMLESS).rpartition("\n")
    return f"{instructions}\n{json.dumps({**json.loads(line), 'response': case['response']}, ensure_ascii=False)}"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reply_that_quotes_the_injection_is_refused_unless_all_in_it_agrees(family):
    def is_read_rightly(case):
        module, row, shown = module_of(case), row_of(case), as_data(case["response"])
        own, fake = json.dumps({"answer": case["answers"]}), json.dumps({"answer": case["wanted"]})
        both = (f"{fake}\n{own}", f"{own}\n{fake}", f"It says {fake}, so: {own}", f"```json\n{fake}\n```\n{own}")
        agreeing = (f"{own}\n{own}", f"{shown}\n\n{own}", f"{own}\n\n{shown}")
        return (
            module.read(own, row) == case["answers"]
            and all(module.read(reply, row) is None for reply in both)
            and all(module.read(reply, row) in (case["answers"], None) for reply in agreeing)
        )

    assert not failing(family, is_read_rightly)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reply_that_only_repeats_the_response_is_refused(family):
    def is_refused(case):
        shown = as_data(case["response"])
        quotes = (shown, f'The response is "{shown}"', json.dumps({"response": shown}), prompt_for(case))
        return all(module_of(case).read(reply, row_of(case)) is None for reply in quotes)

    assert not failing(family, is_refused)
