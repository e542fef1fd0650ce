"""The chat route with a model behind it: everything outside is a fake, and one store is shared."""

import asyncio
import json
import time
from dataclasses import dataclass, field

from config import models, response_cache, texts
from config.budgets import Budgets
from config.models import Spending
from domain.catalogue import Catalogue
from domain.events import AnswerCompleted, QuestionTaken
from domain.questions import Question, QuestionKind
from domain.routing import Size
from domain.search import Wanted
from domain.sessions import Session
from serving.asked import Asked
from serving.context import Context
from serving.exchange import dispatch
from serving.frames import MessageFrame
from serving.generating import Generating
from serving.generation_meters import GenerationMeters
from serving.ladder import Ladder
from serving.model_turns import ModelPath
from serving.models import ChatRequest
from serving.response_scope import ResponseScope
from serving.spending import Allowances
from tests import unhurried
from tests.model_fakes import FakeChatModel, FakeSearch
from tests.samples import title
from tests.unit.serving.fakes import NOW, FakeExchange, RequestPath, request_path, stored
from tests.unit.serving.response_fakes import FakeResponseStore, Process

MAX_CHARS = 100
FALLBACK = "answer:fallback:all:en"
TITLES = [title("a"), title("b"), title("c")]
CATALOGUE = Catalogue(TITLES)


def nothing_said(session_id: str, user: str) -> Context:
    """The context of a session that is new."""
    return Context(0.0, Session(session_id, user), is_sure=True)


@dataclass
class FakeContexts:
    """`ReadsContexts`: what is known of each session."""

    known: dict[str, Context] = field(default_factory=dict)
    fault: Exception | None = None
    reads: list[tuple[str, bool]] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, session_id: str, user: str, *, is_new: bool = False) -> Context:
        self.reads.append((session_id, is_new))
        if self.fault is not None:
            raise self.fault
        await self.gate.wait()
        return self.known.get(session_id) or nothing_said(session_id, user)


@dataclass
class Models:
    """One model for both sizes; `sizes` are those that were asked for."""

    model: FakeChatModel
    sizes: list[Size] = field(default_factory=list)

    def of(self, size: Size) -> FakeChatModel:
        self.sizes.append(size)
        return self.model


@dataclass
class KeptAhead:
    """`KeptContext` of a connection."""

    context: Context | None

    @property
    def known(self) -> Context | None:
        return self.context

    async def ready(self) -> Context:
        return self.context or nothing_said("s", "")


@dataclass
class Listener:
    """`Asker`: what a connection was sent."""

    context: KeptAhead
    tokens: list[str] = field(default_factory=list)
    reply: dict[str, object] | None = None
    answered_at: asyncio.Event = field(default_factory=asyncio.Event)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def answered(self, asked: Asked, status: int, body: bytes) -> None:
        self.reply = json.loads(body)
        self.answered_at.set()

    def token(self, asked: Asked, text: str) -> None:
        self.tokens.append(text)
        self.heard.set()


@dataclass
class ModelDesk:
    """One process that shares its response store with others."""

    path: RequestPath
    model: FakeChatModel
    models: Models
    search: FakeSearch
    contexts: FakeContexts
    process: Process
    versions: list[str | None]
    """Of the catalogue: now, before."""
    turns: ModelPath

    async def settled(self) -> None:
        while self.turns.under_way:
            await asyncio.gather(*self.turns.under_way, return_exceptions=True)

    async def ask(
        self, message: str = "what is dark", user: str = "", session: str = "s-1", **more: str
    ) -> FakeExchange:
        """A whole question over HTTP; `more` goes into its body."""
        exchange = self.begin(message, user, session, **more)
        await self.settled()
        assert exchange.status, "every request has a response"
        return exchange

    def begin(
        self, message: str, user: str = "", session: str = "s-1", **more: str
    ) -> FakeExchange:
        self.path.stock.answers |= self.process.store.stored
        self.path.stock.begun |= self.contexts.known.keys()
        body = json.dumps({"session_id": session, "message": message, **more}).encode()
        headers = [(b"content-type", b"application/json")]
        if user:
            headers.append((b"authorization", f"Bearer {user}".encode()))
        exchange = FakeExchange(body, headers)
        dispatch(self.path.chat, exchange, self.path.meters.refused)
        return exchange

    def say(self, message: str, context: Context | None = None) -> tuple[Listener, Asked]:
        """A question over a connection."""
        self.path.stock.answers |= self.process.store.stored
        listener = Listener(KeptAhead(context or nothing_said("s-1", "")))
        now = time.perf_counter()
        asked = Asked(listener, MessageFrame(message=message), now)  # type: ignore[arg-type]
        request = ChatRequest(session_id="s-1", message=message)
        self.path.chat.ask(asked, request, "", traceparent=None, started=now, auth_seconds=0.0)
        return listener, asked

    def completed(self) -> list[AnswerCompleted]:
        return [one for one in self.path.stock.events if isinstance(one, AnswerCompleted)]

    def taken(self) -> list[QuestionTaken]:
        return [one for one in self.path.stock.events if isinstance(one, QuestionTaken)]


def model_desk(
    store: FakeResponseStore | None = None,
    *,
    table: Budgets | None = None,
    spending: Spending | None = None,
) -> ModelDesk:
    path, process = request_path(), Process(store or FakeResponseStore())
    process.clock.now = NOW
    path.stock.answers[FALLBACK] = stored("fallback")
    path.chat.classify = lambda _message, _locale: Question(QuestionKind.CHAT, "", "en")
    model, search, contexts = FakeChatModel("Title ", "b."), FakeSearch(*TITLES), FakeContexts()
    contexts.gate.set()
    known, versions = Models(model), ["2", None]
    table = table or unhurried.budgets()
    counted = GenerationMeters(path.registry, path.meters)
    generating = Generating(
        search=lambda: search, catalogue=lambda: CATALOGUE, models=known,
        table=models.declared(), limit=5, max_chars=MAX_CHARS,
        budget=table.routes["generation"], meters=counted,
        narrow=lambda text, limit: Wanted(text=text, limit=limit), goes_on=lambda _: True,
    )  # fmt: skip
    turns = ModelPath(
        generating=generating,
        cache=process.cache,
        contexts=contexts,
        scope=ResponseScope(
            own_words=response_cache.declared().own_words_pattern,
            pseudonym=lambda user: f"p-{user}" if user else "",
            model_of=generating.model_of,
            prompt_version="1",
            catalogue=lambda: versions[0] or "",
        ),
        ladder=Ladder(
            rungs=table.routes["chat"].ladder,
            cache=process.cache,
            catalogue=lambda: CATALOGUE,
            before=lambda: versions[1],
            phrases=texts.declared(),
        ),
        budgets=table,
        history_turns=5,
        meters=counted,
        allowances=Allowances(spending or models.declared().spending, lambda: 0.0),
        similar=None,
        under_way=set(),
    )
    path.chat.model = turns.open
    return ModelDesk(path, model, known, search, contexts, process, versions, turns)
