"""When a question shares a similar one's answer, and how the switch closes itself."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import pytest

from adapters.ngram_embeddings import NgramEmbeddings
from config import response_cache
from domain.errors import Transient
from domain.events import Locale
from domain.questions import Question, QuestionKind
from domain.response_cache import PUBLIC, Generated, Scope
from serving.flights import Emit
from serving.similar_questions import LOOK_SECONDS, SimilarQuestions
from serving.similarity_meters import SimilarityMeters
from tests.fakes import FakeClock
from tests.samples import response
from tests.unit.serving.fakes import CountingRegistry

COOKING = "What are the best manga about cooking?"
LIKE_IT = "Which is the best manga about cooking"
REVIEWED = [("en", COOKING), ("ja", "料理の漫画のおすすめは何ですか")]
Items = Sequence[Mapping[str, object]]


@dataclass
class FakeTally:
    """The count of all processes; `fault` is raised."""

    compared: int = 0
    wrong: int = 0
    fault: Transient | None = None
    looks: int = 0

    async def tally(
        self, *, is_wrong: bool, kept_seconds: float, seconds: float
    ) -> tuple[int, int]:
        if self.fault is not None:
            raise self.fault
        self.compared += 1
        self.wrong += is_wrong
        return self.compared, self.wrong

    async def tallied(self, seconds: float) -> tuple[int, int]:
        self.looks += 1
        if self.fault is not None:
            raise self.fault
        return self.compared, self.wrong


@dataclass
class Shop:
    """One process's matching."""

    similar: SimilarQuestions
    tally: FakeTally
    clock: FakeClock
    registry: CountingRegistry
    chances: list[float] = field(default_factory=list)

    async def match(
        self, question: str, locale: Locale = "en", scope: Scope = PUBLIC
    ) -> str | None:
        return await self.similar.match(question, locale, scope)

    async def compare(self, own: Generated | Exception, shown: Items = ()) -> None:
        async def compute(_emit: Emit) -> Generated:
            if isinstance(own, Exception):
                raise own
            return own

        self.similar.compare(response("Try Food Wars!", items=shown), compute)
        await self.similar.settled()

    def compared(self, outcome: str) -> float:
        return self.registry.sums.get(("similar_compared_total", outcome), 0)


def classify(question: str, _locale: Locale) -> Question:
    kind = QuestionKind.TITLE if "Iron Wok" in question else QuestionKind.CHAT
    return Question(kind, "", "en")


async def opened(
    *,
    enabled: bool = True,
    chance: float = 0.0,
    tally: FakeTally,
    reviewed: Sequence[tuple[str, str]] = REVIEWED,
) -> Shop:
    table = msgspec.structs.replace(response_cache.declared().similarity, enabled=enabled)
    clock, registry = FakeClock(), CountingRegistry()
    similar = SimilarQuestions(
        table=table,
        questions=reviewed,
        embeds=NgramEmbeddings(table.threshold, table.dimensions),
        classify=classify,
        tally=tally,
        meters=SimilarityMeters(registry),
        clock=clock,
        chance=lambda: chance,
    )
    return Shop(similar, tally, clock, registry)


@pytest.fixture
async def shop() -> Shop:
    return await opened(tally=FakeTally())


async def test_a_similar_question_gets_the_reviewed_ones_answer(shop: Shop) -> None:
    assert await shop.match(LIKE_IT) == COOKING
    assert shop.registry.sums["similar_answers_total", "matched"] == 1


@pytest.mark.parametrize(
    ("question", "outcome"),
    [
        ("What are the worst manga about cooking?", "gated"),
        ("What are the best manga not about cooking?", "gated"),
        ("What are the 3 best manga about cooking?", "gated"),
        ("Where is the bus stop?", "different"),
    ],
)
async def test_a_question_that_may_mean_another_thing_gets_its_own_answer(
    shop: Shop, question: str, outcome: str
) -> None:
    assert await shop.match(question) is None
    assert shop.registry.sums["similar_answers_total", outcome] == 1


