"""How many requests may be under way: found by trying, as TCP finds its window (Chiu and Jain 1989: AIMD).

The limit starts low and grows fourfold with every round of answers while they are fast. Where a fifth of a round are
429s it is halved; the next cut waits for a whole round, since the first needs that long to show. From then on a round
of answers adds a quarter. Fewer 429s come from other users' load or by chance: they cut nothing, their requests wait by
themselves (DCTCP weighs marks by their share for the same reason: Alizadeh et al. 2010). After a 429 or a server error
the next four answers bring no growth. While a round is five times slower than the fastest was, nothing grows.
"""

from collections import deque
from dataclasses import dataclass, field
from statistics import median

_FIRST = 4  # requests before anything is known: a wrong key costs no more calls than this
TOO_MANY = 429
_SERVER_ERROR = 500
_THROTTLED = 0.2
_CUT_EVERY_S = 1.0
_GROWTH_AT_FIRST = 3.0
_GROWTH_AFTER_CUT = 0.25
_PAUSE = 4
_SLOW = 5.0
_ROUND_AT_LEAST = 16
_KEPT = 500


@dataclass(frozen=True, slots=True)
class Change:
    """The limit from a moment on (seconds since the start), and why it changed."""

    seconds: float
    limit: int
    reason: str


@dataclass
class Concurrency:
    """The limit on requests under way, from 1 to ``most``; ``history`` holds its cuts and the tops between them."""

    most: int
    history: deque[Change] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _allowed: float = 0.0
    _growth: float = _GROWTH_AT_FIRST
    _paused: int = 0
    _cut_at: float = float("-inf")
    _outcomes: deque[bool] = field(default_factory=deque)
    _round: list[float] = field(default_factory=list)
    _round_ends_at: int = 0
    _fastest: float = float("inf")
    _slow: bool = False

    def __post_init__(self) -> None:
        self._allowed = float(min(_FIRST, self.most))
        self.history.append(Change(0.0, self.limit, "start"))

    @property
    def limit(self) -> int:
        """How many requests may be under way now."""
        return int(self._allowed)

    def answered(self, seconds: float, now: float) -> None:
        """Count an answer that took ``seconds``; ``now`` is the seconds since the start."""
        self._came(200)
        if not self._round:
            self._round_ends_at = self._round_size()  # while the limit grows, it runs ahead of the answers
        self._round.append(seconds)
        if len(self._round) >= self._round_ends_at:
            typical = median(self._round)
            self._fastest = min(self._fastest, typical)
            self._slow = typical > _SLOW * self._fastest
            self._round.clear()
        if self._paused:
            self._paused -= 1
        elif not self._slow and self._allowed < self.most:
            self._set(self._allowed + self._growth, now, "grown")

    def failed(self, status: int | None, now: float) -> None:
        """Count a failed attempt by its HTTP status, None where there was no reply."""
        self._came(status)
        if status is not None and (status == TOO_MANY or status >= _SERVER_ERROR):
            self._paused = min(self._paused + _PAUSE, 2 * _PAUSE * self.limit)
        if status == TOO_MANY:
            self._throttled(now)

    def _throttled(self, now: float) -> None:
        """Halve the limit if as many 429s came as a throttling server sends."""
        whole = len(self._outcomes) == self._round_size() or self._cut_at == float("-inf")
        if whole and now - self._cut_at >= _CUT_EVERY_S and sum(self._outcomes) >= _THROTTLED * self._round_size():
            self._growth, self._cut_at = _GROWTH_AFTER_CUT, now
            self._outcomes.clear()
            self._round.clear()
            self._set(max(1.0, self._allowed / 2), now, "429")

    def _round_size(self) -> int:
        return max(_ROUND_AT_LEAST, self.limit)

    def _came(self, status: int | None) -> None:
        self._outcomes.append(status == TOO_MANY)
        while len(self._outcomes) > self._round_size():
            self._outcomes.popleft()

    def _set(self, allowed: float, now: float, reason: str) -> None:
        before = self.limit
        self._allowed = min(allowed, float(self.most))
        if self.limit == before:
            return
        if reason == "grown" and self.history[-1].reason == "grown":
            self.history.pop()
        self.history.append(Change(round(now, 2), self.limit, reason))
