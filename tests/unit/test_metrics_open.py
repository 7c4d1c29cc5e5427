"""Metrics of open answers, reading and captions, against cases worked out by hand and the field's own library."""

import math
import subprocess
import sys
from difflib import SequenceMatcher

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from vlmake.errors import VlmakeError
from vlmake.extract.vqa_normalise import normalise_answer
from vlmake.metrics.anls import distances
from vlmake.metrics.captions import read_corpus
from vlmake.metrics.captions_bleu import corpus_bleu
from vlmake.metrics.captions_cider import cider
from vlmake.metrics.captions_rouge import rouge_l
from vlmake.metrics.registry import METRICS, load_metric
from vlmake.metrics.relaxed_accuracy import as_number, relaxed_match
from vlmake.metrics.vcr import Match, best_match
from vlmake.scoring.protocols import ScoringSpec, score

NAMES = ("vqa_exact_mean", "vqa_accuracy", "vizwiz", "relaxed_accuracy", "anls", "ocrbench", "mtvqa", "vcr_en")
MATHS = "Handwritten Mathematical Expression Recognition"


def judged(name, answers, golds, **columns):
    frame = pd.DataFrame({"extracted": pd.Series(answers, dtype=object), "gold": pd.Series(golds, dtype=object)})
    frame = frame.assign(**columns)
    return frame.assign(hit=load_metric(name).hits(frame))


def hits(name, answers, golds, **columns):
    return judged(name, answers, golds, **columns)["hit"].tolist()


def table(name, answers, golds, **columns):
    made = load_metric(name).table(judged(name, answers, golds, **columns))
    return dict(zip(made.columns, made.rows[0], strict=True))


def run(metric, golds, predictions, **columns):
    """Score whole predictions in every protocol; return protocol → hits and the result."""
    index = [str(number) for number in range(len(predictions))]
    samples = pd.DataFrame({"index": index, "answer": golds} | columns).dropna(axis="columns", how="all")
    given = pd.DataFrame({"index": index, "prediction": pd.Series(predictions, dtype=object), "status": "ok"})
    result = score(samples, given, ScoringSpec("x", METRICS[metric].task, metric))
    return {protocol: rows["hit"].tolist() for protocol, rows in result.judged.groupby("protocol")}, result


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Yes, two dogs!", "yes 2 dogs"),
        ("black-and-white", "black and white"),
        ("black - white", "black white"),
        ("black -and-white", "black andwhite"),  # a mark beside a blank anywhere is deleted everywhere
        ("1,000/2", "10002"),  # a number with a comma: every mark is deleted
        ("a/b", "b"),
        ("x\ty\nz ", "x y z"),
        ("None", "0"),
        ("zero one Three ten eleven", "0 1 3 10 eleven"),
        ("a cat, an owl and the dog", "cat owl and dog"),
        ("The", ""),
        ("I dont know, yall right", "i don't know y'all right"),
        ("Im Ive", "im ive"),  # the evaluation's entries begin with a capital, the text does not
        ("somebody'd", "somebodyd"),
        ("it's", "it's"),
        ("3.5 m.", "3.5 m"),
        ("Mr. X", "mr x"),
        ("v.2", "v.2"),
        ("x" + "." * 40, "x" + "." * 8),  # only the first 32 lone periods
        ("what's **this**: A", "what's **this**:"),
        ("", ""),
    ],
)
def test_normalised_answers(text, normal):
    assert normalise_answer(text) == normal


@pytest.mark.parametrize(("agreeing", "accuracy"), [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (10, 1)])
def test_vqa_accuracy_leaves_each_annotator_out_in_turn(agreeing, accuracy):
    golds = ["The Red."] * agreeing + [f"other {number}" for number in range(10 - agreeing)]
    assert hits("vqa_accuracy", ["red"], [golds]) == pytest.approx([accuracy])


def test_vqa_accuracy_of_one_annotator_is_always_zero():
    assert hits("vqa_accuracy", ["red", "red"], [["red"], ["red"] * 2]) == pytest.approx([0, 1 / 3])


def test_vizwiz_reads_its_own_column_and_shows_overall_alone():
    answers = [str(["cup"] * 3 + ["mug"] * 7), str(["pen"] * 10)]
    columns = {"answers": answers, "category": ["a", "b"], "split": ["val", "val"]}
    for single in ([None, None], ["mug", "ink"]):
        found, result = run("vizwiz", single, ["The answer is: Cup.", "pen"], **columns)
        assert found["strict"] == pytest.approx([0.9, 1])
        assert found["vlmevalkit-main"] == pytest.approx([0, 1])
        assert (result.table.columns, result.table.rows) == (["Overall"], [[pytest.approx(50)]])
    assert run("vizwiz", answers, ["cup", "pen"])[0]["strict"] == pytest.approx([0.9, 1])  # a file without `answers`


