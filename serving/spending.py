"""How often the models may be asked anew: for a user, for all who are not signed in, and at once.

Of one process; what is kept or under way costs nothing. Knows no question and no answer.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

from config.models import Rate, Spending
from domain.events import ANONYMOUS

MAX_USERS = 10_000
"""Users whose spending is remembered; who is forgotten has not asked for longest."""

Refusal = Literal["throttled", "crowded"]


class Allowances:
    """What may still be spent: each user has a token bucket, and strangers share one."""

    def __init__(self, table: Spending, clock: Callable[[], float] = time.monotonic) -> None:
        self._table = table
        self._clock = clock
        self._users: OrderedDict[str, _Bucket] = OrderedDict()
        self._strangers = _Bucket(table.anonymous, clock())

    def refusal(self, user: str, under_way: int) -> Refusal | None:
        """Why the model is not asked for this user, while so many answers are made; else spends."""
        if under_way >= self._table.max_flights:
            return "crowded"
        return None if self._bucket(user).take(self._clock()) else "throttled"

    def affords(self, user: str, under_way: int) -> bool:
        """Whether it would not be refused; spends nothing."""
        return under_way < self._table.max_flights and self._bucket(user).has(self._clock())

    def _bucket(self, user: str) -> "_Bucket":
        if user == ANONYMOUS:
            return self._strangers
        bucket = self._users.get(user)
        if bucket is None:
            bucket = self._users[user] = _Bucket(self._table.user, self._clock())
            if len(self._users) > MAX_USERS:
                self._users.popitem(last=False)
        self._users.move_to_end(user)
        return bucket


class _Bucket:
    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._at = now

    def has(self, now: float) -> bool:
        """Whether there is a token."""
        refilled = self._tokens + (now - self._at) * self._rate.per_minute / 60
        self._tokens, self._at = min(float(self._rate.burst), refilled), now
        return self._tokens >= 1.0

    def take(self, now: float) -> bool:
        """Take a token, if there is one."""
        if not self.has(now):
            return False
        self._tokens -= 1.0
        return True
