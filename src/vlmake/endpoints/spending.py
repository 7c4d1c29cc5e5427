"""Tokens and money: counted by what the server says of each reply, stopped before a limit is passed."""

from dataclasses import dataclass

from vlmake.endpoints.faults import EndpointStoppedError

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

    def add(self, prompt_tokens: int | None, completion_tokens: int | None) -> None:
        """Count one reply; tokens that the server does not tell count as none."""
        self.prompt_tokens += prompt_tokens or 0
        self.completion_tokens += completion_tokens or 0
        self.replies += 1
        if self.price:
            self.dearest = max(self.dearest, self.price.of(prompt_tokens or 0, completion_tokens or 0))

    def cost(self) -> float | None:
        """Return the money spent since the start, None without a price."""
        return self.price.of(self.prompt_tokens, self.completion_tokens) if self.price else None

    def allows_one_more(self, under_way: int) -> bool:
        """Tell whether one more request can be sent while so many are under way.

        Each is taken to cost what a reply did so far at most; the first is sent alone. Raises EndpointStoppedError
        where none is under way and the next one would pass the limit.
        """
        if self.most is None or self.price is None:
            return True
        replies = self.replies_before + self.replies
        if not replies:
            return not under_way
        spent = self.before + (self.cost() or 0.0)
        each = max(self.dearest, spent / replies)
        if spent + each * (under_way + 1) <= self.most:
            return True
        if under_way:
            return False
        raise EndpointStoppedError(
            f"max_cost {self.most:g} would be passed: {spent:.4f} was spent;"
            " raise it and run the same command again to go on"
        )
