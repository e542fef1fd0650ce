"""What making a recommendation asks of others, without ever blocking the event loop.

Each call may be given up at any moment: a thread that still waits ends by the client's own limit.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from adapters.redis_hot_users import features_key
from domain.errors import Malformed, Transient
from domain.features import UserFeatures
from domain.ports import FeatureSource, Recommender, UserCache
from domain.recommendations import RecommendationRequest, Recommended
from serving.bounded_threads import BoundedThreads

log = logging.getLogger(__name__)

NOBODY = "~"
"""The id of no user: it is asked for where nobody waits."""
WARM_UP_SECONDS = 0.5
NOTE_SECONDS = 1.0
UNKNOWN_SECONDS = 60
"""How long nobody asks the feature store again about a user of whom it had nothing."""

THREADS = {"dynamodb": 8, "feature-store": 8, "sagemaker": 16}
"""Calls at once of a process. At 300 ms a call, 16 are 50 recommendations a second."""


@dataclass(frozen=True, slots=True)
class Hot:
    """What Redis holds of a user."""

    features: UserFeatures | None = None
    recent: Sequence[str] = ()


class Backends(Protocol):
    """The sources of a recommendation; all raise Transient."""

    async def hot(self, user_id: str, seconds: float) -> Hot:
        """What Redis holds of the user."""
        ...

    async def cached(self, user_id: str) -> UserFeatures | None:
        """The merged features."""
        ...

    async def stored(self, user_id: str) -> UserFeatures | None:
        """The features as the feature store has them."""
        ...

    def note_unknown(self, user_id: str) -> None:
        """Have `hot` say for a while that nothing is known of the user, until something is."""
        ...

    async def recommend(
        self, request: RecommendationRequest, seconds: float
    ) -> Sequence[Recommended]:
        """What the model says."""
        ...


class HotUserReader(Protocol):
    """Redis as this needs it."""

    async def hot_user(self, user_id: str, seconds: float) -> tuple[bytes | None, Sequence[str]]:
        """The stored features and the titles of late; raises Transient."""
        ...

    def drop(self, key: str, damaged: bytes, seconds: float) -> None:
        """Delete a damaged value unless it was replaced since; nobody waits for it."""
        ...

    def note_unknown(self, user_id: str, kept_seconds: int, seconds: float) -> None:
        """Put features without any group where there are none; nobody waits for it."""
        ...


class ThreadedBackends:
    """Implements `Backends` over ports that block, and Redis, which does not."""

    def __init__(
        self,
        *,
        redis: HotUserReader,
        decode_features: Callable[[bytes, str], UserFeatures],
        users: UserCache,
        features: FeatureSource,
        recommender: Recommender,
        groups: Sequence[str],
        damaged: Callable[[], None],
    ) -> None:
        self._redis = redis
        self._decode = decode_features
        self._users = users
        self._features = features
        self._recommender = recommender
        self._groups = groups
        self._damaged = damaged
        self._threads = {name: BoundedThreads(count, name) for name, count in THREADS.items()}

    async def hot(self, user_id: str, seconds: float) -> Hot:
        """What Redis holds of the user; a copy that is damaged or another's counts as none."""
        stored, recent = await self._redis.hot_user(user_id, seconds)
        try:
            features = self._decode(stored, user_id) if stored is not None else None
        except Malformed:
            features = None
            self._damaged()
            # Left there it could pass for newer than the copy that is to replace it.
            self._redis.drop(features_key(user_id), stored or b"", seconds)
        return Hot(features, recent)

    async def cached(self, user_id: str) -> UserFeatures | None:
        """The merged features, if they are this user's."""
        found = await self._threads["dynamodb"].run(lambda: self._users.get(user_id))
        return found if found is not None and found.user_id == user_id else None

    async def stored(self, user_id: str) -> UserFeatures | None:
        """The features as the feature store has them; raises Transient for half an answer."""
        batch = await self._threads["feature-store"].run(
            lambda: self._features.read([user_id], self._groups)
        )
        records = batch.records.get(user_id)
        if records:
            return UserFeatures(user_id, records)
        if user_id in batch.unread:
            raise Transient(batch.unread[user_id], dependency="feature-store")
        return None

    def note_unknown(self, user_id: str) -> None:
        """Have `hot` say for a while that nothing is known of the user, until something is."""
        self._redis.note_unknown(user_id, UNKNOWN_SECONDS, NOTE_SECONDS)

    async def recommend(
        self, request: RecommendationRequest, seconds: float
    ) -> Sequence[Recommended]:
        """What the model says."""
        return await self._threads["sagemaker"].run(
            lambda: self._recommender.recommend(request, seconds)
        )

    async def warm_up(self) -> None:
        """Call each once, for nobody, so that a user does not wait for clients and connections."""
        nothing = RecommendationRequest((), {}, 1)
        calls = (
            self.cached(NOBODY),
            self.stored(NOBODY),
            self.recommend(nothing, WARM_UP_SECONDS),
        )
        try:
            async with asyncio.timeout(WARM_UP_SECONDS):
                await asyncio.gather(*calls, return_exceptions=True)
        except TimeoutError:
            log.warning("what recommendations are made of does not answer yet")

    def close(self) -> None:
        """Take no more calls."""
        for threads in self._threads.values():
            threads.close()
