"""How much is asked of a server at once, and for how much money."""

from itertools import pairwise
from typing import Any

import pytest

from vlmake.endpoints.concurrency import Concurrency
from vlmake.endpoints.faults import EndpointStoppedError
from vlmake.endpoints.spending import Price, Spending
from vlmake.registry.model_entries import EndpointEntry

# Concurrency


def answer_rounds(limiter: Concurrency, rounds: int, seconds: float = 1.0, now: float = 0.0) -> list[int]:
    """Answer as many requests as the limit allows, round by round; the limit after each."""
    limits = []
    for _ in range(rounds):
        for _ in range(limiter.limit):
            limiter.answered(seconds, now)
        limits.append(limiter.limit)
    return limits


def test_the_limit_grows_fourfold_while_answers_are_fast_up_to_the_most() -> None:
    limiter = Concurrency(100)
    assert limiter.limit == 4
    assert answer_rounds(limiter, 5) == [16, 64, 100, 100, 100]
    assert Concurrency(2).limit == 2
    assert answer_rounds(Concurrency(1), 3) == [1, 1, 1]


def throttle(limiter: Concurrency, refused: int, of: int, now: float) -> None:
    """Count so many attempts, ``refused`` of them 429s, spread evenly."""
    for place in range(of):
        if place * refused % of < refused:
            limiter.failed(429, now)
        else:
            limiter.answered(1.0, now)


def test_a_fifth_of_429s_halves_the_limit() -> None:
    limiter = Concurrency(32)
    answer_rounds(limiter, 3)
    throttle(limiter, refused=8, of=32, now=10.0)
    assert limiter.limit == 16
    assert limiter.history[-1].reason == "429"


def test_fewer_429s_cut_nothing() -> None:
    limiter = Concurrency(32)
    answer_rounds(limiter, 3)
    throttle(limiter, refused=4, of=32, now=10.0)
    throttle(limiter, refused=4, of=32, now=20.0)
    assert limiter.limit == 32


def test_the_limit_is_halved_once_a_second_and_never_below_one() -> None:
    limiter = Concurrency(32)
    answer_rounds(limiter, 3)
    for _ in range(200):
        limiter.failed(429, 10.0)
    assert limiter.limit == 16
    for _ in range(16):
        limiter.failed(429, 10.5)
    assert limiter.limit == 16
    for second in range(11, 31):
        for _ in range(32):
            limiter.failed(429, float(second))
    assert limiter.limit == 1


def test_after_a_cut_growth_is_slower() -> None:
    limiter = Concurrency(64)
    answer_rounds(limiter, 3)
    for _ in range(64):
        limiter.failed(429, 10.0)
    assert limiter.limit == 32
    after = answer_rounds(limiter, 40, now=20.0)
    assert after[-1] == 64
    assert all(later <= earlier * 1.25 + 1 for earlier, later in pairwise(after))


def test_a_server_error_pauses_growth_and_no_reply_at_all_does_not() -> None:
    paused, lost = Concurrency(64), Concurrency(64)
    paused.failed(503, 0.0)
    lost.failed(None, 0.0)
    for limiter in (paused, lost):
        for _ in range(4):
            limiter.answered(1.0, 0.0)
    assert (paused.limit, lost.limit) == (4, 16)
    paused.answered(1.0, 0.0)
    assert paused.limit > 4


def test_nothing_grows_while_answers_are_slow() -> None:
    limiter, fast = Concurrency(10_000), Concurrency(10_000)
    answer_rounds(limiter, 2, seconds=0.1)
    slow = answer_rounds(limiter, 2, seconds=1.0)[-1]
    assert slow < answer_rounds(fast, 4, seconds=0.1)[-1]
    assert answer_rounds(limiter, 3, seconds=1.0) == [slow] * 3
    assert answer_rounds(limiter, 4, seconds=0.1)[-1] > slow


def test_the_history_holds_cuts_and_the_tops_between_them() -> None:
    limiter = Concurrency(32)
    answer_rounds(limiter, 5, now=1.234)
    for _ in range(32):
        limiter.failed(429, 2.0)
    answer_rounds(limiter, 1, now=3.0)
    answer_rounds(limiter, 20, now=4.0)
    assert [(change.limit, change.reason) for change in limiter.history] == [
        (4, "start"), (32, "grown"), (16, "429"), (32, "grown"),
    ]  # fmt: skip
    assert [change.seconds for change in limiter.history] == [0.0, 1.23, 2.0, 4.0]


# Money


def test_a_price_is_for_a_million_tokens() -> None:
    assert Price(2.5, 10.0).of(1_000_000, 100_000) == 3.5
    assert Spending().cost() is None


def test_tokens_that_are_not_told_cost_nothing() -> None:
    spending = Spending(Price(1.0, 1.0), most=1.0)
    spending.add(None, None)
    spending.add(400_000, None)
    assert (spending.cost(), spending.prompt_tokens, spending.replies) == (0.4, 400_000, 2)


def test_the_limit_is_not_passed_by_what_is_under_way() -> None:
    spending = Spending(Price(1.0, 0.0), most=1.0)
    assert spending.allows_one_more(1000)  # nothing is known of the first
    spending.add(250_000, 10)
    assert [spending.allows_one_more(count) for count in (0, 1, 2, 3)] == [True, True, True, False]
    spending.add(250_000, 10)
    spending.add(250_000, 10)
    assert spending.allows_one_more(0)
    assert not spending.allows_one_more(1)
    spending.add(250_000, 10)
    with pytest.raises(EndpointStoppedError, match=r"max_cost 1 would be passed: 1\.0000 was spent"):
        spending.allows_one_more(0)


def test_what_was_spent_before_counts() -> None:
    spending = Spending(Price(1.0, 0.0), most=1.0, before=0.9)
    spending.add(100_000, 0)
    with pytest.raises(EndpointStoppedError, match=r"1\.0000 was spent"):
        spending.allows_one_more(0)


def test_a_limit_that_was_reached_before_lets_no_request_pass() -> None:
    spending = Spending(Price(1.0, 0.0), most=1.0, before=1.0, replies_before=4)
    with pytest.raises(EndpointStoppedError, match=r"1\.0000 was spent"):
        spending.allows_one_more(0)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"max_cost": 5}, "max_cost needs a price"),
        ({"extra_body": {"stream": True}}, "leave `stream` out"),
        ({"extra_body": {"messages": []}}, "`messages` is not for extra_body"),
        ({"max_tokens": 5, "max_new_tokens": 5}, "two names of one key"),
    ],
)
def test_an_entry_that_asks_for_what_cannot_be_is_refused(keys: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        EndpointEntry.model_validate({"backend": "endpoint", "api_base": "http://h", "served_model": "m", **keys})


@pytest.mark.parametrize("spending", [Spending(), Spending(Price(1.0, 1.0)), Spending(most=0.1)])
def test_without_a_price_or_a_limit_nothing_is_stopped(spending: Spending) -> None:
    spending.add(10_000_000, 10_000_000)
    assert spending.allows_one_more(1000)