def test_vqa_accuracy_reads_the_answer_even_beside_answers():
    found, _ = run("vqa_accuracy", [str(["red"] * 10)], ["red"], answers=[str(["blue"] * 10)])
    assert found["vlmevalkit-main"] == [1]


@pytest.mark.parametrize(
    ("text", "number"),
    [("5%", 0.05), ("5%%", 0.05), ("1_000", 1000), ("1e3", 1000), (" 7 ", 7), ("-2", -2)]
    + [(text, None) for text in ("1,000", "$5", "5 %x", "62% ", "", "%", "2011 million")],
)
def test_what_is_a_number(text, number):
    assert as_number(text) == pytest.approx(number) if number is not None else as_number(text) is None


@pytest.mark.parametrize(
    ("answer", "gold", "right"),
    [
        ("105", "100", True),
        ("95", "100", True),
        ("105.1", "100", False),
        ("-96", "-100", True),
        ("96", "-100", False),
        ("0.05", "5%", True),
        ("5", "5%", False),
        ("1,000", "1000", False),
        ("1_000", "1000", True),
        ("inf", "100", False),
        ("nan", "100", False),
        ("inf", "inf", False),  # their relative difference is no number
        ("nan", "nan", False),
        ("0", "0", True),
        ("0.0", "0", False),  # a gold 0 is compared as text
        ("0.001", "0", False),
        ("GERMANY", "Germany", True),
        ("yes", " yes", False),  # the gold text is not stripped
        ("Germany.", "Germany", False),
    ],
)
def test_relaxed_match(answer, gold, right):
    assert relaxed_match(answer, gold) is right


def test_relaxed_accuracy_takes_the_best_gold_and_a_table_by_split():
    answers = [" Yes ", "104", None, "7"]
    golds = [["no", "yes"], ["100", "x"], ["nan"], ["8"]]
    assert hits("relaxed_accuracy", answers, golds) == [1, 1, 0, 0]
    assert table("relaxed_accuracy", answers, golds, split=["human", "human", "augmented", "augmented"]) == {
        "human": 100,
        "augmented": 0,
        "Overall": 50,
    }


@pytest.mark.parametrize(
    ("answer", "gold", "distance"),
    [
        ("ITC LIMITED", "ITC Limited", 0),
        ("NOKI", "nokia", 1 / 5),
        ("  march 5,\n1998 ", "March 5, 1998", 0),
        ("ab    cd", "ab xd", 1 / 8),  # edits without the blanks, length with them
        ("xx", "ßß", 2 / 4),  # lengths are those in capitals: SSSS
        ("", "", 0),
        (" ", "", 0),
        ("", "abc", 1),
    ],
)
def test_distances_of_texts(answer, gold, distance):
    assert distances(answer, [gold]) == [pytest.approx(distance)]


def test_anls_is_the_similarity_to_the_closest_gold_and_zero_below_a_half():
    answers = ["abcd", "ab", "abc", "", None]
    golds = [["xxxx", "abcx"], ["ac"], ["axy"], [""], ["nan"]]
    assert hits("anls", answers, golds) == [0.75, 0.5, 0, 1, 0]
    assert table("anls", answers, golds) == {"Overall": pytest.approx(45)}


def test_anls_of_a_declared_answer_is_strictly_its_own():
    found, _ = run("anls", ["['ITC Limited']"], ["The answer is ITC Limited."])
    assert found["strict"] == [1]
    assert found["vlmevalkit-main"] == found["vlmevalkit-ms"] == [0]


def test_exact_matches_average_over_golds_where_gqa_does():
    answers, golds = [" A", "c", None], [["a", "B"], ["a", "b"], ["nan"]]
    assert hits("vqa_exact_mean", answers, golds) == [0.5, 0, 0]
    assert hits("vqa_exact", answers, golds) == [1, 0, 0]


@pytest.mark.parametrize(
    ("answer", "golds", "category", "right"),
    [
        ("It says LONDON\nBridge", ["paris", "London bridge"], "Scene Text-centric VQA", True),
        ("London  bridge", ["london bridge"], "Scene Text-centric VQA", False),
        ("londo", ["london"], "Regular Text Recognition", False),
        ("x ^ { 2 }\n+ 1", ["x^{2} + 1"], MATHS, True),
        ("= X + 1", ["x+1"], MATHS, False),  # handwritten maths keeps its case
        ("x + 1", ["x+1"], "Regular Text Recognition", False),
        (None, ["n"], "Regular Text Recognition", False),
        ("anything", [""], "Regular Text Recognition", True),
    ],
)
def test_ocrbench_looks_for_the_text_in_the_answer(answer, golds, category, right):
    assert hits("ocrbench", [answer], [golds], category=[category]) == [right]