async def test_another_locale_a_users_scope_and_another_kind_never_match(shop: Shop) -> None:
    assert await shop.match(LIKE_IT, "ja") is None
    assert await shop.match(LIKE_IT, scope=Scope("u-1")) is None
    assert await shop.match(COOKING, scope=Scope("u-1")) is None
    for name, is_same in (("Iron Wok", True), ("iron wok", False)):
        shop = await opened(tally=FakeTally(), reviewed=[("en", f"Which is the best {name} manga")])
        found = await shop.match("What is the best Iron Wok manga")
        assert (found is not None) is is_same


async def test_off_is_off() -> None:
    shop = await opened(enabled=False, tally=FakeTally())
    assert await shop.match(COOKING) is None
    assert shop.tally.looks == 0


async def test_it_stays_closed_while_nobody_knows_how_wrong_it_is(shop: Shop) -> None:
    shop.tally.fault = Transient("Redis does not answer")
    assert await shop.match(LIKE_IT) is None
    shop.tally.fault = None
    assert await shop.match(LIKE_IT) is None, "it does not ask with every question"
    shop.clock.now += LOOK_SECONDS
    assert await shop.match(LIKE_IT) == COOKING
    shop.tally.fault = Transient("Redis does not answer")
    shop.clock.now += LOOK_SECONDS
    assert await shop.match(LIKE_IT) == COOKING, "what it knew stays true for a while"


async def test_wrong_answers_close_the_switch_of_every_process() -> None:
    tally = FakeTally(compared=100)
    here, elsewhere = [await opened(tally=tally) for _ in range(2)]
    assert await here.match(LIKE_IT) == await elsewhere.match(LIKE_IT) == COOKING
    for _ in range(10):
        await here.compare(Generated("Another", [{"id": "9"}]), shown=[{"id": "1"}])
    assert here.compared("wrong") == 10
    assert not here.similar.is_open
    assert await here.match(LIKE_IT) is None
    elsewhere.clock.now += LOOK_SECONDS
    assert await elsewhere.match(LIKE_IT) is None
    assert here.registry.sums["similar_open",] == 0
    lower = here.registry.sums["similar_false_hit_rate", "lower"]
    assert 0.01 < lower < 10 / 110 < here.registry.sums["similar_false_hit_rate", "upper"]


@pytest.mark.parametrize(
    ("own", "shown", "outcome"),
    [
        (Generated("x", [{"id": "1"}, {"id": "2"}]), [{"id": "2"}, {"id": "1"}], "right"),
        (Generated("x", [{"id": "1"}, {"id": "2"}]), [{"id": "1"}], "right"),
        (Generated("x", [{"id": "1"}]), [{"id": "1"}, {"id": "2"}, {"id": "3"}], "wrong"),
        (Generated("x", []), [{"id": "1"}], "wrong"),
        (Generated("Try Food Wars!!", []), [], "right"),
        (Generated("There is nothing of the kind.", []), [], "wrong"),
        (Generated("Try Food Wars!", [], is_negative=True), [], "wrong"),
        (Transient("the model is gone"), [], "failed"),
    ],
)
async def test_what_counts_as_the_same_answer(
    shop: Shop, own: Generated | Exception, shown: Items, outcome: str
) -> None:
    await shop.compare(own, shown)
    assert shop.compared(outcome) == 1
    assert shop.tally.compared == (outcome != "failed")


async def test_only_a_share_is_compared_and_one_at_a_time() -> None:
    rare = await opened(chance=0.05, tally=FakeTally())
    await rare.compare(Generated("x", []))
    assert rare.tally.compared == 0
    often = await opened(tally=FakeTally())
    let_go, calls = asyncio.Event(), 0

    async def slow(_emit: Emit) -> Generated:
        nonlocal calls
        calls += 1
        await let_go.wait()
        return Generated("x", [])

    for _ in range(5):
        often.similar.compare(response(), slow)
        await asyncio.sleep(0)
    let_go.set()
    await often.similar.settled()
    assert calls == 1


async def test_a_comparison_under_way_ends_with_the_process(shop: Shop) -> None:
    async def never(_emit: Emit) -> Generated:
        await asyncio.Event().wait()
        raise AssertionError

    shop.similar.compare(response(), never)
    await asyncio.sleep(0)
    await shop.similar.close()
    assert shop.tally.compared == 0
