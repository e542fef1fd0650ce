"""Fakes of the model path's ports; they keep the contracts of the real adapters."""

import asyncio
from collections.abc import AsyncGenerator

from domain.errors import MangaAssistError, Permanent, Transient
from domain.model import Ended, Prompt, Stop


class FakeChatModel:
    """`ChatModel`: says `pieces`, or breaks off with `fail` after `fails_after` of them."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = pieces or ("an ", "answer")
        self.fail: MangaAssistError | None = None
        self.fails_after = 0
        self.seconds_before_first = 0.0
        self.prompts: list[Prompt] = []
        self.running = 0

    async def stream(self, prompt: Prompt, seconds: float) -> AsyncGenerator[str | Ended, None]:
        self.prompts.append(prompt)
        self.running += 1
        try:
            if not prompt.messages:
                raise Permanent("there is no message")
            await self._wait(seconds)
            for number, piece in enumerate(self.pieces):
                if self.fail is not None and number == self.fails_after:
                    raise self.fail
                yield piece
            yield Ended(Stop.DONE, prompt.tokens, len(self.pieces))
        finally:
            self.running -= 1

    async def warm(self, seconds: float) -> None:
        await self._wait(seconds)
        if self.fail is not None:
            raise self.fail

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await asyncio.sleep(self.seconds_before_first)
        except TimeoutError as error:
            raise Transient("the model did not answer in time", dependency="model") from error