def test_ocrbench_counts_groups_and_names_what_is_missing():
    categories = ["Regular Text Recognition", "Digit String Recognition", MATHS, "Doc-oriented VQA", "own", None]
    answers = ["a", "a", "a", "b", "a", "a"]
    assert table("ocrbench", answers, [["a"]] * 6, category=categories) == {
        "Text Recognition": 2,
        "Doc-oriented VQA": 0,
        MATHS: 1,
        "own": 1,
        "Final Score": 5,
        "Final Score Norm": 0.5,
    }
    _, result = run("ocrbench", ["['a']"] * 6, answers, category=categories)
    for numbers in result.detail["protocols"].values():
        assert "Irregular Text Recognition" in numbers["missing"]
        assert not {"Regular Text Recognition", MATHS, "own"} & set(numbers["missing"])
        assert len(numbers["missing"]) == 6
    assert "missing" not in run("anls", ["a"], ["a"])[1].detail["protocols"]["strict"]


def test_mtvqa_looks_for_the_gold_text_and_averages_by_language():
    answers = ["I see NO 5.", "東", "x", None]
    golds = [["No. 5"], ["東京"], ["X."], ["nan"]]
    assert hits("mtvqa", answers, golds) == [1, 0, 1, 0]
    found = table("mtvqa", answers, golds, category=["DE", "JA", "JA", None], split="test")
    assert found == {"DE": 100, "JA": 50, "Average": 50}


def test_mtvqa_takes_a_gold_text_in_brackets_as_it_stands():
    found, _ = run("mtvqa", ["[2]", "['a']"], ["see [2]", "a"])
    assert found["vlmevalkit-main"] == [1, 0]
    assert found["strict"][0] == 1


@pytest.mark.parametrize(
    ("text", "span", "exact", "jaccard"),
    [
        ("I see the quick brown fox", "the quick brown", 1, 1),
        ("the slow brown fox", "the quick brown", 0, 2 / 4),
        ("They don't go.", "don't go", 1, 1),
        ("quick the", "the quick brown", 0, 0),  # shorter than the span
        ("a red fox", "blue sky", 0, 0),
        ("zw cd ab ab", "ab cd", 0, 1 / 3),  # three are as like; the first is zw cd,
        ("ab ab zw cd", "ab cd", 0, 1 / 2),  # here ab ab
        ("The Quick Brown", "the quick brown", 0, 0),
        ("", "the", 0, 0),
        ("the", "", 0, 0),
    ],
)
def test_vcr_takes_the_words_most_like_the_span(text, span, exact, jaccard):
    assert best_match(text, span, "en") == Match(exact, pytest.approx(jaccard))


@settings(max_examples=60, deadline=None)
@given(
    text=st.lists(st.sampled_from(["ab", "abc", "b", "ca", "cab"]), max_size=14),
    span=st.lists(st.sampled_from(["ab", "abc", "b", "bd"]), min_size=1, max_size=3),
)
def test_vcr_passes_over_no_better_match(text, span):
    grams = [tuple(text[start : start + len(span)]) for start in range(len(text) - len(span) + 1)]
    shared = [gram for gram in grams if set(gram) & set(span)]
    likeness = [SequenceMatcher(None, " ".join(gram), " ".join(span)).ratio() for gram in shared]
    best = set(shared[likeness.index(max(likeness))]) if shared else set()
    expected = len(best & set(span)) / len(best | set(span))
    assert best_match(" ".join(text), " ".join(span), "en").jaccard == pytest.approx(expected)


@pytest.mark.parametrize("refusal", ["I'm SORRY: red fox", "I can't: red fox", "I cannot, red fox", "无法 red fox"])
def test_vcr_refusals_restore_nothing(refusal):
    assert hits("vcr_en", [refusal], [["red fox", "fox"]]) == [0]


def test_vcr_averages_over_spans_after_the_last_turn():
    answers = ["I cannot. Assistant: blue sky Assistant: red fox", "one", None]
    golds = [["red fox", "blue sky"], ["one"], ["nan"]]
    assert hits("vcr_en", answers, golds) == [0.5, 1, 0]
    assert table("vcr_en", answers, golds) == {"Exact_Match": 0.5, "Jaccard": 0.5}


