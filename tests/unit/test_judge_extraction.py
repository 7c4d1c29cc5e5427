"""How a judge is asked which option or which of yes and no a response says, and how its replies are read."""

import json
import string

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlmake.extract import multiple_choice
from vlmake.extract.answer import PROTOCOLS, STRICT
from vlmake.judges.kinds import choice, yes_no
from vlmake.judges.kinds.wording import LONGEST, as_data, json_reply, prompt_of

WATER = {"A": "a lake", "B": "a river", "C": "a canal", "D": "the sea"}
ROW = {"question": "What is shown?", **WATER, "raw": "It is wet."}

# (reply, verdict); None is asked again.
CHOICE_REPLIES = [
    # as asked
    ('{"answer": "B"}', "B"),
    ('{"answer":"none"}', "none"),
    ('  {"answer": "D"}\n', "D"),
    ('{\n  "answer": "A"\n}', "A"),
    # nearly as asked
    ('```json\n{"answer": "B"}\n```', "B"),
    ('```\n{"answer": "none"}\n```', "none"),
    ('{"answer": "B", "reason": "it names the river"}', "B"),
    ('{"reason": "A is rejected", "answer": "B"}', "B"),
    ('{"Answer": "B"}', "B"),
    ('{"答案": "B"}', "B"),
    ('{"answer": "b"}', "B"),
    ('{"answer": "(B)"}', "B"),
    ('{"answer": "Option B"}', "B"),
    ('{"answer": "B. a river"}', "B"),
    ('{"answer": "a river"}', "B"),
    ('{"answer": "None of the options"}', "none"),
    ('{"answer": "Ｂ"}', "B"),
    ("｛＂answer＂：＂B＂｝", "B"),
    ("{'answer': 'B'}", "B"),
    ("{answer: B}", "B"),
    ("{“answer”: “B”}", "B"),
    ('[{"answer": "B"}]', "B"),
    ('{"answer": "B"} {"answer": "B"}', "B"),
    ('The response names the river. {"answer": "B"}', "B"),
    ('It rejects A and settles on B.\n\n```json\n{"answer": "B"}\n```', "B"),
    ('{"answer": "B"}\n\nThe response says that it is a river.', "B"),
    ('<think>Is it {"answer": "A"}? No.</think>{"answer": "B"}', "B"),
    ('<answer>{"answer": "B"}</answer>', "B"),
    # bare labels
    ("B", "B"),
    ("b", "B"),
    ("(B)", "B"),
    ("[B]", "B"),
    ("B.", "B"),
    ('"B"', "B"),
    ("**B**", "B"),
    ("`B`", "B"),
    ("Ｂ", "B"),
    ("（Ｂ）", "B"),
    ("```\nB\n```", "B"),
    ("Answer: B", "B"),
    ("**Answer:** B", "B"),
    ("The answer is B.", "B"),
    ("The response chooses option B.", "B"),
    ("B. a river", "B"),
    ("(D) the sea", "D"),
    ("a canal", "C"),
    ("答案是B", "B"),
    ("答案：B。", "B"),
    ("选B", "B"),
    ("选项B", "B"),
    ("none", "none"),
    ("None.", "none"),
    ("None of the options", "none"),
    ("none of the above", "none"),
    ("无", "none"),
    ("以上都不是", "none"),
    ("<think>Hm, A?</think>\nB", "B"),
    # no verdict, or more than one
    ("", None),
    (" \n", None),
    ("{}", None),
    ("[]", None),
    ("null", None),
    ("A or B", None),
    ("A, B", None),
    ("A/B", None),
    ("AB", None),
    ("E", None),
    ("В", None),  # Cyrillic
    ("B?", None),
    ("not B", None),
    ("The answer is not B", None),
    ("The answer is a", None),
    ("The correct answer is B", None),
    ("B. a canal", None),
    ("Z", None),
    ("unknown", None),
    ("It is a lake or a river", None),
    ("The response first says A, then B, and ends with C.", None),
    ("I cannot help with that.", None),
    ("HTTP 429 Too Many Requests", None),
    ("<html><body>B</body>", None),
    ("It is wet.", None),  # the response itself
    ('{"answer": "E"}', None),
    ('{"answer": ""}', None),
    ('{"answer": null}', None),
    ('{"answer": 2}', None),
    ('{"answer": true}', None),
    ('{"answer": ["B"]}', None),
    ('{"answer": {"answer": "B"}}', None),
    ('{"answer": "A or B"}', None),
    ('{"answer": "B, because it is a river"}', None),
    ('{"verdict": "B"}', None),
    ('{"result": {"answer": "B"}}', None),
    ('{"answer": "A", "answer": "B"}', None),
    ('{"answer": "A", "Answer": "B"}', None),
    ('{"answer": "A"} {"answer": "B"}', None),
    ('{"answer": "A"} {"answer": "B"} {"answer": "B"}', None),
    ('{"note": 1} {"answer": "B"}', None),
    ('{"answer": "B"} or C', None),
    ('{"answer": "B"}\nWait, it is C.', None),
    ('{"answer": "B"}\nOr none.', None),
    ('Answer: A\n{"answer": "B"}', None),
    ('答案是A {"answer": "B"}', None),
    # broken off
    ('{"answer": "B', None),
    ('{"answer": "B"', None),
    ('{"answer":', None),
    ('{"reason": "as it says {"answer": "B"}', None),
    ('{"reply": {"answer": "B"}', None),
    ("<think>The response says B", None),
    ('<think>{"answer": "B"}', None),
    ('{"a":' * 5000, None),
    ("[" * 5000, None),
    ("{" * 20000, None),
    ("x" * 60_000 + '{"answer": "B"}', None),
]

