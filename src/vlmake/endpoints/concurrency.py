"""How many requests may be under way: found by trying.

Four at first; the first answer proves key and address. A server's answers a second, times the seconds that an answer
took when few were asked, is how many requests it works on at once (Little 1961). Sixteen times as many may be under
way: the limit grows while more requests bring more answers a second, also where each takes longer for it, as in engines
that batch; a server that is full gets a queue of bounded length.

Where a fifth of a round are 429s the limit is halved; the next cut waits for a whole round, since the first needs that
long to show. From then on a round of answers adds a quarter. Fewer 429s come from other users' load or by chance: they
cut nothing, their requests wait by themselves (DCTCP weighs marks by their share for the same reason: Alizadeh et al.
2010). After a 429 or a server error the next four answers bring no growth.
"""

from collections import deque
from dataclasses import dataclass, field

_FIRST = 4  # requests before anything is known: a wrong key costs no more calls than this
TOO_MANY = 429
_SERVER_ERROR = 500
_THROTTLED = 0.2
_CUT_EVERY_S = 1.0
_AHEAD = 16  # requests under way for each that the server works on
_GROWTH_AFTER_CUT = 0.25
_PAUSE = 4
_WHOLE = 0.9  # a round lasts as long as this share of an answer: a bunch of answers at one moment is no pace
_ROUND_AT_LEAST = 16
_KEPT = 500


@dataclass(frozen=True, slots=True)
class Change:
    """The limit from a moment on (seconds since the start), and why it changed."""

    seconds: float
    limit: int
    reason: str


@dataclass
class _Pace:
    """How many requests a server works on at once, as far as rounds of as many answers as were asked for show."""

    worked_on: float = 1.0
    _few: list[float] = field(default_factory=list)  # seconds of the first answers, when few were asked
    _answers: int = 0
    _began: float = 0.0
    _limit: int = _FIRST
    _size: int = _FIRST

    def begin(self, limit: int, now: float) -> None:
        """Begin a round in which ``limit`` requests are under way."""
        self._answers, self._began, self._limit, self._size = 0, now, limit, max(_ROUND_AT_LEAST, limit)

    def completed(self, seconds: float, now: float) -> bool:
        """Count an answer; return whether it was its round's last."""
        if not self._few:
            self._began = now - seconds
        if len(self._few) < _FIRST:
            self._few.append(seconds)
        self._answers += 1
        elapsed = now - self._began
        if self._answers < self._size or elapsed < _WHOLE * seconds:
            return False
        alone = sorted(self._few)[1]  # the fastest may have come from a cache, the slowest waited for the others
        pace = self._answers / max(elapsed, 1e-6)
        self.worked_on = max(self.worked_on, min(self._limit, pace * alone))
        return True


@dataclass
class Concurrency:
    """The limit on requests under way, from 1 to ``most``; ``history`` holds its cuts and the tops between them."""

    most: int
    history: deque[Change] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _allowed: float = 0.0
    _growth: float = float("inf")
    _paused: int = 0
    _cut_at: float = float("-inf")
    _outcomes: deque[bool] = field(default_factory=deque)
    _pace: _Pace = field(default_factory=_Pace)

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
        completed = self._pace.completed(seconds, now)
        enough = min(float(self.most), _AHEAD * self._pace.worked_on)
        if self._paused:
            self._paused -= 1
        elif self._allowed < enough:
            self._set(min(enough, self._allowed + self._growth), now, "grown")
        if completed:
            self._pace.begin(self.limit, now)

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
            self._set(max(1.0, self._allowed / 2), now, "429")
            self._pace.begin(self.limit, now)

    def _round_size(self) -> int:
        return max(_ROUND_AT_LEAST, self.limit)

    def _came(self, status: int | None) -> None:
        self._outcomes.append(status == TOO_MANY)
        while len(self._outcomes) > self._round_size():
            self._outcomes.popleft()

    def _set(self, allowed: float, now: float, reason: str) -> None:
        before = self.limit
        self._allowed = allowed
        if self.limit == before:
            return
        if reason == "grown" and self.history[-1].reason == "grown":
            self.history.pop()
        self.history.append(Change(round(now, 2), self.limit, reason))
