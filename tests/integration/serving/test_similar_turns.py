"""Similar questions through the composed model path, over a real Valkey."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import pytest

from adapters.redis_kept import KeptRedis
from adapters.response_wire import ResponseWire
from config import models, response_cache
from domain.catalogue import Catalogue
from domain.questions import Question, QuestionKind
from serving.catalogue_watch import CatalogueWatch
from serving.model_path import ModelParts, Shared, put_together
from serving.model_turns import ModelPath
from serving.models import ChatReply
from serving.outbox import Producer
from tests import unhurried
from tests.integration.serving.processes import Valkey
from tests.model_fakes import FakeChatModel, FakeSearch
from tests.samples import title
from tests.unit.serving.fakes import FakeExchange, RequestPath, request_path, stored
from tests.unit.serving.model_desk import FALLBACK, FakeContexts, Models
from tests.unit.serving.test_catalogue_watch import Store

REVIEWED = "What are the best manga about cooking?"
LIKE_IT = "Which is the best manga about cooking"
UNLIKE_IT = "What are the worst manga about cooking?"
TITLES = [title("a"), title("b")]


@dataclass
class Shop:
    """A process whose cache is in Valkey and whose model is a fake."""

    path: RequestPath
    turns: ModelPath
    model: FakeChatModel

    async def ask(self, message: str, session: str) -> ChatReply:
        body = {"session_id": session, "message": message}
        exchange = FakeExchange(msgspec.json.encode(body), [(b"content-type", b"application/json")])
        self.path.chat.handle(exchange)
        while self.turns.under_way:
            await asyncio.gather(*self.turns.under_way)
        await self.turns.cache.settled()
        assert exchange.status == 200
        return msgspec.json.decode(exchange.answer, type=ChatReply)

    def matched(self) -> float:
        return self.path.registry.sums.get(("similar_answers_total", "matched"), 0)


async def opened(bulk: KeptRedis, *, enabled: bool) -> Shop:
    path, model = request_path(), FakeChatModel("Title ", "b.")
    path.stock.answers[FALLBACK] = stored("fallback")
    path.chat.classify = lambda _message, _locale: Question(QuestionKind.CHAT, "", "en")
    watch = CatalogueWatch(
        Store(Catalogue(TITLES, "1")),
        lambda _catalogue: path.chat.classify,
        poll_seconds=1,
        titles=path.registry.gauge("catalogue_titles"),
        build_search=lambda _catalogue: FakeSearch(*TITLES),
    )
    await watch.refresh()
    table = response_cache.declared()
    similarity = msgspec.structs.replace(table.similarity, enabled=enabled, shadow_share=1.0)
    parts = ModelParts(
        models=Models(model),
        table=models.declared(),
        build_search=lambda _catalogue: FakeSearch(*TITLES),
        wire=ResponseWire("secret", compress_bytes=1024),
        pseudonym=lambda user: user,
        close=bulk.close,
    )
    shared = Shared(
        bulk=bulk,
        shards=1,
        watch=watch,
        contexts=FakeContexts(),
        sink=path.sink,
        producer=Producer("serving-test", path.chat.desk.producer.encode),
        meters=path.meters,
        clock=path.chat.desk.clock,
    )
    turns = put_together(
        parts,
        unhurried.budgets(),
        path.registry,
        shared,
        msgspec.structs.replace(table, similarity=similarity),
    )
    path.chat.model = turns.open
    return Shop(path, turns, model)


@pytest.fixture
async def bulk(valkey: Valkey) -> AsyncIterator[KeptRedis]:
    valkey.client().flushall()
    bulk = KeptRedis(valkey.url, name="test")
    bulk.start()
    while not bulk.up:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    yield bulk
    await bulk.close()


async def test_a_similar_question_shares_the_reviewed_ones_answer_and_is_compared(
    bulk: KeptRedis,
) -> None:
    shop = await opened(bulk, enabled=True)
    assert (await shop.ask(REVIEWED, "s-1")).source == "model"
    assert len(shop.model.prompts) == 1
    assert (await shop.ask(LIKE_IT, "s-2")).source == "cache"
    assert shop.turns.similar is not None
    await shop.turns.similar.settled()
    assert LIKE_IT in repr(shop.model.prompts[-1]), "compared with what the model says itself"
    assert shop.path.registry.sums["similar_compared_total", "right"] == 1
    assert (await shop.ask(UNLIKE_IT, "s-3")).source == "model"
    assert shop.matched() == 2
    await shop.turns.close()


async def test_a_similar_question_that_comes_first_is_put_as_it_was_reviewed(
    bulk: KeptRedis,
) -> None:
    shop = await opened(bulk, enabled=True)
    assert (await shop.ask(LIKE_IT, "s-1")).source == "model"
    assert REVIEWED in repr(shop.model.prompts[0])
    assert (await shop.ask(REVIEWED, "s-2")).source == "cache"
    await shop.turns.close()


async def test_with_the_switch_off_only_the_same_wording_shares_an_answer(bulk: KeptRedis) -> None:
    shop = await opened(bulk, enabled=False)
    assert (await shop.ask(REVIEWED, "s-1")).source == "model"
    assert (await shop.ask(LIKE_IT, "s-2")).source == "model"
    assert (await shop.ask(REVIEWED, "s-3")).source == "cache"
    assert shop.turns.similar is None
    await shop.turns.close()