YES_NO_REPLIES = [
    ('{"answer": "Yes"}', "Yes"),
    ('{"answer": "no"}', "No"),
    ('{"answer": "none"}', "none"),
    ('```json\n{"answer": "No"}\n```', "No"),
    ('The response denies it. {"answer": "No"}', "No"),
    ("Yes", "Yes"),
    ("yes.", "Yes"),
    ("**NO**", "No"),
    ("Ｙｅｓ", "Yes"),
    ("Answer: No", "No"),
    ("The response says no.", "No"),
    ("是", "Yes"),
    ("是的。", "Yes"),
    ("否", "No"),
    ("答案：否", "No"),
    ("none", "none"),
    ("Neither", "none"),
    ("", None),
    ("{}", None),
    ("Yes or no", None),
    ("Yes, No", None),
    ("Yes, there is a dog", None),
    ("Not yes", None),
    ("无", None),
    ("Unknown", None),
    ("Maybe", None),
    ("答案是否", None),
    ("Y", None),
    ('{"answer": true}', None),
    ('{"answer": "Yes/No"}', None),
    ('{"answer": "Yes"} {"answer": "No"}', None),
    ('{"answer": "Yes"}\nNo, wait.', None),
    ('The answer is no. {"answer": "Yes"}', None),
    ('{"answer": "Ye', None),
]


@pytest.mark.parametrize(("reply", "verdict"), CHOICE_REPLIES, ids=lambda value: repr(value)[:48])
def test_a_reply_about_a_choice_is_read_or_refused(reply, verdict):
    assert choice.read(reply, ROW) == verdict


@pytest.mark.parametrize(("reply", "verdict"), YES_NO_REPLIES, ids=lambda value: repr(value)[:48])
def test_a_reply_about_yes_or_no_is_read_or_refused(reply, verdict):
    assert yes_no.read(reply, {"question": "Is it wet?", "raw": "It is wet."}) == verdict


def test_an_option_that_says_none_is_told_from_no_option():
    row = {"question": "What is shown?", "A": "a cat", "B": "None of the above", "raw": "?"}
    assert choice.read('{"answer": "none"}', row) == "none"
    assert choice.read('{"answer": "B"}', row) == "B"
    assert choice.read("B. None of the above", row) == "B"
    assert choice.read("None of the above", row) is None


