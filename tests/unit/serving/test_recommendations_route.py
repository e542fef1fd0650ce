"""Recommendations as they are asked for: at their own route and in a chat, without HTTP."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import msgspec
import pytest

from adapters.redis_multiplexed import Late, NotDone
from adapters.redis_serving import Complaint
from config import texts
from domain.answers import store as store_popular
from domain.catalogue import Catalogue, Title
from domain.errors import MangaAssistError
from domain.events import (
    AnswerCompleted,
    FeaturesChanged,
    QuestionTaken,
    RecommendationComputed,
    RecommendationMissed,
    RecommendationServed,
)
from domain.personal_answers import Lifetime, store
from domain.questions import Question, QuestionKind
from domain.recommendations import Recommended
from domain.rendering import Material, popular_recommendation
from serving.exchange import dispatch
from serving.models import ChatReply
from serving.personal import PersonalAnswers
from serving.recommendations import RecommendationsRoute
from serving.recommending import Recommending
from serving.writing_back import WriteBack
from tests import unhurried
from tests.samples import title
from tests.unit.serving.fakes import NOW, FakeExchange, RequestPath, request_path, stored
from tests.unit.serving.jumping import run
from tests.unit.serving.test_recommending import FakeBackends, known

ANN = (b"authorization", b"Bearer ann")
BOB = (b"authorization", b"Bearer bob")
POPULAR = "answer:recommendation:all:en"
EN = (b"accept-language", b"en-GB,en;q=0.9")
TITLES = [title(name) for name in ("a", "b", "c", "d")]


@dataclass
class Desk:
    """Both ways to ask, over the same fakes."""

    path: RequestPath
    backends: FakeBackends
    route: RecommendationsRoute
    tasks: list[asyncio.Task[None]]

    def get(self, *headers: tuple[bytes, bytes], query: bytes = b"") -> FakeExchange:
        return self._settled(FakeExchange(b"", [EN, *headers], query=query), self.route)

    def ask(self, *headers: tuple[bytes, bytes]) -> FakeExchange:
        body = json.dumps({"session_id": "s-1", "message": "recommend something"}).encode()
        content = (b"content-type", b"application/json")
        return self._settled(FakeExchange(body, [content, *headers]), self.path.chat)

    def _settled(
        self, exchange: FakeExchange, route: "RecommendationsRoute | object"
    ) -> FakeExchange:
        async def steps() -> None:
            dispatch(route, exchange, self.path.meters.refused)  # type: ignore[arg-type]
            await asyncio.gather(*self.tasks)
            self.tasks.clear()

        run(steps())
        assert exchange.status, "every request has a response"
        return exchange


@pytest.fixture
def desk() -> Desk:
    path = request_path()
    path.stock.answers[POPULAR] = stored("recommendation")
    backends = FakeBackends(in_dynamodb=known(), items=[Recommended(t.id, 1.0) for t in TITLES])
    tasks: list[asyncio.Task[None]] = []
    write_back = WriteBack(path.stock, path.chat.desk.producer, path.meters)
    personal = PersonalAnswers(
        Recommending(
            backends,
            unhurried.budgets().routes["recommendations"],
            path.meters,
            wanted=["favourite_genres"],
            limit=10,
            done=write_back,
            missed=write_back.missed,
            clock=lambda: NOW,
        ),
        lambda: Catalogue([*TITLES, title("adult", adult=True)], "v-1"),
        limit=10,
        keep_task=tasks.append,
    )
    path.chat.personal = personal.open
    path.chat.classify = lambda _message, _locale: Question(QuestionKind.RECOMMENDATION, "", "en")
    return Desk(
        path, backends, RecommendationsRoute(path.chat.desk, path.chat.gate, personal), tasks
    )


def own(
    user_id: str = "ann",
    age: float = 10.0,
    ttl: float = 900.0,
    titles: Sequence[Title] = TITLES[:3],
    catalogue: str = "v-1",
) -> bytes:
    rows = [(found, 1.0) for found in titles]
    lifetime = Lifetime(ttl, 10 * ttl)
    return store(
        user_id, rows, texts.declared(), NOW - age, lifetime, catalogue_version=catalogue
    ).pack()


def read(exchange: FakeExchange) -> ChatReply:
    assert exchange.status == 200
    return msgspec.json.decode(exchange.answer, type=ChatReply)


def ids(reply: ChatReply) -> Sequence[str]:
    return [item.id for item in reply.answer.items]


@pytest.mark.parametrize("way", ["get", "ask"])
def test_the_stored_one_is_sent_after_one_round_trip(desk: Desk, way: str) -> None:
    desk.path.stock.answers["reco:ann"] = own()
    exchange = desk.get(ANN) if way == "get" else desk.ask(ANN)
    reply = read(exchange)
    assert (reply.source, reply.answer.kind, ids(reply)) == (
        "precomputed",
        "recommendation",
        ["a", "b", "c"],
    )
    assert reply.age_seconds == 10.0
    assert "Title a" in reply.answer.text
    assert (desk.backends.calls, desk.path.stock.calls) == ([], 1)
    for segment in (b"auth", b"redis", b"dynamodb", b"feature_store", b"model", b"total"):
        assert segment + b";dur=" in exchange.lines


def test_past_its_soft_expiry_it_is_stale_and_sent_all_the_same(desk: Desk) -> None:
    desk.path.stock.answers["reco:ann"] = own(age=901)
    assert read(desk.get(ANN)).source == "stale"
    assert desk.backends.calls == []


def test_the_event_says_what_was_asked_where(desk: Desk) -> None:
    desk.path.stock.answers["reco:ann"] = own()
    desk.get(ANN)
    desk.ask(ANN)
    page, chat = desk.path.stock.events
    assert isinstance(page, RecommendationServed)
    assert (page.owner, page.locale) == ("ann", "en")
    assert isinstance(chat, QuestionTaken)
    assert (chat.owner, chat.kind, chat.session_id) == ("ann", "recommendation", "s-1")
    assert page.catalogue == chat.catalogue == "v-1"


@pytest.mark.parametrize("way", ["get", "ask"])
def test_one_of_another_catalogue_is_shown_as_far_as_this_one_has_its_titles_and_filled_up(
    desk: Desk, way: str
) -> None:
    before = [title("gone"), replace(title("b"), title="Old name"), title("adult"), title("a")]
    desk.path.stock.answers["reco:ann"] = own(titles=before, catalogue="v-0")
    reply = read(desk.get(ANN) if way == "get" else desk.ask(ANN))
    assert (reply.source, ids(reply), reply.age_seconds) == ("stale", ["b", "a", "c", "d"], 10.0)
    assert [one.title for one in reply.answer.items][:2] == ["Title b", "Title a"]
    assert [one.score for one in reply.answer.items] == [1.0, 1.0, 0.0, 0.0]
    assert "Title b, Title a. The list goes on" in reply.answer.text
    for word in ("gone", "Old name", "adult"):
        assert word not in reply.answer.text
    assert desk.backends.calls == []
    told = [one for one in desk.path.stock.events if isinstance(one, AnswerCompleted)]
    assert [one.answer_preview for one in told] == [reply.answer.text] * (way == "ask")
    assert desk.path.stock.calls == 1 + len(told)


def test_one_of_which_the_catalogue_has_nothing_any_more_is_made_anew(desk: Desk) -> None:
    desk.path.stock.answers["reco:ann"] = own(titles=[title("gone")], catalogue="v-0")
    reply = read(desk.get(ANN))
    assert (reply.source, ids(reply)) == ("model", ["a", "b", "c", "d"])


@pytest.mark.parametrize("way", ["get", "ask"])
def test_one_that_is_missing_is_made_and_handed_to_the_workers(desk: Desk, way: str) -> None:
    exchange = desk.get(ANN) if way == "get" else desk.ask(ANN)
    reply = read(exchange)
    assert (reply.source, ids(reply)) == ("model", ["a", "b", "c", "d"])
    assert desk.backends.calls == ["redis", "dynamodb", "model"]
    (computed,) = [one for one in desk.path.stock.events if isinstance(one, RecommendationComputed)]
    assert (computed.user_id, computed.items[0], computed.occurred_at) == ("ann", ("a", 1.0), NOW)
    again = read(desk.get(ANN))
    assert (again.source, ids(again)) == ("cache", ["a", "b", "c", "d"])
    route = "recommendations" if way == "get" else "chat"
    assert desk.path.registry.sums["requests_total", route, "model"] == 1


@pytest.mark.parametrize(
    ("kept", "failing", "source", "rung"),
    [
        (None, set[str](), "model", "fresh"),
        (None, {"model"}, "fallback", "generic"),
        ("bob", set[str](), "model", "fresh"),
    ],
    ids=["made", "popular", "instead of another's"],
)
def test_the_session_is_told_what_was_answered_after_the_round_trip(
    desk: Desk, kept: str | None, failing: set[str], source: str, rung: str
) -> None:
    if kept is not None:
        desk.path.stock.answers["reco:ann"] = own(kept)
    desk.backends.failing = failing
    reply = read(desk.ask(ANN))
    taken = desk.path.stock.events[0]
    assert isinstance(taken, QuestionTaken)
    (told,) = [one for one in desk.path.stock.events if isinstance(one, AnswerCompleted)]
    assert (told.source, told.rung, reply.source) == (source, rung, source)
    assert told.answer_preview == reply.answer.text
    assert (told.asked_event_id, told.owner, told.session_id) == (taken.event_id, "ann", "s-1")


def test_what_came_with_the_round_trip_and_a_page_are_told_by_one_event(desk: Desk) -> None:
    desk.get(ANN)
    desk.path.stock.answers["reco:ann"] = own()
    desk.ask(ANN)
    assert not [one for one in desk.path.stock.events if isinstance(one, AnswerCompleted)]


def test_a_stored_one_whose_event_was_kept_elsewhere_is_told_too(desk: Desk) -> None:
    desk.path.stock.complaint = Complaint(own(), NotDone("full"), [])
    reply = read(desk.ask(ANN))
    assert reply.source == "precomputed"
    (told,) = [one for one in desk.path.stock.events if isinstance(one, AnswerCompleted)]
    assert told.answer_preview == reply.answer.text


def test_features_that_only_the_store_had_are_to_be_merged(desk: Desk) -> None:
    desk.backends.in_dynamodb, desk.backends.in_store = None, known()
    assert read(desk.get(ANN)).source == "model"
    changed = desk.path.stock.events[-1]
    assert isinstance(changed, FeaturesChanged)
    assert (changed.user_id, changed.group) == ("ann", "")


def test_another_users_recommendation_is_never_sent(desk: Desk) -> None:
    desk.path.stock.answers["reco:ann"] = own("bob")
    reply = read(desk.get(ANN))
    assert (reply.source, ids(reply)) == ("model", ["a", "b", "c", "d"])
    assert desk.path.registry.sums["answer_invalid_total", "foreign_key"] == 1
    assert desk.path.menders.mended == []
    assert "reco:ann" not in desk.path.stock.answers, "it would pass for newer than the next one"


def test_a_damaged_one_is_made_anew(desk: Desk) -> None:
    desk.path.stock.answers["reco:ann"] = own()[:-3]
    assert read(desk.get(ANN)).source == "model"
    assert "reco:ann" not in desk.path.stock.answers
    desk.path.stock.complaint = Complaint(stored("recommendation"), None, ["reco:ann"])
    assert read(desk.get((b"authorization", b"Bearer bob"))).source == "model"


def test_without_the_model_popular_titles_are_sent(desk: Desk) -> None:
    desk.backends.failing = {"model"}
    reply = read(desk.get(ANN))
    assert (reply.source, reply.answer.text) == ("fallback", "the recommendation answer")
    assert desk.path.registry.sums["requests_total", "recommendations", "fallback"] == 1
    assert isinstance(desk.path.stock.events[-1], RecommendationMissed)


def test_of_whom_nothing_is_known_popular_titles_are_sent(desk: Desk) -> None:
    desk.backends.in_dynamodb = None
    assert read(desk.get(ANN)).source == "fallback"
    assert "model" not in desk.backends.calls


def test_what_few_titles_suit_is_filled_up_with_what_the_user_does_not_know(desk: Desk) -> None:
    desk.backends.items = [Recommended("c", 1.0)]
    desk.backends.recent = ["a"]
    reply = read(desk.get(ANN))
    assert [(one.id, one.score) for one in reply.answer.items] == [("c", 1.0), ("b", 0), ("d", 0)]
    assert "interests: Title c. The list goes on" in reply.answer.text


def test_a_list_of_nothing_but_fillings_is_nobodys_own(desk: Desk) -> None:
    desk.path.stock.answers["reco:ann"] = own(titles=[title("gone")], catalogue="v-0")
    desk.backends.items = [Recommended("a", 0.0)]
    assert read(desk.get(ANN)).source == "fallback"


def test_titles_that_may_not_be_shown_are_no_recommendation(desk: Desk) -> None:
    desk.backends.items = [Recommended("adult", 1.0), Recommended("gone", 1.0)]
    assert read(desk.get(ANN)).source == "fallback"


def test_somebody_unknown_gets_popular_titles_without_any_personal_call(desk: Desk) -> None:
    for exchange in (desk.get(), desk.ask()):
        reply = read(exchange)
        assert (reply.source, reply.answer.kind) == ("precomputed", "recommendation")
    assert desk.backends.calls == []


@pytest.mark.parametrize("fault", [NotDone("down"), Late("late")])
def test_without_redis_it_is_made_and_the_event_kept(desk: Desk, fault: MangaAssistError) -> None:
    desk.path.stock.fault = fault
    assert read(desk.get(ANN)).source == "model"
    ((kind, event),) = desk.path.sink.kept
    assert isinstance(event, RecommendationServed)
    assert kind == "recommendation.served"
    desk.backends.failing = {"model"}
    assert read(desk.get((b"authorization", b"Bearer bob"))).source == "fallback"


def test_the_locale_is_that_of_the_query_or_else_of_the_client(desk: Desk) -> None:
    desk.path.stock.answers["reco:ann"] = own()
    assert read(desk.get(ANN)).answer.locale == "en"
    assert read(desk.get(ANN, query=b"locale=ja")).answer.locale == "ja"
    desk.path.stock.answers["reco:ann"] = own()
    plain = FakeExchange(b"", [ANN])
    dispatch(desk.route, plain, desk.path.meters.refused)
    assert read(plain).answer.locale == "ja"


def test_a_limit_shortens_the_list_wherever_it_comes_from(desk: Desk) -> None:
    assert ids(read(desk.get(ANN, query=b"limit=2"))) == ["a", "b"]
    desk.path.stock.answers["reco:ann"] = own()
    short = read(desk.get(ANN, query=b"limit=1"))
    assert (ids(short), short.source) == (["a"], "precomputed")
    assert ids(read(desk.get(ANN, query=b"limit=10"))) == ["a", "b", "c"]


def chosen_for(scores: Mapping[str, float]) -> bytes:
    rows = [(title(name), score) for name, score in scores.items()]
    return store(
        "ann", rows, texts.declared(), NOW, Lifetime(900, 9000), catalogue_version="v-1"
    ).pack()


@pytest.mark.parametrize(
    ("scores", "limit", "said"),
    [
        (dict.fromkeys("abcde", 1.0), 4, "interests: Title a, Title b, Title c and 1 more."),
        (dict.fromkeys("abcde", 1.0), 2, "interests: Title a, Title b."),
        ({"a": 2.0, "b": 0.0, "c": 0.0}, 1, "interests: Title a."),
        (
            {"a": 2.0, "b": 0.0, "c": 0.0},
            2,
            "interests: Title a. The list goes on with other titles from the catalogue.",
        ),
    ],
)
def test_a_text_speaks_of_what_is_in_the_response(
    desk: Desk, scores: Mapping[str, float], limit: int, said: str
) -> None:
    desk.path.stock.answers["reco:ann"] = chosen_for(scores)
    short = read(desk.get(ANN, query=b"limit=%d" % limit))
    assert (ids(short), short.source) == (list(scores)[:limit], "precomputed")
    assert short.answer.text.endswith(said)


def test_so_does_that_of_one_that_is_made_and_of_popular_titles(desk: Desk) -> None:
    assert read(desk.get(ANN, query=b"limit=2")).answer.text.endswith(": Title a, Title b.")
    desk.path.stock.answers[POPULAR] = popular(TITLES)
    desk.backends.in_dynamodb = None
    for headers in ([BOB], []):
        assert read(desk.get(*headers)).answer.text.endswith("Title c and 1 more.")
        short = read(desk.get(*headers, query=b"limit=2"))
        assert (ids(short), short.answer.text) == (
            ["a", "b"],
            "Picks from the catalogue: Title a, Title b.",
        )


def popular(titles: Sequence[Title]) -> bytes:
    material = Material(
        catalogue=Catalogue(titles),
        scores={},
        today=date(2026, 1, 1),
        phrases=texts.declared(),
        locales=["en"],
        top_n=10,
        trend_days=7,
    )
    (answer,) = popular_recommendation(material)
    return store_popular(answer, version=7, now=NOW, ttl_seconds=900, hard_ttl_seconds=9000).pack()


@pytest.mark.parametrize(
    "query",
    [b"limit=0", b"limit=11", b"limit=x", b"limit=", b"limit=1&limit=2", b"user=bob", b"locale=fr",
     b"limit=%EF%BC%91", b"limit=" + b"9" * 2000],
)  # fmt: skip
def test_a_query_that_does_not_fit_is_refused(desk: Desk, query: bytes) -> None:
    assert desk.get(ANN, query=query).status == 422


def test_two_users_at_once_get_their_own(desk: Desk) -> None:
    desk.path.stock.answers["reco:ann"] = own("ann", age=1)
    desk.path.stock.answers["reco:bob"] = own("bob", age=2)
    assert read(desk.get(ANN)).age_seconds == 1.0
    assert read(desk.get((b"authorization", b"Bearer bob"))).age_seconds == 2.0
