"""What tests of chat models share: a table, a prompt, and clients that cost little."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from botocore.credentials import Credentials

from adapters.aws_clients import Access, AwsClients
from adapters.chat_models import ChatModels
from config import models
from domain.errors import MangaAssistError
from domain.model import ChatModel, Ended, Prompt
from domain.prompts import Asked, Limits, assemble

PROVIDERS = {"bedrock": "anthropic.claude-test-v1:0", "sagemaker": "chat-test"}
SERVICES = {"bedrock": "bedrock-runtime", "sagemaker": "sagemaker-runtime"}
FACT = {"title": "Monster", "title_ja": "モンスター", "authors": ["Naoki Urasawa"], "volumes": 18}
LONG = 60.0
"""Seconds that only a failing test waits."""


CREDENTIALS = Credentials("test", "test")


class ClientsAt(AwsClients):
    """Says of every service that it is at one address: to make real clients takes long."""

    def __init__(self, url: str, credentials: Credentials | None = CREDENTIALS) -> None:
        super().__init__()
        self._url = url
        self._given = credentials

    def access(self, service: str) -> Access:
        signing_name = service.removesuffix("-runtime")
        return Access(service, self._url, "ap-northeast-1", signing_name, self._given)


def table_of(provider: str, *, max_tokens: int = 400) -> models.Models:
    shipped = models.load()
    row = models.Model(
        provider=provider,  # type: ignore[arg-type]
        id=PROVIDERS[provider],
        max_tokens=max_tokens,
        temperature=0.2,
        context_tokens=1000,
    )
    return models.Models(
        prompt_version=1,
        customer_features=(),
        history_turns=5,
        models=models.Sizes(small=row, large=row),
        routing=shipped.routing,
        instructions=shipped.instructions,
        spending=shipped.spending,
        embedding=shipped.embedding,
    )


@asynccontextmanager
async def chat_models(
    provider: str, url: str | None = None, *, max_tokens: int = 400
) -> AsyncIterator[ChatModels]:
    """The models of one provider, at this address or where the SDK's own variables say."""
    aws = AwsClients() if url is None else ClientsAt(url)
    made = ChatModels(aws, table_of(provider, max_tokens=max_tokens))
    try:
        yield made
    finally:
        await made.close()


def prompt(question: str = "Who wrote Monster?") -> Prompt:
    asked = Asked(question=question, facts=[FACT])
    return assemble(models.load().instructions.en, asked, Limits(5, 1000))


async def said(model: ChatModel, seconds: float = LONG) -> tuple[str, Ended | None]:
    pieces: list[str] = []
    ended = None
    async for part in model.stream(prompt(), seconds):
        if isinstance(part, Ended):
            ended = part
        else:
            pieces.append(part)
    return "".join(pieces), ended


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG):
        while not condition():  # noqa: ASYNC110 - another thread's state
            await asyncio.sleep(0.01)


async def failure(call: Callable[[], Awaitable[object]]) -> MangaAssistError:
    with pytest.raises(MangaAssistError) as raised:
        await call()
    return raised.value