def test_a_letter_is_a_letter_even_where_options_are_letters():
    row = {"A": "B", "B": "C", "C": "A", "raw": "the second"}
    assert choice.read('{"answer": "B"}', row) == "B"
    assert choice.read("B. C", row) == "B"
    assert choice.read("B. B", row) is None


def test_two_options_of_one_text_are_no_verdict_by_text():
    assert choice.read("a dog", {"A": "a dog", "B": "a dog", "raw": "?"}) is None


def test_only_the_options_of_the_row_are_verdicts():
    row = {"A": "one", "B": "two", "C": None, "D": float("nan"), "raw": "?"}
    assert [choice.read(letter, row) for letter in "ABCD"] == ["A", "B", None, None]
    assert choice.reminder(row).endswith('"A", "B", "none".')


@given(st.text(max_size=60), st.text(alphabet='ABCDE{}":,nswero \n`', max_size=60))
@settings(deadline=None)
def test_any_reply_is_one_of_the_verdicts_or_refused(text, nearly):
    for reply in (text, nearly, f'{{"answer": {json.dumps(text)}}}'):
        assert choice.read(reply, ROW) in ("A", "B", "C", "D", "none", None)
        assert yes_no.read(reply, ROW) in ("Yes", "No", "none", None)


@given(st.integers(0, 80))
@settings(deadline=None, max_examples=60)
def test_a_reply_that_is_cut_anywhere_is_never_another_verdict(end):
    for reply in (
        '{"answer": "B"}\nThe response names the river and not A.',
        "The response is about a lake, and then a river; the answer is thus: (B) a river.",
        'It chose B. {"reason": "A {is} not it", "answer": "B"}',
    ):
        assert choice.read(reply[:end], ROW) in ("B", None)


def frame_of(*rows):
    return pd.DataFrame([dict(row) for row in rows], dtype=object)


def data_of(prompt):
    return json.loads(prompt.splitlines()[-1])


def test_a_choice_prompt_shows_question_hint_options_and_response():
    prompt, without_hint = choice.prompts(frame_of({**ROW, "hint": "Look left."}, ROW))
    assert data_of(prompt) == {
        "question": "What is shown?",
        "hint": "Look left.",
        "options": WATER,
        "response": "It is wet.",
    }
    assert data_of(without_hint).keys() == {"question", "options", "response"}


def test_a_yes_no_prompt_shows_question_and_response():
    [prompt] = yes_no.prompts(frame_of({"question": "Is it wet?", "answer": "Yes", "A": "x", "raw": "Hm."}))
    assert data_of(prompt) == {"question": "Is it wet?", "response": "Hm."}


def test_rows_that_no_judge_can_tell_are_not_asked():
    no_options = {"question": "What?", "raw": "B"}
    thinks = {**ROW, "raw": "<think>It may be B, or"}
    invisible = {**ROW, "raw": "\u200b\n"}
    assert choice.prompts(frame_of(no_options, thinks, invisible, ROW))[:3] == [None] * 3
    assert choice.prompts(pd.DataFrame([no_options])) == [None]
    assert yes_no.prompts(frame_of({**thinks, "question": "Is it?"}, {"question": None, "raw": "B"})) == [None, None]


KEY_COLUMNS = ("answer", "answers", "gpt4_ans", "explanation", "gold", "answer_in_tsv", "answer_option", "gpt4_score")


@given(
    st.lists(st.text(min_size=1, max_size=12), min_size=6, max_size=6), st.uuids().map(lambda unique: f"key-{unique}")
)
@settings(deadline=None, max_examples=60)
def test_the_key_is_in_no_prompt(texts, key):
    question, response, *options = texts
    row = dict(zip("ABCD", options, strict=True)) | {"question": f"What? {question}", "raw": f"It: {response}"}
    for module in (choice, yes_no):
        [plain] = module.prompts(frame_of(row))
        assert plain and key not in plain
        for column in KEY_COLUMNS:
            assert module.prompts(frame_of({**row, column: key})) == [plain]


