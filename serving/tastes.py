"""Reads what a user's features tell of tastes: the copy in Redis, or else the merged ones.

The feature store is not asked: an answer without them is as true.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from config.budgets import Budget
from domain.errors import Transient
from domain.features import UserFeatures
from domain.tastes import Tastes, tastes
from serving.backends import Hot
from serving.meters import Meters


class ReadsFeatures(Protocol):
    """Where features are; see `serving/backends.py`. Both raise Transient."""

    async def hot(self, user_id: str, seconds: float) -> Hot:
        """What Redis holds of the user."""
        ...

    async def cached(self, user_id: str) -> UserFeatures | None:
        """The merged features."""
        ...


class TasteReader:
    """Reads the features that `wanted` names, each place within its own time of the budget."""

    def __init__(
        self,
        features: ReadsFeatures,
        meters: Meters,
        *,
        wanted: Sequence[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._features = features
        self._meters = meters
        self._wanted = wanted
        self._clock = clock

    async def read(self, user: str, budget: Budget) -> Tastes | None:
        """What is known of the user's tastes; None where that is nothing. Raises Transient."""
        found = await self._hot(user, budget.seconds("redis"))
        if found is None:
            found = await self._cached(user, budget.seconds("dynamodb"))
        return None if found is None else tastes(found, self._wanted, self._clock())

    async def _hot(self, user: str, seconds: float) -> UserFeatures | None:
        try:
            return (await self._features.hot(user, seconds)).features
        except Transient:
            return None

    async def _cached(self, user: str, seconds: float) -> UserFeatures | None:
        try:
            async with asyncio.timeout(seconds):
                return await self._features.cached(user)
        except TimeoutError as error:
            self._meters.budget_exceeded("dynamodb").inc()
            raise Transient("the users table is late", dependency="dynamodb") from error
