"""Tokens and money: counted by what the server says of each reply, stopped before a limit is passed."""

from dataclasses import dataclass

from vlmake.endpoints.faults import LimitReachedError

_MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """Money for a million tokens of prompts and of answers, in one currency."""

    input: float
    output: float

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return what so many tokens cost."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / _MILLION


@dataclass
class Spending:
    """What was spent, also ``before``, and what may be spent (``most``; None: any sum). A limit needs a price.

    ``dearest`` is what the reply cost that cost most.
    """

    price: Price | None = None
    most: float | None = None
    before: float = 0.0
    replies_before: int = 0
    dearest: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    replies: int = 0
    untold: int = 0
    """Replies of which the server did not say what they took."""

    def add(self, prompt_tokens: int | None, completion_tokens: int | None) -> None:
        """Count one reply; tokens that the server does not tell count as none."""
        self.prompt_tokens += prompt_tokens or 0
        self.completion_tokens += completion_tokens or 0
        self.replies += 1
        self.untold += not self._is_told(prompt_tokens, completion_tokens)
        if self.price:
            self.dearest = max(self.dearest, self.price.of(prompt_tokens or 0, completion_tokens or 0))

    def _is_told(self, prompt_tokens: int | None, completion_tokens: int | None) -> bool:
        """Tell whether the tokens that cost money are known; no prompt takes none."""
        if self.price is None:
            return True
        return bool(prompt_tokens or not self.price.input) and (completion_tokens is not None or not self.price.output)

    def cost(self) -> float | None:
        """Return the money spent since the start, None without a price."""
        return self.price.of(self.prompt_tokens, self.completion_tokens) if self.price else None

    def allows_one_more(self, under_way: int) -> bool:
        """Tell whether one more request can be sent while so many are under way.

        Each is taken to cost what a reply did so far at most, like each reply of which the server did not say it; the
        first is sent alone. Raises LimitReachedError where none is under way and the next one would pass the limit,
        and where the server says it of no reply: nobody could tell when the limit is reached.
        """
        if self.most is None or self.price is None:
            return True
        replies = self.replies_before + self.replies
        if not replies:
            return not under_way
        if self.untold and self.untold == self.replies:
            if under_way:
                return False
            raise LimitReachedError(
                "the server does not tell how many tokens its replies take (`usage`), so that max_cost cannot be kept:"
                " have the server tell it, or take max_cost (max_judge_cost) away"
            )
        spent = self.before + (self.cost() or 0.0) + self.untold * self.dearest
        each = max(self.dearest, spent / replies)
        if spent + each * (under_way + 1) <= self.most:
            return True
        if under_way:
            return False
        raise LimitReachedError(
            f"the limit on money, {self.most:g} (max_cost, max_judge_cost), would be passed: {spent:.4f} was spent;"
            " raise it and run the same command again to go on"
        )
