"""What makes recommendations while their users wait, put together for a serving process."""

import asyncio

from config import answers, features, recommendations
from serving.backends import ThreadedBackends
from serving.foundation import Foundation
from serving.parts import Parts
from serving.personal import PersonalAnswers
from serving.recommending import Recommending
from serving.writing_back import WriteBack


class PersonalPath:
    """Opens the turns of users' own answers, and ends what is being made for them."""

    def __init__(self, base: Foundation, parts: Parts) -> None:
        limit = answers.declared().kinds.recommendation.top_n
        write_back = WriteBack(base.redis, base.producer, base.meters)
        self._making = set[asyncio.Task[None]]()
        self._backends = ThreadedBackends(
            redis=base.visitors,
            decode_features=parts.decode_features,
            users=parts.users,
            features=parts.features,
            recommender=parts.recommender,
            groups=tuple(features.declared().groups),
            damaged=lambda: base.meters.damaged("features"),
        )
        recommending = Recommending(
            self._backends,
            parts.budgets.routes["recommendations"],
            base.meters,
            wanted=recommendations.declared().features,
            limit=limit,
            done=write_back,
            missed=write_back.missed,
        )
        self.answers = PersonalAnswers(
            recommending, lambda: base.watch.catalogue, limit=limit, keep_task=self._keep
        )

    async def warm_up(self) -> None:
        """Have the threads ready."""
        await self._backends.warm_up()

    async def settled(self) -> None:
        """Wait for what users still wait for."""
        await asyncio.gather(*self._making, return_exceptions=True)

    def close(self) -> None:
        """Let the threads go."""
        self._backends.close()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._making.add(task)
        task.add_done_callback(self._making.discard)
