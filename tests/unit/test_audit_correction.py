"""What a judge's errors do to a score, and how far grades lie apart: figures by hand, intervals by simulation."""

import math

import numpy as np
import pytest

from vlmake.audit.correction import Cells, Tally, correct
from vlmake.audit.grades import correlation, differences
from vlmake.errors import VlmakeError

# Correction


def test_the_corrected_score_is_rogan_and_gladens() -> None:
    # Sensitivity 40/50, specificity 45/50; the judge calls 600 of 1,000 right: (0.6 + 0.9 - 1) / (0.8 + 0.9 - 1).
    found = correct(Cells(40, 5, 10, 45), Tally(1000, 600), Tally(1000, 900))
    assert (found.sensitivity, found.specificity) == (0.8, 0.9)
    assert found.judged.value == pytest.approx(5 / 7)
    assert found.score.value == pytest.approx((5 / 7 + 0.9) / 2)
    # The delta method: (p(1-p)/1000 + θ² a(1-a)/50 + (1-θ)² b(1-b)/50) / 0.7² is 0.0642².
    assert found.judged.low < 5 / 7 < found.judged.high
    assert found.judged.high - found.judged.low == pytest.approx(2 * 1.96 * 0.0642, rel=0.05)
    assert correct(Cells(40, 5, 10, 45), Tally(1000, 600), Tally(1000, 900)) == found


def test_a_sheet_of_every_judged_row_has_the_labels_share() -> None:
    found = correct(Cells(40, 5, 10, 45), Tally(100, 45), Tally(0, 0))
    assert found.judged.value == pytest.approx(0.5)
    assert found.score.value == found.judged.value


def test_a_corrected_share_is_cut_off_at_0_and_1_and_a_faultless_sheet_still_has_an_interval() -> None:
    assert correct(Cells(30, 10, 0, 30), Tally(1000, 100), Tally(0, 0)).judged.value == 0  # (0.1 + 0.75 - 1) < 0
    assert correct(Cells(30, 0, 10, 30), Tally(1000, 900), Tally(0, 0)).judged.value == 1  # 0.9 / 0.75 > 1
    found = correct(Cells(20, 0, 0, 20), Tally(1000, 600), Tally(0, 0)).judged
    assert found.value == pytest.approx(0.6) and found.low < 0.58 and found.high > 0.62


@pytest.mark.parametrize(
    ("sheet", "complaint"),
    [
        (Cells(0, 5, 0, 5), "no labelled row is right"),
        (Cells(5, 0, 5, 0), "no labelled row is wrong"),
        (Cells(5, 5, 5, 5), "add up to no more than 1"),
        (Cells(1, 5, 5, 1), "add up to no more than 1"),
    ],
)
def test_what_cannot_be_corrected_is_refused_in_one_line(sheet: Cells, complaint: str) -> None:
    with pytest.raises(VlmakeError, match=complaint):
        correct(sheet, Tally(100, 50), Tally(0, 0))


@pytest.mark.parametrize(
    ("truth", "sensitivity", "specificity", "judged", "labelled", "rest"),
    [(0.6, 0.9, 0.85, 1000, 150, 1000), (0.8, 0.97, 0.9, 600, 100, 0), (0.5, 0.8, 0.75, 300, 300, 700)],
)
def test_95_percent_intervals_cover_the_truth_in_93_to_97_percent_of_2000_sheets(
    truth: float, sensitivity: float, specificity: float, judged: int, labelled: int, rest: int
) -> None:
    rng = np.random.default_rng(12)
    rates = [truth * sensitivity, (1 - truth) * (1 - specificity), truth * (1 - sensitivity), (1 - truth) * specificity]
    rows = rng.multinomial(judged, rates, 2000)
    others = rng.binomial(rest, 0.7, 2000)
    whole = (judged * truth + rest * 0.7) / (judged + rest)
    found = []
    for cells, right in zip(rows, others, strict=True):
        sheet = Cells(*rng.multivariate_hypergeometric(cells, labelled).tolist())
        found.append(correct(sheet, Tally(judged, int(cells[0] + cells[1])), Tally(rest, int(right)), draws=2000))
    assert 0.93 <= np.mean([one.judged.low <= truth <= one.judged.high for one in found]) <= 0.97
    assert 0.93 <= np.mean([one.score.low <= whole <= one.score.high for one in found]) <= 0.97
    assert np.mean([one.judged.value for one in found]) == pytest.approx(truth, abs=0.01)


# Grades


def test_grades_differ_by_a_mean_and_correlate_by_pearson_with_fishers_interval() -> None:
    found = differences(["0.5", "1", "0", "0.2"], ["0.7", "0.6", "0", "0.4"])["grade"]
    assert found["mean_absolute_difference"]["value"] == pytest.approx(0.2)  # 0.2 0.4 0 0.2
    assert found["mean_difference"]["value"] == pytest.approx(0.0)  # -0.2 0.4 0 -0.2
    # Variances by hand: 0.1225·4 ... sums of squares 0.5675 and 0.2875, of products 0.3175.
    first, second = np.array([0.5, 1, 0, 0.2]) - 0.425, np.array([0.7, 0.6, 0, 0.4]) - 0.425
    by_hand = float((first * second).sum() / math.sqrt((first**2).sum() * (second**2).sum()))
    assert found["correlation"]["value"] == pytest.approx(by_hand)
    # Fisher's z on 28 pairs with r = 0.6: atanh 0.6 = 0.6931 ± 1.96/5, back: 0.2919 to 0.7953.
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, 28))
    x -= x.mean()
    noise -= noise.mean() + x * (noise @ x) / (x @ x)
    noise -= x * (noise @ x) / (x @ x)
    y = 0.6 * x / np.linalg.norm(x) + 0.8 * noise / np.linalg.norm(noise)
    assert correlation(x, y) == pytest.approx((0.6, 0.2919, 0.7953), abs=5e-4)


def test_grades_that_never_vary_have_no_correlation() -> None:
    pairs = differences(["8 6", "8 7", "8 5"], ["9 6", "8 7", "8 5"])
    assert pairs["reference's grade"]["correlation"]["value"] is None
    assert pairs["reference's grade"]["mean_absolute_difference"]["value"] == pytest.approx(1 / 3)
    assert pairs["response's grade"]["correlation"]["value"] == pytest.approx(1.0)