@pytest.mark.parametrize("column", KEY_COLUMNS)
def test_a_prompt_is_the_same_whichever_option_is_right(column):
    prompts = {choice.prompts(frame_of({**ROW, column: letter}))[0] for letter in "ABCD"}
    reminders = {choice.reminder({**ROW, column: letter}) for letter in "ABCD"}
    words = {yes_no.prompts(frame_of({**ROW, column: word}))[0] for word in ("Yes", "No")}
    assert len(prompts) == len(reminders) == len(words) == 1


@pytest.mark.parametrize("module", [choice, yes_no])
def test_chinese_questions_are_asked_about_in_chinese(module):
    chinese = {**ROW, "question": "图中有什么动物?"}
    mostly_english = {**ROW, "question": "What does the word on the red sign beside the door mean, 出口?"}
    prompts = module.prompts(frame_of(ROW, chinese, mostly_english))
    wordings = [prompt.rpartition("\n\n")[0] for prompt in prompts]
    assert wordings[0] == wordings[2] != wordings[1]
    assert "是" in wordings[1] and "是" not in wordings[0].replace('"是"', "")
    assert module.reminder(chinese) != module.reminder(ROW) == module.reminder(mostly_english)


@pytest.mark.parametrize("module", [choice, yes_no])
def test_the_schema_is_one_that_strict_servers_take_and_every_verdict_fits_it(module):
    assert module.SCHEMA["additionalProperties"] is False
    assert module.SCHEMA["required"] == list(module.SCHEMA["properties"]) == ["answer"]
    row = {"question": "?", "raw": "?", **dict.fromkeys(string.ascii_uppercase, "x")}
    for label in module.SCHEMA["properties"]["answer"]["enum"]:
        assert module.read(json.dumps({"answer": label}), row) == label


def test_a_verdict_is_what_the_metric_compares():
    assert [choice.answer("B", protocol) for protocol in PROTOCOLS] == ["B", "B", "B"]
    assert [choice.answer("none", protocol) for protocol in PROTOCOLS] == ["Z", "Z", "none"]
    assert [yes_no.answer("No", protocol) for protocol in PROTOCOLS] == ["No", "No", "No"]
    assert [yes_no.answer("none", protocol) for protocol in PROTOCOLS] == ["Unknown", "Unknown", "none"]
    golds = multiple_choice.gold(pd.DataFrame({"answer": ["none", "None", "(none)"]}, dtype=object), STRICT)
    assert choice.answer("none", STRICT) not in golds


def test_a_long_response_loses_its_middle():
    short, long = as_data("x" * LONGEST), as_data("h" * 2_000 + "m" * 5_000 + "t" * 6_000)
    assert short == "x" * LONGEST
    assert long.startswith("h" * 2_000 + "\n[… 5000 characters left out …]\n") and long.endswith("t" * 6_000)
    assert "m" not in long.replace("characters", "")


def test_reasoning_is_not_shown():
    assert as_data("<think>It is A.</think>\nIt is B.") == "It is B."
    assert as_data("It is A, no.</think>B") == "B"
    assert as_data("<think>It is A.") == ""


@given(st.text(), st.text())
@settings(deadline=None)
def test_data_is_one_line_of_json_that_can_be_sent(key, text):
    prompt = prompt_of("Read.", {key: text, "lone": "\ud800"})
    head, empty, line = prompt.splitlines()
    assert (head, empty) == ("Read.", "")
    assert json.loads(line) == {key: text, "lone": "\ud800"}
    prompt.encode()


def test_one_object_is_found_in_a_reply():
    assert json_reply('Of course:\n```json\n{"score": 0.5}\n```\nDone {really}.') == {"score": 0.5}
    assert json_reply("no object") is None
    assert json_reply('{"score": NaN}') is None
    assert json_reply('{"score": 1} {"score": 0}') is None
    assert json_reply('{"score": 1, "score": 0}') == {"score": None}