def test_vcr_says_what_to_install():
    spacy = pytest.importorskip("spacy")
    if spacy.util.is_package("zh_core_web_sm"):
        pytest.skip("the Chinese model is there")
    with pytest.raises(VlmakeError, match="python -m spacy download zh_core_web_sm"):
        hits("vcr_zh", ["你好"], [["你好"]])
    program = (
        "import sys; sys.modules['spacy'] = None\n"
        "from vlmake.metrics.vcr import best_match\n"
        "try:\n    best_match('a', 'a', 'en')\nexcept Exception as error:\n    print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "VlmakeError VCR needs spaCy, which splits words: pip install 'vlmake[vcr]'"


def peer(captions, references):
    """Return BLEU, ROUGE-L and CIDEr of every row's caption as pycocoevalcap computes them."""
    # Keys of one width: two of the three classes sort them as text.
    found = {f"{row:06}": [caption] for row, caption in enumerate(captions)}
    right = {f"{row:06}": list(texts) for row, texts in enumerate(references)}
    (bleu, _), (_, rouge), (_, consensus) = (
        scorer.compute_score(right, found) for scorer in (Bleu(4), Rouge(), Cider())
    )
    return bleu, list(rouge), list(consensus)


def assert_as_pycocoevalcap(captions, references):
    corpus = read_corpus(captions, references)
    bleu, rouge, consensus = peer(captions, references)
    assert corpus_bleu(corpus) == pytest.approx(bleu, abs=1e-12)
    assert [rouge_l(*row) for row in zip(captions, references, strict=True)] == pytest.approx(rouge, abs=1e-12)
    assert cider(corpus).tolist() == pytest.approx(consensus, abs=1e-9)


WORDS = st.lists(st.sampled_from(["a", "cat", "sat", "on", "the", "mat.", "", "狗"]), max_size=9).map(" ".join)
REFERENCES = st.lists(WORDS.filter(str.split), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(WORDS, REFERENCES), min_size=1, max_size=8))
def test_captions_score_as_in_pycocoevalcap(rows):
    assert_as_pycocoevalcap(*zip(*rows, strict=True))


def test_odd_captions_score_as_in_pycocoevalcap():
    references = [["a cat\nsat  on a mat", "one cat"], ["a dog", "the the the the the"], ["x"], ["a horse runs"]]
    assert_as_pycocoevalcap(["a cat\nsat  on", "the the the", "", " a  horse "], references)
    assert_as_pycocoevalcap(["a cat"], [["a cat"]])  # one row: every n-gram is in every row, CIDEr is 0


def test_bleu_by_hand():
    scores = corpus_bleu(read_corpus(["a b c"], [["a b d", "a a a a"]]))
    assert scores[:2] == pytest.approx([2 / 3, math.sqrt(1 / 3)], abs=1e-8)
    # Four words between references of three and five: the shorter one counts, and nothing is taken off.
    between = corpus_bleu(read_corpus(["a b c d"], [["a b c", "a b c d e"]]))
    assert between == pytest.approx([1] * 4, abs=1e-8)
    short = corpus_bleu(read_corpus(["a b"], [["a b c d"]]))
    assert short[:2] == pytest.approx([math.exp(-1)] * 2, abs=1e-8)


def test_rouge_by_hand():
    # Longest common subsequence a c: precision 2 of 3, recall 2 of 4.
    precision, recall = 2 / 3, 2 / 4
    expected = (1 + 1.44) * precision * recall / (recall + 1.44 * precision)
    assert rouge_l("a c x", ["a b c d"]) == pytest.approx(expected)
    assert rouge_l("", ["a"]) == 0


def test_the_table_of_captions():
    answers = ["a cat on a mat", None]
    golds = [["a cat on a mat", "one cat"], ["a dog", "some dog"]]
    made = judged("coco_caption", answers, golds)
    assert made["hit"].tolist() == [1, 0]
    scores = load_metric("coco_caption").table(made)
    assert scores.columns == ["Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "ROUGE_L", "CIDEr"]
    bleu, _, consensus = peer(["a cat on a mat", ""], golds)
    assert scores.rows[0] == pytest.approx([*(100 * value for value in bleu), 50, 50 * sum(consensus)])
    assert (scores.overall.name, scores.overall.value) == ("CIDEr", scores.rows[0][-1])


def test_captions_go_through_every_protocol():
    found, result = run("coco_caption", ["['a cat', 'the cat']", "['a dog']"], ["**a cat**", "a dog"])
    assert found["strict"] == [1, 1]
    assert found["vlmevalkit-main"] == [0, 1]
    assert set(result.tables) == {"vlmevalkit-main", "vlmevalkit-ms", "strict"}


@pytest.mark.parametrize("name", [*NAMES, "coco_caption"])
@pytest.mark.parametrize("rows", [0, 1, 2])
def test_no_metric_stumbles_over_few_rows_or_missing_answers(name, rows):
    frame = judged(name, ["a", None][:rows], [["a", "b"], ["c"]][:rows], category=["x", None][:rows])
    found = load_metric(name).table(frame)
    assert len(found.rows[0]) == len(found.columns)
    assert found.overall.n == (rows + (rows > 0) if name == "vcr_en" else rows)
    if not rows and name != "ocrbench":
        assert math.isnan(found.overall.value)
