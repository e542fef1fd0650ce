"""What makes recommendations while their users wait, put together for a serving process."""

import asyncio

from config import answers, recommendations
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
        recommending = Recommending(
            base.backends,
            parts.budgets.routes["recommendations"],
            base.meters,
            wanted=recommendations.declared().features,
            limit=limit,
            done=write_back,
            missed=write_back.missed,
            clock=base.hot.now,
        )
        self.answers = PersonalAnswers(
            recommending, lambda: base.watch.catalogue, limit=limit, keep_task=self._keep
        )

    async def settled(self) -> None:
        """Wait for what users still wait for."""
        await asyncio.gather(*self._making, return_exceptions=True)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._making.add(task)
        task.add_done_callback(self._making.discard)
