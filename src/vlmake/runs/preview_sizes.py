"""Numbers of a preview, each with how sure it is: exact, about, or at most."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from vlmake.endpoints.spending import Price

Kind = Literal["exact", "about", "at most"]

_BY_DOUBT: tuple[Kind, ...] = ("exact", "about", "at most")


@dataclass(frozen=True)
class Size:
    """A number, and whether something of unknown size comes on top of it."""

    number: float
    kind: Kind = "exact"
    and_unknown: bool = False


NOTHING = Size(0)
UNKNOWN = Size(0, "exact", and_unknown=True)


def total(sizes: Iterable[Size]) -> Size:
    """Return the sum, as sure as the least sure of what is added."""
    listed = [size for size in sizes if size != NOTHING]
    kinds = [size.kind for size in listed]
    return Size(sum(size.number for size in listed), _least_sure(kinds), any(size.and_unknown for size in listed))


def times(calls: Size, each: Size) -> Size:
    """Return the size of so many calls."""
    if calls == NOTHING:
        return NOTHING
    kind = _least_sure([calls.kind, each.kind])
    return Size(calls.number * each.number, kind, calls.and_unknown or each.and_unknown)


def _least_sure(kinds: Iterable[Kind]) -> Kind:
    return _BY_DOUBT[max((_BY_DOUBT.index(kind) for kind in kinds), default=0)]


@dataclass(frozen=True)
class Bill:
    """What one who is paid for tokens, a model or a judge, is to be asked; ``price`` is None where none is known."""

    payee: str
    calls: Size
    prompt_tokens: Size
    completion_tokens: Size
    price: Price | None = None

    def tokens(self) -> Size:
        """Return the tokens of prompts and replies together."""
        return total([self.prompt_tokens, self.completion_tokens])

    def money(self) -> Size:
        """Return what it costs, unknown without a price."""
        tokens = self.tokens()
        if tokens == NOTHING:
            return NOTHING
        if self.price is None:
            return UNKNOWN
        cost = self.price.of(round(self.prompt_tokens.number), round(self.completion_tokens.number))
        return Size(cost, tokens.kind, tokens.and_unknown)


def together(bills: Iterable[Bill]) -> list[Bill]:
    """Return one bill for each who is paid, in the order in which they first appear."""
    by_payee: dict[str, list[Bill]] = {}
    for bill in bills:
        by_payee.setdefault(bill.payee, []).append(bill)
    return [
        Bill(
            payee,
            total(bill.calls for bill in listed),
            total(bill.prompt_tokens for bill in listed),
            total(bill.completion_tokens for bill in listed),
            listed[0].price,
        )
        for payee, listed in by_payee.items()
    ]
